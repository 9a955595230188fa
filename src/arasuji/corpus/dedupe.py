"""Rules that compare documents with each other. So far: exact duplicates."""

from __future__ import annotations

from collections.abc import Sequence

from arasuji.corpus import Record
from arasuji.corpus.registry import Texts, rule, where


@rule("duplicates")
def drop_duplicates(records: Sequence[Record]) -> Texts:
    """Out with a text that stood before, but for case and white space; the first one stays."""
    seen: set[str] = set()

    def is_new(record: Record) -> bool:
        key = " ".join(record.text.casefold().split())
        return not (key in seen or seen.add(key))  # type: ignore[func-returns-value]

    return where(records, is_new)
