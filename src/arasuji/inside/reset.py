"""What a model loses when its memory is emptied in the middle of a text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from arasuji.errors import OptionError
from arasuji.inside.reading import Reading
from arasuji.runs import TrainedModel

ALIKE = 0.1
"""Two distributions agree where they differ by at most this share (total variation distance)."""


@dataclass(frozen=True)
class Reset:
    """The same tokens read with the memory of what stands before a place, and without it."""

    at: int
    """The first token that is read with an empty memory; what follows it is predicted."""
    bits: list[float]
    """(T - at - 1,): bits of each token after `at`, with the memory."""
    bits_without: list[float]
    """The same after the reset."""
    differences: list[float]
    """(T - at,): the total variation distance of both distributions of the next token, after each token from `at` on:
    0 where they are equal, 1 where they share nothing."""
    before: list[tuple[int, float]]
    """The likeliest tokens after the token `at` with their probabilities, with the memory."""
    after: list[tuple[int, float]]
    """The same after the reset."""

    @property
    def lost(self) -> float:
        """The bits that the text after the reset costs more."""
        return sum(self.bits_without) - sum(self.bits)

    @property
    def agree_after(self) -> int | None:
        """The number of tokens that are read, from `at` on, until both distributions agree for good; None where they
        do not."""
        apart = [place for place, share in enumerate(self.differences) if share > ALIKE]
        first = apart[-1] + 1 if apart else 0
        return first + 1 if first < len(self.differences) else None


def reset(trained: TrainedModel, read: Reading, at: int, count: int = 8) -> Reset:
    """Empty the memory of a recurrent model before the token `at`, 1 or more.

    Raises:
        OptionError: there is no such place; or the model's memory is no state that could be emptied.
    """
    if not 1 <= at < len(read.ids):
        raise OptionError(f"a reset stands before one of the tokens 1 to {len(read.ids) - 1}, and not before {at}")
    if trained.model.context_length is not None:
        raise OptionError(f"{trained.name} keeps all that it reads in its context; only a recurrent model is reset")
    whole = _log_probabilities(trained, read.ids)[at:]
    without = _log_probabilities(trained, read.ids[at:])
    following = torch.tensor(read.ids[at + 1 :])[:, None]
    bits, bits_without = (-part[:-1].gather(1, following)[:, 0] / math.log(2) for part in (whole, without))
    return Reset(
        at,
        bits.tolist(),
        bits_without.tolist(),
        ((whole.exp() - without.exp()).abs().sum(-1) / 2).tolist(),
        _likeliest(whole[0], count),
        _likeliest(without[0], count),
    )


@torch.inference_mode()
def _log_probabilities(trained: TrainedModel, ids: list[int]) -> Tensor:
    """Of the next token after each, (T, V)."""
    found: list[Tensor] = []

    def kept(scores: Tensor, wanted: Tensor, places: Tensor) -> Tensor:
        found.append(scores[:, : trained.tokenizer.vocabulary_size].float().log_softmax(-1).cpu())
        return torch.zeros(len(wanted), device=scores.device)

    row = torch.tensor([ids], device=trained.model.device)
    trained.model(row, row, loss=kept)  # any target will do: every place is counted
    return torch.cat(found)


def _likeliest(log_probabilities: Tensor, count: int) -> list[tuple[int, float]]:
    best = log_probabilities.exp().topk(min(count, len(log_probabilities)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
