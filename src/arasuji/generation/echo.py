"""A text speaks of what another text speaks of: the words of that text are likelier until each was written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor

from arasuji.corpus.script import words_of
from arasuji.generation.processors import Processor
from arasuji.tokenizers import Tokenizer

LETTERS = 5
"""Shorter words say little of what a text is about."""
LIKELIER = 1.5
"""What is added to the score of a token of such a word, so that it is four times as likely."""


class Echo(Processor):
    """Makes tokens of the words of a text likelier, each until it was written once."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self.tokens = dict.fromkeys(tokens)

    @classmethod
    def of(cls, text: str, tokenizer: Tokenizer) -> Self:
        """The first token of each long word of a text, unless a short word has it too."""
        words, short = text.split(), set()
        for word in words:
            if len(word) < LETTERS:
                short.update(tokenizer.encode(" " + word))
        long = [word for word in words if len("".join(words_of(word))) >= LETTERS]
        firsts = [tokenizer.encode(" " + word)[:1] for word in long]
        return cls(token for ids in firsts for token in ids if token not in short)

    def read(self, token: int) -> None:
        self.tokens.pop(token, None)

    def changes_nothing(self, new: int) -> bool:
        return not self.tokens

    def __call__(self, scores: Tensor, new: int) -> None:
        scores[torch.tensor(list(self.tokens), device=scores.device)] += LIKELIER

    def fork(self) -> Self:
        return type(self)(self.tokens)
