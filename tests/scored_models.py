"""Models to be scored: small ones with opinions, and one that has none."""

from __future__ import annotations

import math

import torch
from conftest import small_model

from arasuji.corpus import Record
from arasuji.corpus.index import numbered
from arasuji.corpus.suffixes import Suffixes, sorted_suffixes
from arasuji.models import IGNORED, LanguageModel

TEXTS = ["The old keeper lights the lamp.", "", "🌊", "A letter arrives from the sea, and nobody reads it. " * 2, "So."]


def opinionated(family: str, tokenizer, **options):
    """A small random model whose probabilities are far from alike."""
    made = small_model(family, tokenizer, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    if family == "ngram":
        row = torch.tensor([[tokenizer.end_id, *tokenizer.encode(TEXTS[0]), tokenizer.end_id]])
        made.train()
        made(row[:, :-1], row[:, 1:])
    return made.eval()


class Uniform(LanguageModel):
    """Every token costs the same."""

    def __init__(self, size: int, context_length: int | None = None) -> None:
        super().__init__()
        self.size, self.context_length = size, context_length

    def forward(self, ids, targets, state=None):
        assert self.context_length is None or ids.shape[1] <= self.context_length
        return (targets != IGNORED) * math.log(self.size), None

    def step(self, ids, lengths, state=None):
        raise AssertionError("scoring only prices")

    def save(self, folder):
        raise AssertionError("scoring only prices")


def training_of(*texts: str) -> Suffixes:
    return sorted_suffixes(numbered([Record("", text) for text in texts]))
