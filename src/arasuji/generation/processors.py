"""Changes of one row's scores that depend on what the row has written. Checked against those of transformers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor

from arasuji.config import SamplingConfig

NEVER = float("-inf")
"""The score of a token that may not be written."""


class Processor(ABC):
    """Changes the scores of a row's next token. Each row has its own, which reads every token of the row once: it need
    not look at the whole text again for each new token."""

    @abstractmethod
    def read(self, token: int) -> None:
        """Take note of a token that was written."""

    def begin(self, tokens: Sequence[int], text: str, room: int, ending: str = "") -> None:
        """Take note of the row's prompt: its tokens, and the text that they were made of, of which some tokenizers do
        not keep all words. At most `room` tokens can be written after it, and `ending` stands after those."""
        for token in tokens:
            self.read(token)

    def changes_nothing(self, new: int) -> bool:
        """Whether the scores of the next token stay as they are, which is known without them: it is not called then.
        `new` tokens have been written after the prompt."""
        return False

    @abstractmethod
    def __call__(self, scores: Tensor, new: int) -> None:
        """Write over the scores (V,) of the next token."""

    def forbidden(self, new: int) -> Sequence[int]:
        """The tokens that may not come next, after all changes. Those of all rows are forbidden at once, which is far
        quicker than row by row."""
        return ()

    @abstractmethod
    def fork(self) -> Self:
        """A processor that has read the same, for a beam that branches: what one of both reads, the other does not."""


class Forbidding(Processor):
    """Changes nothing, and forbids tokens."""

    def changes_nothing(self, new: int) -> bool:
        return True

    def __call__(self, scores: Tensor, new: int) -> None:
        pass

    @abstractmethod
    def forbidden(self, new: int) -> Sequence[int]: ...


class MinimumLength(Forbidding):
    """No end before some tokens are written."""

    def __init__(self, length: int, end_id: int) -> None:
        self.length, self.end_id = length, end_id

    def read(self, token: int) -> None:
        pass

    def forbidden(self, new: int) -> Sequence[int]:
        return [self.end_id] if new < self.length else ()

    def fork(self) -> Self:
        return self


class RepetitionPenalty(Processor):
    """Divides the positive scores of tokens that are in the row by `penalty` and multiplies the negative ones.

    Equation 3 of CTRL (Keskar et al. 2019).
    """

    def __init__(self, penalty: float, seen: Iterable[int] = ()) -> None:
        self.penalty, self.seen = penalty, dict.fromkeys(seen)

    def read(self, token: int) -> None:
        self.seen[token] = None

    def __call__(self, scores: Tensor, new: int) -> None:
        ids = torch.tensor(list(self.seen), dtype=torch.int64, device=scores.device)
        own = scores[ids]
        scores[ids] = torch.where(own > 0, own / self.penalty, own * self.penalty)

    def fork(self) -> Self:
        return type(self)(self.penalty, self.seen)


class NoRepeatedNgrams(Forbidding):
    """Forbids every token that would complete an n-gram of `size` tokens that is in the row (Paulus et al. 2018)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.last: tuple[int, ...] = ()
        """The last tokens, one fewer than an n-gram has."""
        self.followers: dict[tuple[int, ...], tuple[int, ...]] = {}
        """The different tokens that have followed each n-gram's beginning."""

    def read(self, token: int) -> None:
        if len(self.last) == self.size - 1:
            followers = self.followers.get(self.last, ())
            if token not in followers:
                self.followers[self.last] = (*followers, token)
        self.last = (*self.last, token)[1 - self.size :] if self.size > 1 else ()

    def forbidden(self, new: int) -> Sequence[int]:
        return self.followers.get(self.last, ())

    def fork(self) -> Self:
        other = type(self)(self.size)
        other.last, other.followers = self.last, dict(self.followers)
        return other


def processors_of(config: SamplingConfig, end_id: int) -> list[Processor]:
    """What the settings of a text ask for, in the order in which it is applied."""
    wanted: list[Processor] = []
    if config.repetition_penalty != 1:
        wanted.append(RepetitionPenalty(config.repetition_penalty))
    if config.no_repeat_ngram_size:
        wanted.append(NoRepeatedNgrams(config.no_repeat_ngram_size))
    if config.min_length:
        wanted.append(MinimumLength(config.min_length, end_id))
    return wanted
