"""Words that a text must not have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from functools import lru_cache

from arasuji.corpus.script import words_of
from arasuji.errors import OptionError
from arasuji.generation.pieces import Pieces
from arasuji.generation.words import SequenceRule, WordProcessor, Words


@lru_cache(4)
def forbidden_phrases(pieces: Pieces, phrases: tuple[str, ...]) -> ForbiddenPhrases:
    """The rule that forbids the phrases, kept for the next texts: it remembers nothing of a text."""
    return ForbiddenPhrases(pieces, phrases)


class ForbiddenPhrases(SequenceRule):
    """Forbids words, and sequences of words, in any case and with any punctuation between them."""

    def __init__(self, pieces: Pieces, phrases: Iterable[str]) -> None:
        """Raises OptionError for a phrase without a word."""
        self.pieces = pieces
        self.last: dict[Words, set[str]] = {}
        """The last words of phrases, by all words before it."""
        for phrase in phrases:
            words = tuple(words_of(phrase))
            if not words:
                raise OptionError(f"{phrase!r} holds no word")
            self.last.setdefault(words[:-1], set()).add(words[-1])
        self.longest = max(map(len, self.last), default=0)
        self.alone = sorted(self.last.get((), ()))
        """The phrases of one word."""
        lasts = set().union(*self.last.values())
        several = [token for some in pieces.several.values() for token in some]
        holding = [token for token in several if lasts.intersection(words_of(pieces.piece(token) or ""))]
        self.always = holding + pieces.uncertain
        self._after = lru_cache(2**14)(self._alone_after)

    def push(self, word: str) -> None:
        pass

    def may_forbid(self, row: WordProcessor) -> bool:
        return bool(self.last)

    def forbidden(self, row: WordProcessor) -> list[int]:
        if row.waiting:
            return super().forbidden(row)
        # There may be thousands of single words: the tokens that complete one depend on the open letters alone.
        return [*self._after(row.open), *self.tokens_of(row, self._completing_several)]

    def completing(self, words: Words) -> Collection[str]:
        alone, several = self.last.get((), set()), self._completing_several(words)
        return alone.union(several) if several else alone

    def beginning(self, words: Words) -> Collection[str]:
        return ()  # tokens of several words are looked at wherever they stand

    def _completing_several(self, words: Words) -> Collection[str]:
        found: list[str] = []
        for length in range(1, min(self.longest, len(words)) + 1):
            found += self.last.get(words[len(words) - length :], ())
        return found

    def _alone_after(self, open: str) -> list[int]:
        """The tokens that complete a single word after the letters `open` of one."""
        pieces, tokens = self.pieces, []
        for word in self.alone[bisect_left(self.alone, open) :]:
            if not word.startswith(open):
                break
            tokens += pieces.joining.get(word.removeprefix(open), [])
        for word in self.alone:
            tokens += pieces.apart.get(word, [])
        return tokens
