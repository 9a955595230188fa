"""Bits per byte of texts: the one figure in which models with different tokenizers can be compared.

Each document is read alone after one uncounted end token, and its closing end token is counted. A document beyond
the model's context is scored whole: windows overlap by half, and each target is counted in the first that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from arasuji import forks
from arasuji.evaluation import bootstrap
from arasuji.evaluation.charge import Charge
from arasuji.models import IGNORED, LanguageModel
from arasuji.tokenizers import Tokenizer

BATCH_TOKENS = 2048
"""Tokens of a scoring batch, pads included."""


@dataclass(frozen=True)
class Score:
    """What a model paid for each token of some documents, and for their ends."""

    prices: list[list[float]]
    """-ln p of each token of each document, and of its end."""
    charges: list[list[float]] | None
    """Nats added to each for what the tokenizer throws away: 0 where it throws nothing away; None where it does and the
    charge is not known, which makes the figures a lower bound."""
    bytes: list[int]
    """UTF-8 bytes of each document."""
    groups: list[str]
    """The group of each document; groups, not documents, are independent of each other."""

    @property
    def nats(self) -> list[float]:
        """Of each document, with what is charged."""
        paid = [sum(prices) for prices in self.prices]
        return paid if self.charges is None else [a + sum(b) for a, b in zip(paid, self.charges, strict=True)]

    @property
    def tokens(self) -> int:
        """Targets counted, ends included."""
        return sum(map(len, self.prices))

    @property
    def charge(self) -> float | None:
        """The part of the bits per byte that is charged."""
        return None if self.charges is None else self._rate(sum(map(sum, self.charges)))

    @property
    def bits_per_byte(self) -> float:
        """Total nats / total bytes / ln 2."""
        return self._rate(sum(self.nats))

    def _rate(self, nats: float) -> float:
        return nats / max(1, sum(self.bytes)) / math.log(2)

    def interval(self, seed: int = 0) -> tuple[float, float] | None:
        """95 % of the bootstrap distribution of the bits per byte, by group; None of a single group, which says nothing
        about others."""
        if len(set(self.groups)) < 2:
            return None
        low, high = bootstrap.interval(self.nats, self.bytes, self.groups, seed)
        return low / math.log(2), high / math.log(2)


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
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    groups: Sequence[str] | None = None,
    charge: Charge | None = None,
) -> Score:
    """Score each text alone. `groups` defaults to each text being its own; `charge` is what a tokenizer that is not
    lossless has to pay besides."""
    forks.check()
    training = model.training
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    encoded = [tokenizer.encode(text) for text in texts]
    rows = [
        (document, ids, targets)
        for document, tokens in enumerate(encoded)
        for ids, targets in _windows(tokens, tokenizer.end_id, model.context_length)
    ]
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i][1]))
    priced: dict[int, list[float]] = {}
    while order:
        width = len(rows[order[0]][1])
        batch, order = order[: max(1, BATCH_TOKENS // width)], order[max(1, BATCH_TOKENS // width) :]
        ids = torch.full((len(batch), width), tokenizer.pad_id)
        targets = torch.full((len(batch), width), IGNORED)
        for i, (_, row_ids, row_targets) in enumerate(rows[j] for j in batch):
            ids[i, : len(row_ids)] = torch.tensor(row_ids)
            targets[i, : len(row_targets)] = torch.tensor(row_targets)
        nats = model(ids.to(device), targets.to(device))[0].cpu().double()
        priced |= {j: row[wanted != IGNORED].tolist() for j, row, wanted in zip(batch, nats, targets, strict=True)}
    model.train(training)
    prices: list[list[float]] = [[] for _ in texts]
    for j, (document, _, _) in enumerate(rows):  # the windows of a document, in order
        prices[document] += priced[j]
    returned = tokenizer.lossless and all(tokenizer.decode(i) == text for i, text in zip(encoded, texts, strict=True))
    free = [[0.0] * len(paid) for paid in prices] if returned else None
    return Score(
        prices=prices,
        charges=[charge.nats(text) for text in texts] if charge else free,
        bytes=[len(text.encode()) for text in texts],
        groups=list(groups) if groups is not None else [str(i) for i in range(len(texts))],
    )
