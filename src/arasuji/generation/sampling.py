"""From scores to the next token: pure functions on tensors, in the order in which they are applied.

Scores are logits or log-probabilities, (B, V) float32. Each function returns new scores, with -inf where a token
may not be taken. Checked against the warpers of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from arasuji.config import SamplingConfig

NEVER = float("-inf")


def penalize_repetition(scores: Tensor, written: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """Divide the positive scores of tokens already in the text by `penalty`, multiply the negative ones.

    Equation 3 of CTRL (Keskar et al. 2019). written[b]: the tokens of row b so far, prompt included.
    """
    scores = scores.clone()
    for row, tokens in zip(scores, written, strict=True):
        seen = torch.tensor(sorted(set(tokens)), dtype=torch.int64, device=scores.device)
        row[seen] = torch.where(row[seen] > 0, row[seen] / penalty, row[seen] * penalty)
    return scores


def forbid_repeated_ngrams(scores: Tensor, written: Sequence[Sequence[int]], size: int) -> Tensor:
    """Forbid every token that would complete a run of `size` tokens already in the text (Paulus et al. 2018)."""
    scores = scores.clone()
    for row, tokens in zip(scores, written, strict=True):
        tail = list(tokens[len(tokens) - size + 1 :]) if size > 1 else []
        if len(tokens) + 1 < size:
            continue
        starts = range(len(tokens) - size + 1)
        banned = {tokens[i + size - 1] for i in starts if list(tokens[i : i + size - 1]) == tail}
        row[torch.tensor(sorted(banned), dtype=torch.int64, device=scores.device)] = NEVER
    return scores


def keep_top_k(scores: Tensor, k: int) -> Tensor:
    """Keep the k highest scores of each row (Fan et al. 2018)."""
    lowest = scores.topk(min(k, scores.shape[-1])).values[:, -1:]
    return scores.masked_fill(scores < lowest, NEVER)


def keep_top_p(scores: Tensor, p: float) -> Tensor:
    """Keep the fewest likeliest tokens whose probabilities reach p, at least one (nucleus, Holtzman et al. 2020)."""
    ascending, order = scores.sort(dim=-1)
    dropped = ascending.softmax(-1).cumsum(-1) <= 1 - p
    dropped[:, -1] = False
    return scores.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), NEVER)


def keep_min_p(scores: Tensor, p: float) -> Tensor:
    """Keep tokens with at least the share p of the likeliest one's probability (Nguyen et al. 2024)."""
    probabilities = scores.softmax(-1)
    return scores.masked_fill(probabilities < p * probabilities.amax(-1, keepdim=True), NEVER)


def shaped(
    scores: Tensor,
    written: Sequence[Sequence[int]],
    new: Sequence[int],
    config: SamplingConfig,
    end_id: int,
    never: Sequence[int],
) -> Tensor:
    """All of the above as `config` asks: (B, V) -> (B, V), ready for softmax or, at temperature 0, for argmax.

    new[b] counts the tokens written in row b so far; `never` lists ids that are not written at all.
    """
    scores = scores.clone()
    scores[:, list(never)] = NEVER
    if config.repetition_penalty != 1:
        scores = penalize_repetition(scores, written, config.repetition_penalty)
    if config.no_repeat_ngram_size:
        scores = forbid_repeated_ngrams(scores, written, config.no_repeat_ngram_size)
    if config.min_length:
        short = torch.tensor([n < config.min_length for n in new], device=scores.device)
        scores[short, end_id] = NEVER
    scores[scores.isneginf().all(-1), end_id] = 0.0  # where nothing may be written, the text ends
    if config.temperature == 0:
        return scores
    scores = scores / config.temperature
    if config.top_k:
        scores = keep_top_k(scores, config.top_k)
    if config.top_p < 1:
        scores = keep_top_p(scores, config.top_p)
    if config.min_p:
        scores = keep_min_p(scores, config.min_p)
    return scores


def draw(scores: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """One token a row by its probability, each row with its own generator: (B, V) -> (B,) int64.

    The inverse of the cumulative distribution at a uniform number: what a row draws does not depend on the others.
    """
    uniform = torch.stack([torch.rand((), generator=g, dtype=torch.float64) for g in generators])
    cumulative = scores.cpu().double().softmax(-1).cumsum(-1)
    target = (uniform * cumulative[:, -1])[:, None]
    return torch.searchsorted(cumulative, target, right=True)[:, 0].clamp(max=scores.shape[-1] - 1).to(scores.device)
