"""Rules that remove a document and change none: genres, length, phrases, placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arasuji.corpus.record import Record
from arasuji.corpus.registry import Span, Texts, rule, where
from arasuji.corpus.script import count_words

_OPENING = " \n\t\"'“‘«"
"""These may stand before the first letter of a text."""


@rule("genres", quotable=False)
def drop_genres(records: Iterable[Record], drop: list[str]) -> Texts:
    """Removes a record that has one of these genres, whole names in any case."""
    unwanted = {genre.casefold() for genre in drop}
    return where(records, lambda r: unwanted.isdisjoint(g.casefold() for g in r.metadata.get("genres", ())))


@rule("words")
def limit_words(records: Iterable[Record], min: int, max: int, characters_per_word: int = 0) -> Texts:
    """Keeps texts of `min` to `max` words, both included.

    A word is what stands between white space. In a script without spaces, `characters_per_word` characters count as
    one word, if it is not 0: 2 is about the length of a Japanese or Chinese word.
    """
    return where(records, lambda record: min <= count_words(record.text, characters_per_word) <= max)


def _place_of_phrase(text: str, phrase: str) -> Span | None:
    found = re.search(re.escape(phrase), text, re.IGNORECASE)
    return found.span() if found else None


@rule("phrase", trigger=_place_of_phrase)
def drop_phrase(records: Iterable[Record], phrase: str) -> Texts:
    """Removes a text that contains the phrase, in any case, also inside a word."""
    unwanted = phrase.lower()
    return where(records, lambda record: unwanted not in record.text.lower())


def _first_letter(text: str) -> Span:
    start = len(text) - len(text.lstrip(_OPENING))
    return start, start + 1


@rule("lost-start", trigger=_first_letter)
def drop_lost_starts(records: Iterable[Record]) -> Texts:
    """Removes a text that begins with a small letter: its beginning is lost."""
    return where(records, lambda record: not record.text.lstrip(_OPENING)[:1].islower())


@rule("placeholders")
def drop_placeholders(records: Iterable[Record], equal: list[str], begin: list[str], longest: int) -> Texts:
    """Removes what stands where a text is missing: empty, or saying so.

    `equal`: the whole text, but for case and punctuation around it. `begin`: its first words, where it has at
    most `longest` words, so that a story that begins with them stays.
    """
    whole, starts = set(equal), tuple(begin)

    def is_text(record: Record) -> bool:
        text = record.text.casefold().strip(" \n.!-–—…()[]")
        return bool(text) and text not in whole and not (text.startswith(starts) and len(text.split()) <= longest)

    return where(records, is_text)
