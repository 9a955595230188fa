"""An LSTM and an n-gram model over the same tokens, whose probabilities are mixed (linear interpolation; Jelinek and
Mercer 1980).

The n-gram model counts the training split once, before training. Then the LSTM is trained as if it were alone: on texts
that an n-gram model has counted, it is far too sure to teach another model anything.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor

from arasuji.errors import OptionError
from arasuji.models import IGNORED, Family, Gates, LanguageModel, Loss, TrainingTexts, Vocabulary, _folder, lstm, ngram
from arasuji.models._head import cross_entropy
from arasuji.padding import padded

READ_AT_ONCE = 64
"""The n-gram model counts this many documents at a time."""
LONGEST = 2**20
"""It reads at most this many tokens of a document."""


class Config(lstm.Config):
    """Options of the family `mixture`: those of the LSTM, and these."""

    order: int = Field(5, ge=1, le=8)
    """Tokens in the longest n-gram."""
    discount: float = Field(0.8, gt=0, lt=1)
    """Taken from every count of the n-gram model and given to the shorter context."""
    share: float = Field(0.25, gt=0, lt=1)
    """The weight of the n-gram model's probabilities; the LSTM's have the rest."""


@dataclass
class MixtureState:
    """What both models remember."""

    lstm: Any
    ngram: ngram.NgramState

    def select(self, rows: Tensor) -> Self:
        return type(self)(self.lstm.select(rows), self.ngram.select(rows))

    def join(self, other: Self) -> Self:
        return type(self)(self.lstm.join(other.lstm), self.ngram.join(other.ngram))

    def detach(self) -> Self:
        return type(self)(self.lstm.detach(), self.ngram.detach())

    def tensors(self) -> dict[str, Tensor]:
        return self.lstm.tensors() | self.ngram.tensors()


class Mixture(LanguageModel):
    """See `LanguageModel` for the shapes. The scores are log-probabilities."""

    def __init__(self, config: Config, neural: LanguageModel, counts: ngram.Ngram) -> None:
        super().__init__()
        self.config, self.vocabulary_size = config, neural.vocabulary_size
        self.lstm, self.ngram = neural, counts

    def begin(self, texts: TrainingTexts) -> None:
        self.lstm.begin(texts)
        self.ngram.train()
        for start in range(0, len(texts), READ_AT_ONCE):
            rows = [texts.read(i, LONGEST) for i in range(start, min(start + READ_AT_ONCE, len(texts)))]
            self.ngram(padded([ids for ids, _ in rows], 0), padded([targets for _, targets in rows], IGNORED))
        self.ngram.eval()

    @property
    def vectors(self) -> Tensor | None:
        return self.lstm.vectors

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.ngram.eval()  # it counts before training alone
        return self

    def forward(
        self, ids: Tensor, targets: Tensor, state: MixtureState | None = None, loss: Loss | None = None
    ) -> tuple[Tensor, MixtureState]:
        before = (state.lstm, state.ngram) if state else (None, None)
        if self.training:
            losses, after = self.lstm(ids, targets, before[0], loss)
            with torch.no_grad():
                _, history = self.ngram(ids, torch.full_like(targets, IGNORED), before[1])
            return losses, MixtureState(after, history)
        if loss is None:
            (first, after), (second, history) = self.lstm(ids, targets, before[0]), self.ngram(ids, targets, before[1])
            mixed = -self._mixed(-first, -second) * (targets != IGNORED)
            return mixed, MixtureState(after, history)
        scores, after = _scores(self.lstm, ids, targets, before[0])
        counted, history = _scores(self.ngram, ids, targets, before[1])
        chosen = targets != IGNORED
        losses = torch.zeros(targets.shape, device=ids.device)
        losses[chosen] = loss(self._mixed(scores, counted), targets[chosen], chosen.flatten().nonzero()[:, 0])
        return losses, MixtureState(after, history)

    def step(self, ids: Tensor, lengths: Tensor, state: MixtureState | None = None) -> tuple[Tensor, MixtureState]:
        before = (state.lstm, state.ngram) if state else (None, None)
        scores, after = self.lstm.step(ids, lengths, before[0])
        counted, history = self.ngram.step(ids, lengths, before[1])
        return self._mixed(scores.log_softmax(-1), counted), MixtureState(after, history)

    def gates(self, ids: Tensor) -> Gates | None:
        return self.lstm.gates(ids)

    def _mixed(self, neural: Tensor, counted: Tensor) -> Tensor:
        """Log-probabilities of both models -> those of the mixture."""
        share = self.config.share
        return torch.logaddexp(neural.float() + math.log1p(-share), counted + math.log(share))

    def learned(self) -> dict[str, Tensor]:
        return self.lstm.learned()  # the n-gram model counts the same texts again when a run is resumed

    def restore(self, learned: dict[str, Tensor]) -> None:
        self.lstm.restore(learned)

    def state_from(self, tensors: dict[str, Tensor]) -> MixtureState:
        return MixtureState(self.lstm.state_from(tensors), self.ngram.state_from(tensors))

    def size(self) -> dict[str, int]:
        neural, counts = self.lstm.size(), self.ngram.size()
        return {"parameters": neural["parameters"] + counts["parameters"], "trained": neural["trained"]}

    def save(self, folder: Path) -> None:
        for name, model in (("lstm", self.lstm), ("ngram", self.ngram)):
            (folder / name).mkdir()
            model.save(folder / name)
        _folder.save(folder, self.config, self.vocabulary_size, {})


def _scores(model: LanguageModel, ids: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Any]:
    """The log-probabilities (n, V) of the n counted positions, and the state."""
    found: list[Tensor] = []

    def kept(scores: Tensor, wanted: Tensor, places: Tensor) -> Tensor:
        found.append(scores.float().log_softmax(-1))
        return cross_entropy(scores, wanted)

    _, state = model(ids, targets, state, kept)
    return torch.cat(found) if found else torch.zeros(0, model.vocabulary_size, device=ids.device), state


def build(config: Config, tokenizer: Vocabulary, base: Path | None = None) -> Mixture:
    """A new LSTM beside an n-gram model that has counted nothing."""
    if base is not None:
        raise OptionError("the family 'mixture' trains from nothing; drop the option base")
    return Mixture(
        config, lstm.build(_of(lstm.Config, config), tokenizer), ngram.build(_of(ngram.Config, config), tokenizer)
    )


def load(folder: Path, precision: torch.dtype = torch.float32) -> Mixture:
    """A saved mixture, in evaluation mode; for torch.int8 a folder that `quantize` has written."""
    options, _, _ = _folder.load(folder)
    return Mixture(Config(**options), lstm.load(folder / "lstm", precision), ngram.load(folder / "ngram")).eval()


def quantize(folder: Path, target: Path) -> None:
    """Write the mixture of a folder into another one, the LSTM's matrices in 8 bits."""
    (target / "lstm").mkdir()
    lstm.quantize(folder / "lstm", target / "lstm")
    shutil.copytree(folder / "ngram", target / "ngram")
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(folder / name, target / name)


FAMILY = Family(Config, build, load, quantize, frozenset({"memory"}))


def _of(kind: Any, config: Config) -> Any:
    """The options of one of the two models."""
    return kind(**{name: value for name, value in config.model_dump().items() if name in kind.model_fields})
