"""What other tools write around a text, such as `<|startoftext|>` and `<|endoftext|>`: a mark for a model, no text.

Ours begin and end texts by themselves, so a marker is cut; in a .txt file it also tells where a text ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from arasuji.corpus.record import Record
from arasuji.corpus.registry import Texts, mended, rule, settled

_NAMES = (
    "s|bos|eos|pad|unk|sep|cls|mask|start|end|startoftext|endoftext|start_of_text|end_of_text|start_of_turn|end_of_turn"
)
_WORDS = "BOS|EOS|PAD|UNK|SEP|CLS|MASK|INST|START|END"
MARKER = re.compile(rf"<\|[\w ]{{1,40}}\|>|<｜[\w▁]{{1,40}}｜>|</?(?:{_NAMES})>|\[/?(?:{_WORDS})\]", re.IGNORECASE)
"""One marker, as the tools of GPT-2, Llama, BERT and similar models write it."""
EDGE = re.compile(
    r"<\|(?:startoftext|endoftext|start_of_text|end_of_text|begin_of_text|bos|eos|end)\|>"
    r"|</?s>|<(?:bos|eos|startoftext|endoftext)>|\[(?:BOS|EOS)\]",
    re.IGNORECASE,
)
"""A marker that begins or ends a text."""


@rule("markers")
def cut_markers(records: Iterable[Record]) -> Texts:
    """Removes other tools' marks for models, such as <|startoftext|>, </s> and [EOS]."""
    return mended(records, without_markers)


def without_markers(text: str) -> str:
    """The text without markers; what stood on both sides stays apart."""
    cut = settled(lambda text: MARKER.sub(" ", text), text)  # one marker may stand within another
    return text if cut == text else cut.strip()
