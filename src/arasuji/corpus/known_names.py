"""The names that a training split knows: titles, and rare words that are always written with a capital letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from arasuji.corpus.folder import Corpus
from arasuji.corpus.record import Record
from arasuji.corpus.script import placed_words, words_of
from arasuji.corpus.sentences import sentences

RARE = 10
"""A name stands in at most this many texts: others, such as those of big cities, belong to nobody."""
LEAST_LETTERS = 3
"""Shorter words are initials and syllables."""


def known_names(folder: Path) -> tuple[str, ...]:
    """The names of the corpus in `folder`, as words and phrases in small letters."""
    return _known_names(folder, Corpus.load(folder).hash)


@lru_cache(2)
def _known_names(folder: Path, hash: str) -> tuple[str, ...]:
    return tuple(sorted(names_in(Corpus.load(folder).train)))


def names_in(train: Iterable[Record]) -> set[str]:
    """Titles of training texts, but for those that are an ordinary word; and words that always have a capital letter
    and stand in at most `RARE` texts with it, not counting the beginnings of sentences."""
    texts: Counter[str] = Counter()
    """The number of texts, with their titles, that have each word with a capital letter that begins no sentence."""
    small: set[str] = set()
    titles: set[str] = set()
    for record in train:
        title = str(record.metadata.get("title") or "")
        titles.add(" ".join(words_of(title)))
        capital = {word for word, start, _ in placed_words(title) if title[start].isupper()}
        for start, end in sentences(record.text):
            for i, (word, place, _) in enumerate(placed_words(record.text[start:end])):
                if not record.text[start + place].isupper():
                    small.add(word)
                elif i:
                    capital.add(word)
        texts.update(capital)
    names = {word for word, count in texts.items() if count <= RARE and word not in small and word.isalpha()}
    whole = {title for title in titles if " " in title or title not in small}  # "Another" is a word as well
    return {name for name in names | whole if len(name) >= LEAST_LETTERS}
