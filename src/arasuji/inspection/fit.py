"""How long the texts are in tokens, for each tokenizer that is at hand, and how many do not fit into a context."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from arasuji import bases, tokenizers
from arasuji.bases import hub
from arasuji.corpus import Record
from arasuji.errors import BaseModelError, OptionError
from arasuji.folders import open_folder
from arasuji.inspection import Beyond

CONTEXTS = (128, 256, 512, 1024)
"""The lengths of a context, in tokens, that texts are compared with: presets train on 300 to 512, GPT-2 reads 1024."""
SAMPLE = 2000
"""At most this many training documents are encoded, and a tokenizer of the corpus's own is made from them."""


def fit(train: Sequence[Record]) -> list[Beyond]:
    """One row for each tokenizer; a pretrained one only where its model can be read on this machine at once."""
    texts = [record.text for record in train[:: max(1, math.ceil(len(train) / SAMPLE))]]
    return [_row(name, tokenizer, texts) for name, tokenizer in _at_hand(texts)] if texts else []


def _at_hand(texts: list[str]) -> Iterator[tuple[str, Any]]:
    for name in tokenizers.names():
        kind = tokenizers.kind(name)
        if name not in (tokenizers.PRETRAINED, tokenizers.PRUNED):
            try:
                own = kind.build(kind.Config(), iter(texts), None)
            except OptionError:  # such as a tokenizer of words, where texts have no spaces
                continue
            yield name, own
            continue
        for base in bases.KNOWN.values():
            if name == tokenizers.PRETRAINED and (folder := _ready(base)):
                yield base.name, kind.build(kind.Config(), iter(texts), folder)


def _ready(base: bases.Base) -> Path | None:
    """The folder of a known model. Only to count tokens, nothing is fetched, or converted, which takes a minute."""
    with suppress(BaseModelError):  # what is refused is not ready
        if cached := hub.cached(base.hub):
            return cached
        if kept := open_folder((bases.home() / base.name).resolve()):
            bases.check(kept[0], kept[0])
            return kept[0]
    return None


def _row(name: str, tokenizer: Any, texts: list[str]) -> Beyond:
    lengths = [len(ids) + 1 for ids in tokenizer.encode_batch(texts)]
    return Beyond(
        tokenizer=name,
        tokens=sum(lengths),
        bytes_per_token=sum(len(text.encode()) for text in texts) / sum(lengths),
        documents=len(texts),
        beyond={context: sum(length > context for length in lengths) / len(texts) for context in CONTEXTS},
    )
