"""A text as a model reads it: the one way from a record to tokens, for training, scoring, writing and comparing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import tee
from string import Formatter
from typing import Any

from arasuji.config import DocumentConfig
from arasuji.corpus import Record
from arasuji.corpus.sentences import sentences
from arasuji.errors import OptionError, nearest
from arasuji.tokenizers import Tokenizer

MOST_VALUES, TEXTS_PER_VALUE, MOST_CHARACTERS = 1000, 3, 100
"""A field has one of a few values where there are at most 1,000 different ones of at most 100 characters, each in 3
texts or more on average."""


@dataclass(frozen=True)
class Document:
    """A text as tokens, after a start token and the fields that the model is told."""

    ids: list[int]
    """(T,): one start token, the fields, the text; and where the text is whole, its own end token."""
    counted_from: int
    """The place in `ids` where the text begins. What stands before it is read and never predicted."""
    shots: int = 0
    """The number of ids at the beginning that are those of `Shots`, before the document's own start token."""

    @property
    def text_ids(self) -> list[int]:
        """The tokens from where the text begins."""
        return self.ids[self.counted_from :]


@dataclass(frozen=True)
class Shots:
    """Whole documents that stand before each text in a model's context, as documents stand in a stream. They are read
    and never predicted (few-shot prompting; Brown et al. 2020)."""

    records: tuple[Record, ...] = ()
    ids: tuple[int, ...] = ()
    """(S,): of each of them a start token, its fields, its text and its end token. Where start and end are one token,
    it stands once between two texts: the document after the shots begins with the end of the last one."""


NO_SHOTS = Shots()
"""A document then stands alone."""


def document_of(
    record: Record, tokenizer: Tokenizer, format: str = "", whole: bool = True, shots: Shots = NO_SHOTS
) -> Document:
    """One record as tokens. `format` is that of `DocumentConfig`; a text that is not `whole` is to be continued."""
    (document,) = documents_of([record], tokenizer, format, whole, shots)
    return document


def documents_of(
    records: Iterable[Record],
    tokenizer: Tokenizer,
    format: str = "",
    whole: bool = True,
    shots: Shots = NO_SHOTS,
) -> Iterator[Document]:
    """`document_of` each record, encoded many at a time."""
    start, end = [tokenizer.start_id], [tokenizer.end_id]
    ours, theirs = tee(records)
    texts = tokenizer.encode_batch(record.text for record in ours)
    if format:
        fields: Iterator[list[int]] = tokenizer.encode_batch(prefix_of(format, record.metadata) for record in theirs)
    else:
        fields = ([] for _ in theirs)
    for before, ids in zip(fields, texts, strict=True):
        own = [*start, *before, *ids, *end[:whole]]
        yield Document([*shots.ids, *own], len(shots.ids) + 1 + len(before), len(shots.ids))


def drawn_shots(
    train: Sequence[Record],
    count: int,
    seed: int,
    tokenizer: Tokenizer,
    format: str = "",
    context_length: int | None = None,
) -> Shots:
    """`count` different records of a training split as shots, every record with the same probability, and whole. The
    shots of one seed are the first ones of any larger number of shots of this seed.

    Shots may fill half of a model's context, so that the other half is free for each text.

    Raises:
        OptionError: the split has fewer records, or they do not fit.
    """
    if not 0 <= count <= len(train):
        raise OptionError(f"{count} shots cannot be drawn: the training split has {len(train):,} texts")
    order = list(range(len(train)))
    random.Random(seed).shuffle(order)
    records = tuple(train[place] for place in order[:count])
    ids: list[int] = []
    shared = tokenizer.start_id == tokenizer.end_id
    for fitting, document in enumerate(documents_of(records, tokenizer, format)):
        ids += document.ids[:-1] if shared else document.ids
        if context_length is not None and len(ids) > context_length // 2:
            raise OptionError(
                f"shots asked for: {count}, shots that fit: {fitting}, since they may fill half of the model's context "
                f"of {context_length:,} tokens; ask for fewer, or take a model with a longer context"
            )
    return Shots(records, tuple(ids))


def texts_read(records: Sequence[Record], document: DocumentConfig) -> Iterator[str]:
    """All that a model reads of records: the prefix and the text of each.

    Raises:
        OptionError: a field of the format that no record has.
    """
    format = document.format
    known = {name for record in read_as(records, document) for name in record.metadata} if format else set()
    for name in fields_of(format):
        if name not in known:
            raise OptionError(f"document.format: no text has a field {name!r}; {nearest(name, sorted(known))}")
    for record in read_as(records, document):
        if format:
            yield prefix_of(format, record.metadata)
        yield record.text


def records_of(texts: Iterable[str | Record]) -> list[Record]:
    """Records, and texts as records of which nothing else is known."""
    return [text if isinstance(text, Record) else Record("", text) for text in texts]


def predictable(records: Sequence[Record], document: DocumentConfig) -> Sequence[Record]:
    """The records that have what is predicted.

    Raises:
        OptionError: none has a title.
    """
    if document.predicts != "title":
        return records
    titled = [record for record in records if record.metadata.get("title")]
    if not titled:
        raise OptionError('document.predicts "title": no text has a title; prepare the texts with --title-column')
    return titled


def told_only(record: Record, predicts: str, names: Collection[str] | None = None) -> Record:
    """A record with what is `predicts` (see `DocumentConfig`) as its text, and those of its fields, by default all,
    that a model is told. A text of fewer than three sentences has no middle: it stays whole."""
    if predicts == "text" and names is None:
        return record
    text, fields = record.text, record.metadata
    if predicts == "title":
        text, fields = str(fields["title"]), {**fields, "text": text}
    elif predicts == "middle":
        places = sentences(text)
        start = places[0][1] if len(places) > 2 and (names is None or "from" in names) else 0
        end = places[-1][0] if len(places) > 2 and (names is None or "to" in names) else len(text)
        ends = {"from": text[:start].strip(), "to": text[end:].strip()}
        fields = {**fields, **{name: sentence for name, sentence in ends.items() if sentence}}
        middle = text[start:].lstrip() if start else text
        cut = len(text) - end
        text = middle[:-cut].rstrip() if cut else middle
    if names is not None:
        fields = {name: value for name, value in fields.items() if name in names}
    return replace(record, text=text, metadata=fields)


def read_as(records: Iterable[Record], document: DocumentConfig, seed: int | None = None) -> Iterator[Record]:
    """The records as a model reads them. With a seed, by which these are drawn, some fields of each are left out, or
    all of them, as `document` says."""
    if seed is None or not document.varies:
        yield from (told_only(record, document.predicts) for record in records)
        return
    chance, names = random.Random(seed), fields_of(document.format)
    for record in records:
        nothing = chance.random() < document.all_left_out
        without = {name for name in names if chance.random() < document.left_out or nothing}
        yield told_only(record, document.predicts, {*names, *record.metadata} - without)


def values_of(records: Iterable[Record], format: str) -> dict[str, dict[str, int]]:
    """The fields of a format that have one of a few values, such as genres, with the number of texts that have each;
    the values of another field, such as a title, are not counted."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in fields_of(format)}
    if not counts:
        return {}
    for record in records:
        for name, count in counts.items():
            count.update(set(map(str, _several(record.metadata.get(name)))))
    return {name: dict(count.most_common()) if _are_few(count) else {} for name, count in counts.items()}


def _are_few(count: Counter[str]) -> bool:
    """Whether a field has one of a few values, which are short."""
    most = min(MOST_VALUES, count.total() / TEXTS_PER_VALUE)
    return len(count) <= most and max(map(len, count), default=0) <= MOST_CHARACTERS


def _several(value: Any) -> list[Any]:
    """The values of a field, which may have several, or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def fields_of(format: str) -> list[str]:
    """The names of the fields that a format holds."""
    return list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(format) if name))


def prefix_of(format: str, metadata: Mapping[str, Any]) -> str:
    """A format with the fields of a record in their places. A field that the record lacks is empty."""
    parts = []
    for literal, name, _, _ in Formatter().parse(format):
        parts += [literal, ", ".join(map(str, _several(metadata.get(name) if name else None)))]
    return "".join(parts)
