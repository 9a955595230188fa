"""A text as a model reads it: the one way from a record to tokens, for training, scoring, writing and comparing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import tee
from string import Formatter
from typing import Any

from arasuji.corpus import Record
from arasuji.tokenizers import Tokenizer


@dataclass(frozen=True)
class Document:
    """A text as tokens, after an end token and the fields that the model is told."""

    ids: list[int]
    """(T,): one end token, the fields, the text; and where the text is whole, its own end token."""
    counted_from: int
    """The place in `ids` where the text begins. What stands before it is read and never predicted."""

    @property
    def text_ids(self) -> list[int]:
        """The tokens from where the text begins."""
        return self.ids[self.counted_from :]


def document_of(record: Record, tokenizer: Tokenizer, format: str = "", whole: bool = True) -> Document:
    """One record as tokens. `format` is that of `DocumentConfig`; a text that is not `whole` is to be continued."""
    (document,) = documents_of([record], tokenizer, format, whole)
    return document


def documents_of(
    records: Iterable[Record], tokenizer: Tokenizer, format: str = "", whole: bool = True
) -> Iterator[Document]:
    """`document_of` each record, encoded many at a time."""
    end = [tokenizer.end_id]
    ours, theirs = tee(records)
    texts = tokenizer.encode_batch(record.text for record in ours)
    if format:
        fields: Iterator[list[int]] = tokenizer.encode_batch(told(format, record.metadata) for record in theirs)
    else:
        fields = ([] for _ in theirs)
    for before, ids in zip(fields, texts, strict=True):
        yield Document([*end, *before, *ids, *end[:whole]], 1 + len(before))


def records_of(texts: Iterable[str | Record]) -> list[Record]:
    """Records, and texts as records of which nothing else is known."""
    return [text if isinstance(text, Record) else Record("", text) for text in texts]


def told(format: str, metadata: Mapping[str, Any]) -> str:
    """What a format says of a record: its fields in their places, and nothing for one that the record lacks."""
    parts = []
    for literal, name, _, _ in Formatter().parse(format):
        value = metadata.get(name) if name else None
        parts += [literal, "" if value is None else ", ".join(value) if isinstance(value, list) else str(value)]
    return "".join(parts)
