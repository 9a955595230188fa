"""Words that a text must not have."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from arasuji.corpus.script import words_of
from arasuji.errors import OptionError
from arasuji.generation.pieces import Pieces
from arasuji.generation.words import SequenceRule, WordProcessor, Words


class ForbiddenPhrases(SequenceRule):
    """Forbids words, and sequences of words, in any case and with any punctuation between them."""

    def __init__(self, pieces: Pieces, phrases: Iterable[str]) -> None:
        """Raises OptionError for a phrase without a word."""
        self.last: dict[Words, set[str]] = {}
        """The last words of phrases, by all words before it."""
        for phrase in phrases:
            words = tuple(words_of(phrase))
            if not words:
                raise OptionError(f"{phrase!r} holds no word")
            self.last.setdefault(words[:-1], set()).add(words[-1])
        self.lengths = sorted({len(before) for before in self.last})
        self.longest = max(self.lengths, default=0)
        lasts = set().union(*self.last.values())
        several = [token for some in pieces.several.values() for token in some]
        holding = [token for token in several if lasts.intersection(words_of(pieces.piece(token) or ""))]
        self.always = holding + pieces.uncertain

    def push(self, word: str) -> None:
        pass

    def may_forbid(self, row: WordProcessor) -> bool:
        return bool(self.last)

    def completing(self, words: Words) -> Collection[str]:
        found: list[str] = []
        for length in self.lengths:
            if length <= len(words):
                found += self.last.get(words[len(words) - length :], ())
        return found

    def beginning(self, words: Words) -> Collection[str]:
        return ()  # tokens of several words are looked at wherever they stand
