"""The tokens of a tokenizer by what they add to a text."""

from __future__ import annotations

from functools import lru_cache

from arasuji.corpus.script import is_open, words_of
from arasuji.tokenizers import HALF, Tokenizer

UNCERTAIN_WORDS = 2
"""A token whose text depends on the tokens around it adds at most this many words."""


@lru_cache(4)
def pieces_of(tokenizer: Tokenizer) -> Pieces:
    """The `Pieces` of a tokenizer, kept for the next texts."""
    return Pieces(tokenizer)


class Pieces:
    """All tokens that a text may be written with, by the words of their pieces, in small letters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.joining: dict[str, list[int]] = {}
        """Tokens of one word, at the beginning of the piece, by this word, which may continue another one."""
        self.apart: dict[str, list[int]] = {}
        """Tokens of one word that continues no other one, by this word."""
        self.spaced: dict[str, list[int]] = {}
        """Those of them that begin with white space and nothing else, by their word."""
        self.several: dict[str, list[int]] = {}
        """Tokens of several words, by the first one."""
        self.plain: dict[int, tuple[str, bool, bool]] = {}
        """Of each token of ASCII characters that has one word or none, at its end: the letters of the word; whether
        other characters stand before these, which end the word before; and whether one of these is no white space."""
        self.halves: list[int] = []
        """Parts of characters: one completes a word only where other parts come before it."""
        self.uncertain: list[int] = []
        """Others whose text depends on the tokens around them."""
        self.most = 1
        """The largest number of words of a token."""
        self._pieces: dict[int, str | None] = {}
        never = {tokenizer.end_id, *tokenizer.never_written}
        self.all = [token for token in range(tokenizer.vocabulary_size) if token not in never]
        for token in self.all:
            self._add(token)

    def piece(self, token: int) -> str | None:
        """`Tokenizer.piece` in small letters, kept."""
        if token not in self._pieces:
            piece = self.tokenizer.piece(token)
            self._pieces[token] = None if piece is None else piece.casefold()
        return self._pieces[token]

    def _add(self, token: int) -> None:
        piece = self.piece(token)
        if piece is None:
            if self._is_half(token):
                self.halves.append(token)
            else:
                self.uncertain.append(token)
                self.most = max(self.most, UNCERTAIN_WORDS)
            return
        words = words_of(piece)
        word = words[0] if words else ""
        if piece and piece.isascii() and len(words) < 2 and piece.endswith(word):
            self.plain[token] = word, piece != word, bool(piece.removesuffix(word).strip())
        if len(words) > 1:
            self.several.setdefault(word, []).append(token)
            self.most = max(self.most, len(words))
        elif words:
            joins = piece.startswith(word) and is_open(word)
            (self.joining if joins else self.apart).setdefault(word, []).append(token)
            if piece[0].isspace() and not piece.partition(word)[0].strip():
                self.spaced.setdefault(word, []).append(token)

    def _is_half(self, token: int) -> bool:
        """Whether a token is a part of a character, without a word beside it."""
        text = self.tokenizer.decode([token])
        return HALF in text and not words_of(text)
