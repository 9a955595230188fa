"""No long sequence of words of the training split is written: what would complete one is forbidden before a token is
drawn, as in MEMFREE (Ippolito et al. 2022), but word by word, whatever the tokens are.

Words are those of `words_of`: case and punctuation do not count. A prompt may stand in the training split; what is
written after it must not continue a copy that the prompt begins.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from arasuji.corpus.filter import BASE, MASK, SequenceFilter, hash_of
from arasuji.corpus.script import is_open, words_of
from arasuji.corpus.suffixes import UNKNOWN, Suffixes
from arasuji.generation.processors import NEVER, Processor
from arasuji.tokenizers import HALF, Tokenizer

COMMON = 10
"""A sequence that this many texts of the training split have is a formula."""
UNCERTAIN_WORDS = 2
"""A token whose text depends on the tokens around it adds at most this many words."""
RECENT = 256
"""What follows this many sequences, the last that were looked for, is kept."""

Words = tuple[int, ...]
"""The numbers of words that were written one after another."""


@lru_cache(4)
def forbidden_copies(suffixes: Suffixes, tokenizer: Tokenizer, longest: int) -> Forbidden:
    """The sequences of more than `longest` words that may not be written, kept for the next texts of the same model."""
    return Forbidden(suffixes, tokenizer, longest * suffixes.word_size)


class Forbidden:
    """The sequences of the training split that may not be written, and the tokens that would complete them: what the
    guards of all texts of one model share."""

    def __init__(self, suffixes: Suffixes, tokenizer: Tokenizer, longest: int, common: int = COMMON) -> None:
        """A sequence of more than `longest` words is not written, unless `common` texts of the training split have
        it."""
        self.suffixes, self.tokenizer, self.longest, self.common = suffixes, tokenizer, longest, common
        self.number_of = suffixes.words.number_of
        self.word_at = list(self.number_of)
        self._pieces: dict[int, str | None] = {}
        self._following = lru_cache(RECENT)(self._looked_for)

    def piece(self, token: int) -> str | None:
        """`Tokenizer.piece` in small letters, kept."""
        if token not in self._pieces:
            piece = self.tokenizer.piece(token)
            self._pieces[token] = None if piece is None else piece.casefold()
        return self._pieces[token]

    def forbidden_after(self, words: Words) -> Collection[str]:
        """The words that would complete a sequence that may not be written."""
        if len(words) < self.longest:
            return ()
        found = self._following(words)
        return [self.word_at[word] for word, texts in found.items() if len(texts) < self.common]

    def begun_after(self, words: Words) -> Collection[str]:
        """The words with which a token of several words may begin that completes such a sequence."""
        if len(words) < self.context:
            return ()
        return [self.word_at[word] for word in self._following(words[-self.context :])]

    def _looked_for(self, words: Words) -> dict[int, np.ndarray]:
        """The words that follow a sequence in the training split, each with the texts where it does."""
        return {} if UNKNOWN in words else self.suffixes.following(words)

    @cached_property
    def context(self) -> int:
        """So many words before a token decide whether it may complete a copy: one fewer than may be copied for each
        further word that a token may have."""
        return max(1, self.longest + 1 - self.tokens.most)

    @cached_property
    def always(self) -> list[int]:
        """The tokens of so many words that they may complete a copy whatever stands before."""
        several = [token for some in self.tokens.several.values() for token in some]
        long = [token for token in several if len(words_of(self.tokenizer.decode([token]))) > self.longest]
        return long + (self.tokens.uncertain if self.longest < UNCERTAIN_WORDS else [])

    @cached_property
    def oldest_factor(self) -> int:
        """What the word before the last `context` - 1 ones is multiplied by in a `hash_of` them all."""
        return pow(BASE, self.context - 1, MASK + 1)

    @cached_property
    def filter(self) -> SequenceFilter:
        """What the last `context` words must pass; else no token can complete a copy."""
        return self.suffixes.filter(self.context)

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens by what they add to a text."""
        found = Tokens()
        never = {self.tokenizer.end_id, *self.tokenizer.never_written}
        for token in range(self.tokenizer.vocabulary_size):
            if token not in never:
                piece = self.piece(token)
                found.add(token, piece, piece is None and self._is_half(token))
        return found

    def _is_half(self, token: int) -> bool:
        """Whether a token is a part of a character, without a word beside it."""
        text = self.tokenizer.decode([token])
        return HALF in text and not words_of(text)


@dataclass
class Tokens:
    """Tokens by the words of their pieces."""

    joining: dict[str, list[int]] = field(default_factory=dict)
    """Of one word, at the beginning of the piece, by this word, which may continue another one."""
    apart: dict[str, list[int]] = field(default_factory=dict)
    """Of one word that continues no other one, by this word."""
    several: dict[str, list[int]] = field(default_factory=dict)
    """Of several words, by the first one."""
    begun: dict[int, str] = field(default_factory=dict)
    """Of each token of ASCII characters that ends a word, the letters with which it begins another one, or none."""
    joined: dict[int, str] = field(default_factory=dict)
    """The letters of each token of ASCII letters and digits alone, which continue a word."""
    halves: list[int] = field(default_factory=list)
    """Parts of characters: one completes a word only where other parts come before it."""
    uncertain: list[int] = field(default_factory=list)
    """Others whose text depends on the tokens around them."""
    most: int = 1
    """The largest number of words of a token."""

    def add(self, token: int, piece: str | None, half: bool) -> None:
        words = words_of(piece) if piece is not None else []
        if piece and piece.isascii() and len(words) < 2:
            word = words[0] if words else ""
            if piece == word:
                self.joined[token] = word
            elif piece.endswith(word):
                self.begun[token] = word
        if half:
            self.halves.append(token)
        elif piece is None:
            self.uncertain.append(token)
            self.most = max(self.most, UNCERTAIN_WORDS)
        elif len(words) > 1:
            self.several.setdefault(words[0], []).append(token)
            self.most = max(self.most, len(words))
        elif words:
            joins = piece.startswith(words[0]) and is_open(words[0])
            (self.joining if joins else self.apart).setdefault(words[0], []).append(token)


class CopyGuard(Processor):
    """Forbids what `Forbidden` says, in one text."""

    def __init__(self, forbidden: Forbidden) -> None:
        self.forbidden = forbidden
        self.words: Words = ()
        """The last complete words, at most as many as may be copied."""
        self.open = ""
        """The letters of the word that is being written."""
        self.last: int | None = None
        """The last token whose text is certain."""
        self.waiting: list[int] = []
        """The tokens after it, whose text is not."""
        self.may_complete = False
        """Whether the last `forbidden.context` complete words may stand in the training split."""
        self.known = 0
        """How many of the last complete words the training split has, one after another."""
        self.hash = 0
        """The `hash_of` these, at most one fewer than `forbidden.context`."""

    def begin(self, tokens: Sequence[int], text: str) -> None:
        words, self.open = _words_and_rest(text.casefold())
        for word in words:
            self._push(word)
        self.last = tokens[-1] if tokens and tokens[-1] not in self.forbidden.tokenizer.unsettled else None

    def read(self, token: int) -> None:
        if not self.waiting:
            begun, joined = self.forbidden.tokens.begun.get(token), self.forbidden.tokens.joined.get(token)
            if begun is not None:
                if self.open:
                    self._push(self.open)
                self.open, self.last = begun, token
                return
            if joined is not None:
                self.open, self.last = self.open + joined, token
                return
        piece = self.forbidden.piece(token) if not self.waiting else None
        if piece is None:
            self.waiting.append(token)
            piece = self._added()
            if token in self.forbidden.tokenizer.unsettled or piece.endswith(HALF):
                return
            self.waiting = []
        self.last = token
        words, self.open = _words_and_rest(self.open + piece)
        for word in words:
            self._push(word)

    def _push(self, word: str) -> None:
        """Take note of a complete word. The hash loses the word that is too far away by now (Karp and Rabin 1987)."""
        forbidden, number = self.forbidden, self.forbidden.number_of.get(word, UNKNOWN)
        before, most = self.words, forbidden.context - 1
        self.words = (*before, number)[-forbidden.longest :]
        if number == UNKNOWN:
            self.may_complete, self.known, self.hash = False, 0, 0
            return
        longer = hash_of((number,), self.hash)
        self.may_complete = self.known >= most and forbidden.filter.passes(longer)
        if self.known >= most:
            longer = (longer - (self.words[-most - 1] + 1) * forbidden.oldest_factor) & MASK
        self.known, self.hash = self.known + 1, longer

    def changes_nothing(self, new: int) -> bool:
        if self.may_complete or self.waiting or self.forbidden.always:
            return False
        if self.known < self.forbidden.context - 1 or not self.open:
            return True
        number = self.forbidden.number_of.get(self.open, UNKNOWN)
        return number == UNKNOWN or not self.forbidden.filter.passes(hash_of((number,), self.hash))

    def __call__(self, scores: Tensor, new: int) -> None:
        forbidden = self.forbidden
        words, open = self._after(self._added()) if self.waiting else (self.words, self.open)
        longer = self._pushed(words, open) if open else None
        tokens: list[int] = []
        for word in forbidden.forbidden_after(words):
            if not open:
                tokens += forbidden.tokens.joining.get(word, []) + forbidden.tokens.apart.get(word, [])
            elif word.startswith(open):
                tokens += forbidden.tokens.joining.get(word.removeprefix(open), [])
        if longer is not None:
            for word in forbidden.forbidden_after(longer):
                tokens += forbidden.tokens.apart.get(word, [])
        others = self._several(words, open, longer) if forbidden.tokens.most > 1 else []
        if self.waiting:
            others += forbidden.tokens.halves
        tokens += [token for token in others if self._completes_one(token)]
        if tokens:
            scores[torch.tensor(tokens, dtype=torch.int64, device=scores.device)] = NEVER

    def fork(self) -> Self:
        other = type(self)(self.forbidden)
        other.words, other.open = self.words, self.open
        other.last, other.waiting = self.last, list(self.waiting)
        other.may_complete, other.known, other.hash = self.may_complete, self.known, self.hash
        return other

    def _several(self, words: Words, open: str, longer: Words | None) -> list[int]:
        """The tokens of several words, and of no certain text, that may complete a copy here."""
        forbidden, tokens = self.forbidden, self.forbidden.tokens
        found = list(forbidden.always)
        places = [(words, open)] if longer is None else [(words, open), (longer, "")]
        for before, begun in places:
            following = forbidden.begun_after(before)
            for word in following:
                if word.startswith(begun):
                    found += tokens.several.get(word.removeprefix(begun), [])
            if following:
                found += tokens.uncertain
        return list(dict.fromkeys(found))

    def _added(self, *more: int) -> str:
        """The text of the waiting tokens, and of one more, in small letters."""
        return self.forbidden.tokenizer.continuation(
            [] if self.last is None else [self.last], [*self.waiting, *more]
        ).casefold()

    def _after(self, piece: str) -> tuple[Words, str]:
        """The complete words and the open one after a piece of text."""
        found, open = _words_and_rest(self.open + piece)
        words = self.words
        for word in found:
            words = self._pushed(words, word)
        return words, open

    def _pushed(self, words: Words, word: str) -> Words:
        """The last words, with one more."""
        return (*words, self.forbidden.number_of.get(word, UNKNOWN))[-self.forbidden.longest :]

    def _completes_one(self, token: int) -> bool:
        """Whether a token completes a sequence that may not be written."""
        words = self.words
        for place, word in enumerate(words_of(self.open + self._added(token))):
            if word in self.forbidden.forbidden_after(words) and (place or word != self.open):
                return True
            words = self._pushed(words, word)
        return False


def _words_and_rest(text: str) -> tuple[list[str], str]:
    """The complete words of a text, and the one that letters after it would make longer."""
    words = words_of(text)
    return words, words.pop() if is_open(text) else ""
