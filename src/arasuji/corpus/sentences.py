"""Where the sentences of a text stand."""

from __future__ import annotations

import re
from itertools import pairwise

# A run of marks or of white space is looked at once, from its beginning (the lookbehind) and as a whole (the "+" after
# a quantifier): else a long one would take the square of its length.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+\s++|(?<![。！？])[。！？]++[」』）]*+\s*+|(?<!\s)[^\S\n]*+\n\s*+")
"""What ends a sentence, and the space after it."""

_MARKS = (".", "!", "?", "…", "。", "！", "？")
_AFTER = "\"'”’)]」』）"
"""These close after a mark."""
_CLOSING = re.compile(rf"[{re.escape(_AFTER)}\s]*$")


def is_final(text: str) -> bool:
    """Whether a sentence ends where the text does, but for quotes and brackets that close and white space."""
    return text.rstrip().rstrip(_AFTER).endswith(_MARKS)


def only_closes(text: str) -> bool:
    """Whether a text is nothing but quotes and brackets that close, and white space."""
    return bool(_CLOSING.match(text))


def sentences(text: str) -> list[tuple[int, int]]:
    """The first character of each sentence and the one after its last; together they are the whole text. What is short
    and ends with a full stop ("Dr.") counts as a sentence."""
    edges = sorted({0, *(match.end() for match in _END.finditer(text)), len(text)})
    return list(pairwise(edges))
