"""Bits per byte of texts: the one figure in which models with different tokenizers can be compared.

Each document is read alone after one uncounted end token, and its closing end token is counted. A document that is
longer than the model's context is scored whole: windows overlap by half, and each target is counted in the first window
that holds it.

Shots stand before each document, and are read once for each batch of documents. The tokens that fit into the context
together with the shots are predicted with them; those beyond are predicted as they are without shots, in the windows of
the document alone. So the same tokens are counted with any number of shots, and shots never push the beginning of a
document out of the context.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from arasuji import forks, notebook
from arasuji.corpus import Record
from arasuji.documents import NO_SHOTS, Document, Shots, documents_of, records_of
from arasuji.evaluation import bootstrap
from arasuji.evaluation.charge import Charge
from arasuji.generation.reading import state_after
from arasuji.models import IGNORED, LanguageModel
from arasuji.padding import padded
from arasuji.tokenizers import Tokenizer

BATCH_TOKENS = 2048
"""The most tokens of a scoring batch, pads included."""


@dataclass(frozen=True)
class Score:
    """The negative log-likelihood (nll) of each token of some documents, and of their ends."""

    nll: list[list[float]]
    """-ln p of each token of each document, and of its end, in nats."""
    charges: list[list[float]] | None
    """The tokenizer's charge for each token, in nats: 0 for a lossless tokenizer; None where the charge is not known,
    which makes the figures a lower bound."""
    bytes: list[int]
    """The UTF-8 bytes of each document."""
    groups: list[str]
    """The group of each document; groups, not documents, are independent of each other."""

    @property
    def document_nll(self) -> list[float]:
        """The negative log-likelihood of each document in nats, the charge included."""
        nll = [sum(tokens) for tokens in self.nll]
        return nll if self.charges is None else [a + sum(b) for a, b in zip(nll, self.charges, strict=True)]

    @property
    def tokens(self) -> int:
        """The number of targets, ends included."""
        return sum(map(len, self.nll))

    @property
    def charge(self) -> float | None:
        """The part of the bits per byte that is the tokenizer's charge; None where it is not known."""
        return None if self.charges is None else self._rate(sum(map(sum, self.charges)))

    @property
    def bits_per_byte(self) -> float:
        """Total nats / total bytes / ln 2."""
        return self._rate(sum(self.document_nll))

    def _rate(self, nats: float) -> float:
        return nats / max(1, sum(self.bytes)) / math.log(2)

    def interval(self, seed: int = 0) -> tuple[float, float] | None:
        """The 95 % interval of the bits per byte, by the bootstrap of groups; None of fewer than two groups."""
        found = bootstrap.interval(self.document_nll, self.bytes, self.groups, seed)
        return found and (found[0] / math.log(2), found[1] / math.log(2))

    def __repr__(self) -> str:
        return f"<{self.bits_per_byte:.3f} bits per byte of {len(self.bytes):,} texts>"

    def _repr_html_(self) -> str:
        found, charge = self.interval(), self.charge
        said = f"{len(self.bytes):,} texts, {sum(self.bytes):,} bytes, {self.tokens:,} tokens"
        if found:
            said += f"; 95 % interval {found[0]:.3f} to {found[1]:.3f}"
        if charge is None:
            said += "; a lower bound, since what the tokenizer throws away is not charged"
        elif charge:
            said += f"; {charge:.3f} of these bits are the charge for what the tokenizer throws away"
        bits = notebook.paragraph(f"{self.bits_per_byte:.3f} bits per byte", "font-size:1.2em")
        return notebook.block(bits, notebook.paragraph(said, notebook.FAINT))


class _Window(NamedTuple):
    """A row that is read at once."""

    after_shots: bool
    """Whether the shots have been read before it."""
    ids: list[int]
    targets: list[int]
    """`IGNORED` before the text, and where an earlier window has counted them."""


def _windows(document: Document, limit: int | None) -> Iterator[_Window]:
    """The rows of a document: what there is room for after the shots, then the windows of the document without them."""
    ids = document.ids[document.shots : -1]
    targets = [IGNORED] * (document.counted_from - document.shots - 1) + document.text_ids
    limit = limit or len(document.ids)
    counted = min(limit - document.shots, len(ids))
    yield _Window(document.shots > 0, ids[:counted], targets[:counted])
    for start in range(0, len(ids), max(1, limit // 2)):
        stop = min(start + limit, len(ids))
        if stop > counted:
            yield _Window(False, ids[start:stop], [IGNORED] * (counted - start) + targets[counted:stop])
            counted = stop


@torch.inference_mode()
def score(
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str | Record],
    groups: Sequence[str] | None = None,
    charge: Charge | None = None,
    format: str = "",
    shots: Shots = NO_SHOTS,
) -> Score:
    """Score each text alone, after the shots; records bring the fields that `format` tells the model. `groups` defaults
    to a group of its own for each text; `charge` is that of a tokenizer that is not lossless."""
    forks.check()
    training = model.training
    model.eval()
    device = model.device
    records = records_of(texts)
    documents = list(documents_of(records, tokenizer, format, shots=shots))
    rows = [
        (number, window)
        for number, document in enumerate(documents)
        for window in _windows(document, model.context_length)
    ]
    order = sorted(range(len(rows)), key=lambda j: (rows[j][1].after_shots, -len(rows[j][1].ids)))
    nll_of_row: dict[int, list[float]] = {}
    while order:
        longest = rows[order[0]][1]
        most = max(1, BATCH_TOKENS // len(longest.ids))
        batch = [j for j in order[:most] if rows[j][1].after_shots == longest.after_shots]
        order = order[len(batch) :]
        state = state_after(model, shots.ids, len(batch)) if longest.after_shots else None
        ids = padded([rows[j][1].ids for j in batch], tokenizer.pad_id)
        targets = padded([rows[j][1].targets for j in batch], IGNORED)
        nats = model(ids.to(device), targets.to(device), state)[0].cpu().double()
        nll_of_row |= {j: row[wanted != IGNORED].tolist() for j, row, wanted in zip(batch, nats, targets, strict=True)}
    model.train(training)
    nll: list[list[float]] = [[] for _ in records]
    for j, (number, _) in enumerate(rows):  # the windows of a document, in order
        nll[number] += nll_of_row[j]
    lossless = tokenizer.lossless and all(
        tokenizer.decode(document.text_ids[:-1]) == record.text
        for document, record in zip(documents, records, strict=True)
    )
    nothing = [[0.0] * len(tokens) for tokens in nll] if lossless else None
    return Score(
        nll=nll,
        charges=[charge.nll(record.text) for record in records] if charge else nothing,
        bytes=[len(record.text.encode()) for record in records],
        groups=list(groups) if groups is not None else [str(i) for i in range(len(records))],
    )
