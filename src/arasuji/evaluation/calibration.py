"""Calibration: of the tokens that a model gives a probability of 70 %, seven of ten should come true."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from arasuji.corpus import Record
from arasuji.documents import documents_of, records_of
from arasuji.evaluation.answer import CalibrationBin
from arasuji.models import LanguageModel
from arasuji.padding import padded
from arasuji.tokenizers import Tokenizer

BINS = 10
"""The number of bins of equal width between the probabilities 0 and 1."""
ROWS = 32
"""The number of texts that are read at once."""
LENGTH = 64
"""The number of tokens that are predicted of each text."""


@torch.inference_mode()
def calibration(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str | Record], format: str = ""
) -> list[CalibrationBin]:
    """The first tokens of each text, predicted one after the other, in bins by the probability of the likeliest
    candidate (Guo et al. 2017); empty bins are left out."""
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    parts = []
    for document in documents_of(records_of(texts), tokenizer, format, whole=False):
        room = LENGTH if model.context_length is None else model.context_length + 1 - document.counted_from
        parts.append((document.ids[: document.counted_from], document.text_ids[: max(0, min(LENGTH, room))]))
    parts = sorted((part for part in parts if part[1]), key=lambda part: -len(part[1]))
    confidences: list[float] = []
    correct: list[bool] = []
    for start in range(0, len(parts), ROWS):
        rows, state, active = parts[start : start + ROWS], None, 0
        for i in range(len(rows[0][1])):
            reading = [row for row in rows if i < len(row[1])]  # the longer ones come first
            if state is not None and len(reading) < active:
                state = state.select(torch.arange(len(reading), device=device))
            active = len(reading)
            new = [text[i - 1 : i] if i else before for before, text in reading]
            lengths = torch.tensor([len(tokens) for tokens in new], device=device)
            scores, state = model.step(padded(new, tokenizer.pad_id).to(device), lengths, state)
            top = scores[:, : tokenizer.vocabulary_size].float().softmax(-1).max(-1)
            confidences += top.values.tolist()
            correct += (top.indices.cpu() == torch.tensor([text[i] for _, text in reading])).tolist()
    confidence, hits = torch.tensor(confidences), torch.tensor(correct, dtype=torch.float32)
    bin_of = (confidence * BINS).long().clamp(max=BINS - 1)
    inside = [bin_of == number for number in bin_of.unique()]
    return [CalibrationBin(float(confidence[b].mean()), float(hits[b].mean()), int(b.sum())) for b in inside]


def error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: the distance of confidence and accuracy, on average over tokens."""
    return sum(abs(b.confidence - b.accuracy) * b.tokens for b in bins) / max(1, sum(b.tokens for b in bins))
