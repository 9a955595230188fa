"""The plain figures of a collection: how many, how long, of what genres, years and languages."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence

from arasuji.corpus import Record
from arasuji.corpus.language import language
from arasuji.corpus.script import count_words
from arasuji.inspection import Stage

BINS = 20
"""The histogram of lengths has this many bins up to the 95th percentile."""
SAMPLE = 2000
"""The language of at most this many documents is looked for, and the counts are scaled up."""
QUANTILES = (0, 5, 25, 50, 75, 95, 100)
"""The percentiles at which the lengths of documents are given."""


def stage(records: Sequence[Record]) -> Stage:
    """Read all records once and count."""
    lengths, size, empty = array("q"), 0, 0
    genres: Counter[str] = Counter()
    years: Counter[int] = Counter()
    for record in records:
        lengths.append(round(count_words(record.text)))
        size += len(record.text.encode())
        empty += not record.text.strip()
        genres.update(list(dict.fromkeys(record.metadata.get("genres", ()))))
        year = record.metadata.get("year")
        years.update([year] if isinstance(year, int) else [])  # a corpus of a stranger may hold anything there
    return Stage(
        documents=len(records),
        words=sum(lengths),
        bytes=size,
        empty=empty,
        quantiles=_quantiles(lengths),
        lengths=_histogram(lengths),
        genres=dict(sorted(genres.items(), key=lambda pair: (-pair[1], pair[0]))),
        years=dict(sorted(years.items())),
        languages=_languages(records),
    )


def _quantiles(lengths: Sequence[int]) -> dict[str, int]:
    ordered = sorted(lengths)
    return {str(q): ordered[(len(ordered) - 1) * q // 100] if ordered else 0 for q in QUANTILES}


def _histogram(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Bins of a width that reads well (1, 2 or 5 times a power of ten); the last holds the long tail."""
    if not lengths:
        return []
    wanted = max(1, sorted(lengths)[(len(lengths) - 1) * 95 // 100] / BINS)
    power = 10 ** math.floor(math.log10(wanted))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= wanted)
    last = BINS * width
    counts = Counter(min(length, last) // width * width for length in lengths)
    return [(start, counts[start]) for start in range(0, max(counts) + 1, width)]


def sampled(records: Sequence[Record]) -> Sequence[Record]:
    """At most SAMPLE records, at equal distances."""
    return records[:: max(1, math.ceil(len(records) / SAMPLE))]


def _languages(records: Sequence[Record]) -> dict[str, int]:
    asked = sampled(records)
    found = Counter(language(text) for record in asked if (text := record.text.strip()))
    scale = len(records) / max(1, len(asked))
    return {code: round(count * scale) for code, count in found.most_common()}
