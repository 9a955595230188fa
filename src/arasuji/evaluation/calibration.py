"""Calibration: of the tokens that a model gives a probability of 70 %, seven of ten should come true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from arasuji.corpus import Record
from arasuji.documents import NO_SHOTS, Shots, documents_of, records_of
from arasuji.evaluation.answer import CalibrationBin
from arasuji.generation.reading import read_documents
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BINS = 10
"""The number of bins of equal width between the probabilities 0 and 1."""
ROWS = 32
"""The number of texts that are read at once."""
LENGTH = 64
"""The number of tokens that are predicted of each text."""


@torch.inference_mode()
def calibration(
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str | Record],
    format: str = "",
    shots: Shots = NO_SHOTS,
) -> list[CalibrationBin]:
    """The first tokens of each text, predicted one after the other after the shots, in bins by the probability of the
    likeliest candidate (Guo et al. 2017); empty bins are left out."""
    model.eval()
    device = model.device
    parts = []
    for document in documents_of(records_of(texts), tokenizer, format, whole=False, shots=shots):
        room = LENGTH if model.context_length is None else model.context_length + 1 - document.counted_from
        beginning = replace(document, ids=document.ids[: document.counted_from])
        parts.append((beginning, document.text_ids[: max(0, min(LENGTH, room))]))
    parts = sorted((part for part in parts if part[1]), key=lambda part: -len(part[1]))
    confidences: list[float] = []
    correct: list[bool] = []
    for start in range(0, len(parts), ROWS):
        rows = parts[start : start + ROWS]
        scores, state = read_documents(model, [beginning for beginning, _ in rows], tokenizer.pad_id)
        texts_read = [text for _, text in rows]  # the longer ones come first
        for i in range(len(texts_read[0])):
            if i:
                longer = [text for text in texts_read if i < len(text)]
                if len(longer) < len(texts_read):
                    state = state.select(torch.arange(len(longer), device=device))
                texts_read = longer
                last = torch.tensor([text[i - 1] for text in texts_read], device=device)
                scores, state = model.step(last[:, None], torch.ones_like(last), state)
            top = scores[:, : tokenizer.vocabulary_size].float().softmax(-1).max(-1)
            confidences += top.values.tolist()
            correct += (top.indices.cpu() == torch.tensor([text[i] for text in texts_read])).tolist()
    confidence, hits = torch.tensor(confidences), torch.tensor(correct, dtype=torch.float32)
    bin_of = (confidence * BINS).long().clamp(max=BINS - 1)
    inside = [bin_of == number for number in bin_of.unique()]
    return [CalibrationBin(float(confidence[b].mean()), float(hits[b].mean()), int(b.sum())) for b in inside]


def error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: the distance of confidence and accuracy, on average over tokens."""
    return sum(abs(b.confidence - b.accuracy) * b.tokens for b in bins) / max(1, sum(b.tokens for b in bins))
