"""The words of a corpus: how many are different, how their number grows, how many of new text are unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from arasuji.corpus import Record
from arasuji.corpus.script import words_of
from arasuji.inspection import Vocabulary

FIRST_POINT = 1000
"""The number of different words is noted after this many words, then at each doubling, and at the end."""


def vocabulary(train: Iterable[Record], validation: Iterable[Record]) -> Vocabulary:
    """Read both splits once. How vocabularies grow with the text: Heaps, "Information Retrieval", 1978."""
    counts: Counter[str] = Counter()
    read, following = 0, FIRST_POINT
    growth = []
    for record in train:
        words = words_of(record.text)
        counts.update(words)
        read += len(words)
        if read >= following:
            growth.append((read, len(counts)))
            following *= 2
    if read and (not growth or growth[-1][0] < read):
        growth.append((read, len(counts)))
    new = Counter(word for record in validation for word in words_of(record.text))
    unknown = sum(count for word, count in new.items() if counts[word] < 2)
    return Vocabulary(
        words=read,
        different=len(counts),
        once=sum(count == 1 for count in counts.values()),
        growth=growth,
        unknown_rate=unknown / max(1, new.total()),
    )
