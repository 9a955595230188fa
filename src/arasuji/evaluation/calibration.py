"""Calibration: of the tokens that a model gives a probability of 70 %, seven of ten should come true."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from arasuji.evaluation.answer import CalibrationBin
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BINS = 10
"""The number of bins of equal width between the probabilities 0 and 1."""
ROWS = 32
"""The number of texts that are read at once."""
LENGTH = 64
"""The number of tokens that are predicted of each text."""


@torch.inference_mode()
def calibration(model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str]) -> list[CalibrationBin]:
    """The first tokens of each text, predicted one after the other, in bins by the probability of the likeliest
    candidate (Guo et al. 2017); empty bins are left out."""
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    limit = min(LENGTH, model.context_length or LENGTH)
    encoded = sorted(([tokenizer.end_id, *tokenizer.encode(text)[:limit]] for text in texts), key=len, reverse=True)
    confidences: list[float] = []
    correct: list[bool] = []
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
            confidences += top.values.tolist()
            correct += (top.indices.cpu() == torch.tensor([row[i + 1] for row in reading])).tolist()
    confidence, hits = torch.tensor(confidences), torch.tensor(correct, dtype=torch.float32)
    bin_of = (confidence * BINS).long().clamp(max=BINS - 1)
    inside = [bin_of == number for number in bin_of.unique()]
    return [CalibrationBin(float(confidence[b].mean()), float(hits[b].mean()), int(b.sum())) for b in inside]


def error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: the distance of confidence and accuracy, on average over tokens."""
    return sum(abs(b.confidence - b.accuracy) * b.tokens for b in bins) / max(1, sum(b.tokens for b in bins))
