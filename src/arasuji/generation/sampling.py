"""From scores to the next token: pure functions on tensors.

Scores are logits or log-probabilities, (B, V) float32. Each function returns new scores, with -inf where a token
may not be taken. Checked against the warpers of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from arasuji.config import SamplingConfig
from arasuji.generation.processors import NEVER

BLOCK = 32
"""To find the highest scores, the highest one of every 32 is looked at first."""
SORTED = 1024
"""Up to this many tokens, sorting all of them is the quickest way to a nucleus."""
AHEAD = 64
"""The random numbers of a text are drawn 64 at a time."""
HIGHEST_HALF = 0x3F80
"""The upper 16 bits of the float32 number 1."""


class Candidates(NamedTuple):
    """The tokens that each row chooses among."""

    scores: Tensor
    """(B, K) float32, -inf where one may not be taken after all; ready for softmax."""
    ids: Tensor
    """(B, K) int64, rising in each row."""


Column = Tensor | float
"""A number for all rows, or a column (B, 1) float32 with one for each."""


def keep_top_p(scores: Tensor, p: Column) -> Tensor:
    """Keep the fewest likeliest tokens whose probabilities reach p, at least one (nucleus, Holtzman et al. 2020). Of
    equally likely ones the first are kept."""
    shares = scores.softmax(-1).nan_to_num(0)  # of a row without a token
    kept = _nucleus_of_many(shares, p) if scores.shape[1] > SORTED else _nucleus(shares, p)
    return scores.masked_fill(~kept, NEVER)


def _nucleus(shares: Tensor, p: Column, above: Column = 0.0) -> Tensor:
    """Which of the shares (B, K) are needed to reach p together with the share `above` (B, 1) of larger ones."""
    falling, order = shares.sort(dim=-1, descending=True, stable=True)
    needed = above + falling.cumsum(-1) - falling < p
    needed[:, 0] = True
    return torch.zeros_like(needed).scatter(-1, order, needed)


def _nucleus_of_many(shares: Tensor, p: Column) -> Tensor:
    """The same without sorting a whole vocabulary, which takes longer than a small model's step: shares are summed by
    the upper half of their bits, which rises with them, and only those that have the half at which p is reached are
    sorted. Shares under (1 - p) / K are not needed, since all of them together are fewer than 1 - p."""
    rows, size = shares.shape
    rest = 1 - (float(p.max()) if isinstance(p, Tensor) else p)
    halves = HIGHEST_HALF - int(_half(torch.tensor(rest / size))) + 1
    place = (HIGHEST_HALF - _half(shares)).clamp(max=halves).long()  # 0 is the half of the largest shares
    exact = shares if shares.device.type == "mps" else shares.double()  # of many small shares; MPS has no float64
    reached = torch.zeros_like(exact[:, :1]).expand(rows, halves + 1).scatter_add(1, place, exact).cumsum(1)
    last = (reached < p).sum(1, keepdim=True).clamp(max=halves)
    kept, (row, token) = place < last, (place == last).nonzero(as_tuple=True)
    counts = row.bincount(minlength=rows)
    column = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    few = shares.new_zeros(rows, max(1, int(counts.max()))).index_put_((row, column), shares[row, token])
    needed = _nucleus(few, p, pad(reached, (1, 0)).gather(1, last)) & (few > 0)
    kept[row, token] = needed[row, column]
    return kept


def _half(shares: Tensor) -> Tensor:
    """The upper 16 bits of float32 numbers, int32."""
    return shares.view(torch.int32) >> 16


def keep_min_p(scores: Tensor, log_p: Column) -> Tensor:
    """Keep tokens with at least the share p of the likeliest one's probability (Nguyen et al. 2024)."""
    return scores.masked_fill(scores < scores.amax(-1, keepdim=True) + log_p, NEVER)


def kind_of(config: SamplingConfig) -> tuple[object, ...]:
    """Rows of one kind are narrowed together: they keep the same number of tokens, by the same steps."""
    return config.greedy, config.num_beams, config.top_k, config.top_p < 1, config.min_p > 0


def candidates(scores: Tensor, configs: Sequence[SamplingConfig], end_id: int) -> Candidates:
    """The tokens that each row chooses among: its scores over the temperature, and the likeliest of them (top-k, top-p,
    min-p); at temperature 0 the likeliest, two a beam. A row that may write nothing ends.

    configs: (B,), all of one kind.
    """
    kept, ids = _narrowed(scores, configs)
    nothing = kept.amax(-1) == NEVER
    if nothing.any():
        kept, ids = kept.clone(), ids.clone()
        kept[nothing, 0], ids[nothing, 0] = 0.0, end_id
    return Candidates(kept, ids)


def _narrowed(scores: Tensor, configs: Sequence[SamplingConfig]) -> Candidates:
    def column(of: Callable[[SamplingConfig], float]) -> Column:
        values = [of(config) for config in configs]
        return values[0] if len(set(values)) == 1 else scores.new_tensor(values)[:, None]

    config = configs[0]
    if config.greedy:
        return _likeliest(scores, 2 * config.num_beams)
    ids = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape)
    if config.top_k:  # before the temperature, which changes no order: few are left to be divided
        scores, ids = _likeliest(scores, config.top_k)
    scores = scores / column(lambda c: c.temperature)
    if config.top_p < 1:
        scores = keep_top_p(scores, column(lambda c: c.top_p))
    if config.min_p:
        scores = keep_min_p(scores, column(lambda c: math.log(c.min_p)))
    return Candidates(scores, ids)


def _likeliest(scores: Tensor, count: int) -> Candidates:
    """The highest scores of each row (top-k, Fan et al. 2018).

    Of many, they are among the blocks with the highest maxima: finding maxima is far quicker than finding many scores.
    """
    size = scores.shape[-1]
    ids = torch.arange(size, device=scores.device).expand(scores.shape)
    some = scores
    if size > 2 * BLOCK * count:
        whole = size // BLOCK * BLOCK
        best = scores[:, :whole].unflatten(1, (-1, BLOCK)).amax(-1).topk(count, sorted=False).indices
        within = best[:, :, None] * BLOCK + torch.arange(BLOCK, device=scores.device)
        ids = torch.cat([within.flatten(1), ids[:, whole:]], 1)
        some = scores.gather(-1, ids)
    ids = ids.gather(-1, some.topk(min(count, size), sorted=False).indices).sort(-1).values
    return Candidates(scores.gather(-1, ids), ids)


def uniform(generator: torch.Generator) -> Iterator[float]:
    """Numbers from 0 to 1, drawn ahead, since it is the start of a draw that takes time; they stay the same."""
    while True:
        yield from torch.rand(AHEAD, generator=generator, dtype=torch.float64).tolist()


def draw(scores: Tensor, numbers: Sequence[Iterator[float]]) -> Tensor:
    """One place a row by its probability, each row by its own numbers (`uniform`): (B, K) -> (B,) int64.

    The inverse of the cumulative distribution at the number: what a row draws does not depend on the others.
    """
    shares = scores.softmax(-1)
    if shares.device.type == "mps":  # it has no float64
        shares = shares.cpu()
    cumulative = shares.cumsum(-1, dtype=torch.float64)  # stays on a GPU: 8 bytes a token are much to copy
    own = torch.tensor([next(row) for row in numbers], dtype=torch.float64, device=cumulative.device)
    places = torch.searchsorted(cumulative, own[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return places.clamp(max=scores.shape[-1] - 1).to(scores.device)
