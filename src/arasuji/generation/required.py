"""Words that a text must have: their tokens grow likelier until each stands in it, and it does not end before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from arasuji.corpus.script import count_words, is_open, is_unspaced, words_of
from arasuji.errors import OptionError
from arasuji.generation.ending import endings_of, force
from arasuji.generation.pieces import Pieces
from arasuji.generation.words import WordProcessor, Words
from arasuji.tokenizers import Tokenizer

SPAN = 60
"""A word that is missing grows likelier for this many tokens, less where there is no room for them."""
ENOUGH = 40
"""All phrases stand in a text before the last 40 tokens, or before its last third, so that a sentence can follow."""
FIRST, LAST = 1.0, 10.0
"""What is added to the score of its first token, from the first to the last of them."""


class Phrase:
    """A word, or several, as the tokens of a text."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        """Raises OptionError where the tokenizer cannot hold it."""
        text = " ".join(text.split())
        self.words: Words = tuple(words_of(text))
        if not self.words:
            raise OptionError(f"{text!r} holds no word")
        self.alone = tokenizer.encode(text)
        """Its tokens at the beginning of a text."""
        self.apart = self.alone if is_unspaced(text[0]) else tokenizer.encode(" " + text)
        """Its tokens after another word."""
        before = tokenizer.encode("a")
        for ids, start in ((self.alone, []), (self.apart, before)):
            held = words_of(tokenizer.continuation(start, ids))
            if tuple(held) != self.words or set(ids).intersection(tokenizer.never_written):
                raise OptionError(f"{text!r} cannot be written with the tokens of this model: take another word")


@lru_cache(4)
def _continuing(pieces: Pieces) -> list[int]:
    """The tokens that make the word before them longer."""
    return [token for token in pieces.all if is_open((pieces.piece(token) or " ")[:1])]


class RequiredWords(WordProcessor):
    """Follows one text until it has all phrases."""

    def __init__(self, pieces: Pieces, phrases: Sequence[Phrase], most: int | None = None) -> None:
        """`most` is the largest number of words of the text, its prompt included."""
        super().__init__(pieces, ())
        self.phrases, self.most, self.endings = phrases, most, endings_of(pieces)
        self.longest = max(len(phrase.words) for phrase in phrases)
        self.missing = list(phrases)
        self.room = 0
        """The number of new tokens within which all phrases must stand."""
        self.last_room = 0
        """That after which the text may end without a phrase that did not come, such as one that is forbidden."""
        self.since = 0
        """The number of new tokens when a phrase was written last."""
        self.rest: list[int] = []
        """The next tokens of a phrase that was begun."""

    def begin(self, tokens: Sequence[int], text: str, room: int, ending: str = "") -> None:
        within = room if self.most is None else min(room, self.most - round(count_words(text) + count_words(ending)))
        self.room, self.last_room = within - min(ENOUGH, within // 3), within
        super().begin(tokens, text, room, ending)

    def read(self, token: int) -> None:
        super().read(token)
        if self.rest[:1] == [token]:
            self.rest = self.rest[1:]
        else:
            self.rest = next((ids[1:] for phrase in self._left() if (ids := self._ids(phrase))[0] == token), [])

    def _push(self, word: str) -> None:
        super()._push(word)
        self.missing = [phrase for phrase in self.missing if self.words[-len(phrase.words) :] != phrase.words]

    def _ids(self, phrase: Phrase) -> list[int]:
        return phrase.apart if self.words or self.open else phrase.alone

    def _left(self) -> list[Phrase]:
        """The phrases that are missing, without one that is complete unless letters follow."""
        written = (*self.words, self.open)
        return [phrase for phrase in self.missing if written[-len(phrase.words) :] != phrase.words]

    def changes_nothing(self, new: int) -> bool:
        if self.rest:  # such as a quote that closes
            return False
        if not self.missing or new >= self.last_room:
            return True
        if len(left := self._left()) < len(self.missing):
            self.since = new
        return not left

    def __call__(self, scores: Tensor, new: int) -> None:
        self.endings.go_on(scores)
        if self.rest:
            force(scores, self.rest[0])
            return
        left = self._left()
        ids = torch.tensor([self._ids(phrase)[0] for phrase in left], device=scores.device).unique()
        needed = sum(len(phrase.apart) for phrase in left)
        span = max(1, min(SPAN, self.room // len(self.phrases)))
        share = min(1.0, (new - self.since) / span)
        if new >= self.room - needed:
            force(scores, ids)
        else:
            scores[ids] += FIRST + (LAST - FIRST) * share

    def forbidden(self, new: int) -> list[int]:
        return _continuing(self.pieces) if len(self._left()) < len(self.missing) and self.open else []

    def fork(self) -> Self:
        other = super().fork()
        other.missing, other.since, other.rest = self.missing, self.since, self.rest
        other.room, other.last_room = self.room, self.last_room
        return other

    def _new(self) -> Self:
        return type(self)(self.pieces, self.phrases, self.most)
