"""Where the sentences of a text stand."""

from __future__ import annotations

import re
from itertools import pairwise

_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|[。！？]+[」』）]*\s*|\s*\n\s*")
"""What ends a sentence, and the space after it."""

_FINAL = re.compile(r"[.!?…。！？]+[\"'”’)\]」』）]*\s*$")
_CLOSING = re.compile(r"[\"'”’)\]」』）\s]*$")


def is_final(text: str) -> bool:
    """Whether a sentence ends where the text does, but for quotes and brackets that close and white space."""
    return bool(_FINAL.search(text))


def only_closes(text: str) -> bool:
    """Whether a text is nothing but quotes and brackets that close, and white space."""
    return bool(_CLOSING.match(text))


def sentences(text: str) -> list[tuple[int, int]]:
    """The first character of each sentence and the one after its last; together they are the whole text. What is short
    and ends with a full stop ("Dr.") counts as a sentence."""
    edges = sorted({0, *(match.end() for match in _END.finditer(text)), len(text)})
    return list(pairwise(edges))
