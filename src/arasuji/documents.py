"""A text as a model reads it: the one way from a record to tokens, for training, scoring, writing and comparing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from string import Formatter
from typing import Any

from arasuji.corpus import Record
from arasuji.errors import OptionError, nearest
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
        fields: Iterator[list[int]] = tokenizer.encode_batch(prefix_of(format, record.metadata) for record in theirs)
    else:
        fields = ([] for _ in theirs)
    for before, ids in zip(fields, texts, strict=True):
        yield Document([*end, *before, *ids, *end[:whole]], 1 + len(before))


def texts_read(records: Sequence[Record], format: str) -> Iterator[str]:
    """All that a model reads of records: the prefix and the text of each.

    Raises:
        OptionError: a field of the format that no record has.
    """
    known = {name for record in records for name in record.metadata} if format else set()
    for name in fields_of(format):
        if name not in known:
            raise OptionError(f"document.format: no text has a field {name!r}; {nearest(name, sorted(known))}")
    for record in records:
        if format:
            yield prefix_of(format, record.metadata)
        yield record.text


def records_of(texts: Iterable[str | Record]) -> list[Record]:
    """Records, and texts as records of which nothing else is known."""
    return [text if isinstance(text, Record) else Record("", text) for text in texts]


def fields_of(format: str) -> list[str]:
    """The names of the fields that a format holds."""
    return [name for _, name, _, _ in Formatter().parse(format) if name]


def prefix_of(format: str, metadata: Mapping[str, Any]) -> str:
    """A format with the fields of a record in their places. A field that the record lacks is empty."""
    parts = []
    for literal, name, _, _ in Formatter().parse(format):
        value = metadata.get(name) if name else None
        several = map(str, value) if isinstance(value, list) else [] if value is None else [str(value)]
        parts += [literal, ", ".join(several)]
    return "".join(parts)
