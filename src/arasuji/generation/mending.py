"""What a reader sees first is kept from going wrong: quotes and brackets that stay open, and doubled words. Nothing is
cut off or put in afterwards."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from arasuji.corpus.script import is_unspaced
from arasuji.corpus.suffixes import Suffixes
from arasuji.generation.pieces import Pieces
from arasuji.generation.processors import NEVER, Processor
from arasuji.generation.words import Rule, WordProcessor

PAIRS = {"(": ")", "[": "]", "{": "}", "“": "”", "«": "»", "「": "」", "『": "』", "（": "）", "【": "】"}
"""What opens, with what closes it. Single quotes are left out, since they are apostrophes as well."""
QUOTE = '"'
"""It opens where it is not open, and else closes."""
SLIP = 0.001
"""Where a word stands right after itself in a smaller share of its places in training texts, these are slips."""


@lru_cache(4)
def marks_of(pieces: Pieces) -> Marks:
    """The `Marks` of a tokenizer, kept for the next texts."""
    return Marks(pieces)


class Marks:
    """The tokens of a tokenizer that open or close something."""

    def __init__(self, pieces: Pieces) -> None:
        lines = [token for token in pieces.all if "\n" in (text := pieces.piece(token) or "") and not text.strip()]
        self.ends = torch.tensor([pieces.tokenizer.end_id, *lines], dtype=torch.int64)
        """The end of a text, and the tokens that begin a new line and are nothing else."""
        self.of = {token: marks for token in pieces.all if (marks := _marks(pieces.piece(token) or ""))}
        """The marks of each token that has some, in their order."""
        self.plain = {token for token in self.of if not any(c.isalnum() for c in pieces.piece(token) or "")}
        """Those of them without letters and digits."""
        self.spaced = {token for token in self.plain if (pieces.piece(token) or "")[:1].isspace()}
        """Those of these that begin with white space."""
        self.unopened, self.closing = lru_cache(self._unopened), lru_cache(self._closing)

    def _unopened(self, stack: str) -> list[int]:
        """The tokens that close what is not open, where the marks that would close what is open are `stack`."""
        return [token for token, marks in self.of.items() if after(stack, marks) is None]

    def _closing(self, stack: str) -> Tensor:
        """The tokens that close the last thing that is open, and open nothing."""
        found = [token for token in self.plain if after(stack, self.of[token]) == stack[:-1]]
        joined = [token for token in found if token not in self.spaced]
        return torch.tensor(joined or found, dtype=torch.int64)


def _marks(piece: str) -> str:
    return "".join(c for c in piece if c == QUOTE or c in PAIRS or c in PAIRS.values())


def after(stack: str, marks: str) -> str | None:
    """What closes the things that are open after some marks, where it was `stack` before; None where one of the marks
    closes nothing. What is still open within a thing that closes is closed with it."""
    for mark in marks:
        if mark in PAIRS:
            stack += PAIRS[mark]
        elif mark in stack:
            stack = stack[: stack.rindex(mark)]
        elif mark == QUOTE:
            stack += mark
        else:
            return None
    return stack


class Balanced(Processor):
    """Forbids to close what is not open, and to end, or to begin a new line, before what is open is closed: the
    probability of these is then that of closing it. Marks that are no tokens of their own are not looked at."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.stack = ""
        """What would close the things that are open."""

    def begin(self, tokens: Sequence[int], text: str, room: int, ending: str = "") -> None:
        for mark in _marks(text):
            found = after(self.stack, mark)
            self.stack = self.stack if found is None else found

    def read(self, token: int) -> None:
        if marks := self.marks.of.get(token):
            found = after(self.stack, marks)
            self.stack = self.stack if found is None else found

    def changes_nothing(self, new: int) -> bool:
        return not self.stack

    def __call__(self, scores: Tensor, new: int) -> None:
        closing = self.marks.closing(self.stack).to(scores.device)
        if len(closing):
            best = closing[scores[closing].argmax()]
            ends = self.marks.ends.to(scores.device)
            scores[best] = torch.logaddexp(scores[best], scores[ends].logsumexp(-1))
            scores[ends] = NEVER

    def forbidden(self, new: int) -> Sequence[int]:
        return self.marks.unopened(self.stack)

    def fork(self) -> Self:
        other = type(self)(self.marks)
        other.stack = self.stack
        return other


class DoubledWords(Rule):
    """Forbids a word right after itself, with white space alone between both, unless training texts do this with it."""

    longest = 1

    def __init__(self, training: Suffixes | None, wanted: Collection[str] = ()) -> None:
        """`wanted` are words that may be doubled as well."""
        self.allowed = lru_cache(1024)(lambda word: word in wanted or self._stands_in(training, word))

    @staticmethod
    def _stands_in(training: Suffixes | None, word: str) -> bool:
        if is_unspaced(word):
            return True
        number = training.words.number_of.get(word) if training else None
        if training is None or number is None:
            return False
        places, doubled = (high - low for low, high in map(training.find, ((number,), (number, number))))
        return doubled > SLIP * places

    def push(self, word: str) -> None:
        pass

    def may_forbid(self, row: WordProcessor) -> bool:
        return bool(row.open or (row.spaced and row.words)) and not row.waiting

    def forbidden(self, row: WordProcessor) -> list[int]:
        tokens: list[int] = []
        if row.open and not self.allowed(row.open):
            tokens += row.pieces.spaced.get(row.open, [])
        if row.spaced and row.words:
            word = row.words[-1]
            if word.startswith(row.open) and word != row.open and not self.allowed(word):
                tokens += row.pieces.joining.get(word.removeprefix(row.open), [])
                tokens += [] if row.open else row.pieces.spaced.get(word, [])
        return tokens
