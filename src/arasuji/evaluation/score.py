"""Bits per byte of texts: the one figure in which models with different tokenizers can be compared.

Each document is read alone after one uncounted end token, and its closing end token is counted. A document beyond
the model's context is scored whole: windows overlap by half, and each target is counted in the first that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from arasuji.models import IGNORED, LanguageModel
from arasuji.tokenizers import Tokenizer

BATCH_TOKENS = 2048
"""Tokens of a scoring batch, pads included."""
RESAMPLES = 10_000
"""Bootstrap resamples behind an interval."""


@dataclass(frozen=True)
class Score:
    """What a model paid for each of some documents."""

    nats: list[float]
    """-ln p of each document, its end included."""
    bytes: list[int]
    """UTF-8 bytes of each document."""
    tokens: int
    """Targets counted, ends included."""
    groups: list[str]
    """The group of each document; groups, not documents, are independent of each other."""
    charge: float | None
    """Nats added for what the tokenizer throws away: 0 where it throws nothing away; None where it does and the
    charge is not known, which makes the figure a lower bound."""

    @property
    def bits_per_byte(self) -> float:
        """Total nats / total bytes / ln 2."""
        return (sum(self.nats) + (self.charge or 0)) / max(1, sum(self.bytes)) / math.log(2)

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % of the bootstrap distribution of the ratio, groups drawn with replacement; each byte bears its share of
        the charge."""
        names = sorted(set(self.groups))
        place = {name: i for i, name in enumerate(names)}
        nats, size = np.zeros(len(names)), np.zeros(len(names))
        for group, n, b in zip(self.groups, self.nats, self.bytes, strict=True):
            nats[place[group]] += n
            size[place[group]] += b
        rng = np.random.default_rng(seed)
        ratios = np.empty(RESAMPLES)
        for start in range(0, RESAMPLES, 500):
            drawn = rng.integers(len(names), size=(500, len(names)))
            ratios[start : start + 500] = nats[drawn].sum(1) / np.maximum(size[drawn].sum(1), 1)
        ratios += (self.charge or 0) / max(1, sum(self.bytes))
        low, high = np.quantile(ratios, [0.025, 0.975]) / math.log(2)
        return float(low), float(high)


def _windows(tokens: list[int], end_id: int, limit: int | None) -> Iterator[tuple[list[int], list[int]]]:
    """(ids, targets) of a document's rows, targets `IGNORED` where an earlier window has counted them."""
    ids, targets = [end_id, *tokens], [*tokens, end_id]
    limit = limit or len(ids)
    counted = 0
    for start in range(0, len(ids), max(1, limit // 2)):
        stop = min(start + limit, len(ids))
        yield ids[start:stop], [IGNORED] * (counted - start) + targets[counted:stop]
        counted = stop
        if stop == len(ids):
            return


@torch.inference_mode()
def score(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Score each text alone. `groups` defaults to each text being its own."""
    training = model.training
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    encoded = [tokenizer.encode(text) for text in texts]
    rows = [
        (document, ids, targets)
        for document, tokens in enumerate(encoded)
        for ids, targets in _windows(tokens, tokenizer.end_id, model.context_length)
    ]
    rows.sort(key=lambda row: -len(row[1]))
    nats = torch.zeros(len(texts), dtype=torch.float64)
    while rows:
        width = len(rows[0][1])
        batch, rows = rows[: max(1, BATCH_TOKENS // width)], rows[max(1, BATCH_TOKENS // width) :]
        ids = torch.full((len(batch), width), tokenizer.pad_id)
        targets = torch.full((len(batch), width), IGNORED)
        for i, (_, row_ids, row_targets) in enumerate(batch):
            ids[i, : len(row_ids)] = torch.tensor(row_ids)
            targets[i, : len(row_targets)] = torch.tensor(row_targets)
        priced, _ = model(ids.to(device), targets.to(device))
        nats.index_add_(0, torch.tensor([row[0] for row in batch]), priced.cpu().double().sum(1))
    model.train(training)
    returned = all(tokenizer.decode(ids) == text for ids, text in zip(encoded, texts, strict=True))
    return Score(
        nats=nats.tolist(),
        bytes=[len(text.encode()) for text in texts],
        tokens=sum(len(ids) + 1 for ids in encoded),
        groups=list(groups) if groups is not None else [str(i) for i in range(len(texts))],
        charge=0.0 if tokenizer.lossless and returned else None,
    )
