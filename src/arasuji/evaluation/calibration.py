"""Whether a model is as sure as it is right: of the tokens that it gives 70 %, seven of ten should come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BINS = 10
ROWS = 32
"""Texts that are read at once."""
LENGTH = 64
"""Tokens that are foretold of each text."""


class Bin(NamedTuple):
    """Tokens whose likeliest candidate had about the same probability."""

    sure: float
    """That probability, on average,"""
    right: float
    """and the share of them in which it came true."""
    tokens: int


@torch.inference_mode()
def calibration(model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str]) -> list[Bin]:
    """Of the first tokens of each text, foretold one after the other: bins of equal width from 0 to 1, empty ones left
    out (Guo et al. 2017)."""
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    limit = min(LENGTH, model.context_length or LENGTH)
    encoded = sorted(([tokenizer.end_id, *tokenizer.encode(text)[:limit]] for text in texts), key=len, reverse=True)
    sure: list[float] = []
    right: list[bool] = []
    for start in range(0, len(encoded), ROWS):
        rows, state, active = encoded[start : start + ROWS], None, 0
        for i in range(len(rows[0]) - 1):
            reading = [row for row in rows if i + 1 < len(row)]  # the longer ones come first
            if state is not None and len(reading) < active:
                state = state.select(torch.arange(len(reading), device=device))
            active = len(reading)
            ids = torch.tensor([[row[i]] for row in reading], device=device)
            scores, state = model.step(ids, torch.ones(active, dtype=torch.int64, device=device), state)
            top = scores[:, : tokenizer.vocabulary_size].float().softmax(-1).max(-1)
            sure += top.values.tolist()
            right += (top.indices.cpu() == torch.tensor([row[i + 1] for row in reading])).tolist()
    place = (torch.tensor(sure) * BINS).long().clamp(max=BINS - 1)
    found = []
    for number in place.unique().tolist():
        inside = place == number
        hits = torch.tensor(right, dtype=torch.float32)[inside]
        found.append(Bin(float(torch.tensor(sure)[inside].mean()), float(hits.mean()), int(inside.sum())))
    return found


def error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: how far sureness and success are apart, on average over tokens."""
    return sum(abs(b.sure - b.right) * b.tokens for b in bins) / max(1, sum(b.tokens for b in bins))
