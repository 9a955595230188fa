"""The LSTM (Hochreiter and Schmidhuber 1997) as a language model: embedding, layers, dropout, linear."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from arasuji.errors import OptionError
from arasuji.models import Family, Gates, LanguageModel, Loss, TrainingTexts, Vocabulary, _folder
from arasuji.models._checked import Matrix, Shape, check, floats, in_8_bits
from arasuji.models._head import AdaptiveSoftmax, linear_cross_entropy, token_losses

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The parameters of a layer, as torch's LSTM names and orders them."""


class Config(BaseModel):
    """Options of the family `lstm`; the defaults are the article's."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    embedding: int = Field(100, ge=1, le=2**16)
    """Size of a token's vector."""
    hidden: int = Field(512, ge=1, le=2**16)
    """Size of each layer's state."""
    layers: int = Field(3, ge=1, le=64)
    """Layers of LSTM, one above the other."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Share of the last layer's outputs dropped before the linear layer, in training."""
    layer_dropout: float = Field(0.0, ge=0, lt=1)
    """Share dropped between layers, in training (Zaremba et al. 2014); needs two layers."""
    input_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the embedded tokens' numbers dropped before the first layer, in training."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the vocabulary's tokens that a batch reads as zeros (Gal and Ghahramani 2016)."""
    recurrent_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the recurrent weights dropped for a batch (DropConnect; Merity et al. 2018)."""
    locked_dropout: bool = False
    """What is dropped of a layer's outputs stays the same for all tokens of a row in one batch (Gal and Ghahramani
    2016)."""
    tie_weights: bool = False
    """The linear layer shares the embedding's matrix (Press and Wolf 2017); where embedding and hidden differ, after a
    projection to the embedding's size."""
    unigram_bias: bool = False
    """The output's bias begins at the logarithms of the tokens' frequencies, not near zero."""
    cutoffs: list[Annotated[int, Field(ge=1)]] = Field([], max_length=64)
    """Where the clusters of an adaptive softmax begin (Grave et al. 2017), in tokens by falling frequency: many words
    then cost little. Those beyond the vocabulary are left out; none is the full softmax."""


@dataclass
class LstmState:
    """(h, c) of every layer; each (layers, B, hidden)."""

    hidden: Tensor
    cell: Tensor

    def select(self, rows: Tensor) -> Self:
        return type(self)(self.hidden[:, rows], self.cell[:, rows])

    def join(self, other: Self) -> Self:
        return type(self)(torch.cat([self.hidden, other.hidden], dim=1), torch.cat([self.cell, other.cell], dim=1))

    def detach(self) -> Self:
        return type(self)(self.hidden.detach(), self.cell.detach())

    def tensors(self) -> dict[str, Tensor]:
        return {"hidden": self.hidden, "cell": self.cell}


class Lstm(LanguageModel):
    """See `LanguageModel` for the shapes."""

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__()
        if config.cutoffs != sorted(set(config.cutoffs)) or (config.cutoffs and config.tie_weights):
            raise OptionError("cutoffs must rise, and have no place beside tie_weights")
        if config.cutoffs and config.unigram_bias:
            raise OptionError("unigram_bias has no place beside cutoffs: an adaptive softmax has no bias a token")
        self.config, self.vocabulary_size = config, vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.hidden, config.layers, batch_first=True)
        cutoffs = [start for start in config.cutoffs if start < vocabulary_size]
        self.linear = (
            AdaptiveSoftmax(config.hidden, vocabulary_size, cutoffs, head_bias=True)
            if cutoffs
            else nn.Linear(config.embedding if config.tie_weights else config.hidden, vocabulary_size)
        )
        self.projection = nn.Linear(config.hidden, config.embedding, bias=False) if _projects(config) else None
        self.scale = _scale(config)
        if config.tie_weights:  # small for the output, scaled up for the input (Vaswani et al. 2017, section 3.4)
            nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
            self.linear.weight = self.embedding.weight

    def begin(self, texts: TrainingTexts) -> None:
        if self.config.unigram_bias:
            counts = torch.from_numpy(texts.counts(self.vocabulary_size)) + 0.5
            with torch.no_grad():
                cast("nn.Linear", self.linear).bias.copy_((counts / counts.sum()).log())

    @property
    def vectors(self) -> Tensor:
        return self.embedding.weight

    def forward(
        self, ids: Tensor, targets: Tensor, state: LstmState | None = None, loss: Loss | None = None
    ) -> tuple[Tensor, LstmState]:
        outputs, after = self._read(self._embedded(ids), state)

        def of_rows(rows: Tensor, wanted: Tensor, places: Tensor) -> Tensor:
            return loss(self._scores(rows), wanted, places) if loss else self._cross_entropy(rows, wanted)

        return token_losses(self._dropped(outputs, self.config.dropout), targets, of_rows, self.vocabulary_size), after

    def _embedded(self, ids: Tensor) -> Tensor:
        """What the first layer reads: (B, T) -> (B, T, embedding)."""
        rows, share = self.embedding(ids) * self.scale, self.config.embedding_dropout
        if self.training and share:
            kept = F.dropout(torch.ones(self.vocabulary_size, device=ids.device), share)
            rows = rows * kept[ids][..., None]
        return self._dropped(rows, self.config.input_dropout)

    def _read(self, rows: Tensor, state: LstmState | None) -> tuple[Tensor, LstmState]:
        """The last layer's outputs (B, T, hidden), and the state after the last column. The layers are read one by one,
        because what is dropped between them may be locked."""
        config, after = self.config, []
        nothing = rows.new_zeros(1, len(rows), config.hidden)
        for layer in range(config.layers):
            weights = [getattr(self.lstm, f"{name}_l{layer}") for name in WEIGHTS]
            weights[1] = F.dropout(weights[1], config.recurrent_dropout, self.training)
            part = slice(layer, layer + 1)
            before = (state.hidden[part], state.cell[part]) if state else (nothing, nothing)
            rows, *states = torch.lstm(rows, before, weights, True, 1, 0.0, self.training, False, True)
            after.append(states)
            if layer < config.layers - 1:
                rows = self._dropped(rows, config.layer_dropout)
        return rows, LstmState(*(torch.cat(kind) for kind in zip(*after, strict=True)))

    def _dropped(self, rows: Tensor, share: float) -> Tensor:
        """Rows (B, T, D) with a share of their numbers dropped, in training."""
        if not self.config.locked_dropout:
            return F.dropout(rows, share, self.training)
        return rows * F.dropout(torch.ones_like(rows[:, :1]), share) if self.training and share else rows

    @torch.inference_mode()
    def gates(self, ids: Tensor) -> Gates:
        rows, found = self._embedded(ids[None])[0], []
        for layer in range(self.config.layers):
            w_ih, w_hh, b_ih, b_hh = (getattr(self.lstm, f"{name}_l{layer}") for name in WEIGHTS)
            hidden = cell = rows.new_zeros(self.config.hidden)
            read, steps = rows @ w_ih.T + b_ih + b_hh, []
            for own in read:  # (4 * hidden,), in the order of torch's LSTM: input, forget, candidate, output
                input, forget, candidate, output = (own + w_hh @ hidden).chunk(4)
                input, forget, output = input.sigmoid(), forget.sigmoid(), output.sigmoid()
                cell = forget * cell + input * candidate.tanh()
                hidden = output * cell.tanh()
                steps.append(torch.stack([input, forget, output, cell, hidden]))
            *kept, rows = torch.stack(steps, 1)
            found.append(torch.stack(kept))
        return Gates(*torch.stack(found, 1).float())

    def step(self, ids: Tensor, lengths: Tensor, state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        carried = (state.hidden, state.cell) if state else None
        rows: Any = self._embedded(ids)
        if ids.shape[1] > 1:  # packed, so that a short row's state is the one after its own last token
            rows = pack_padded_sequence(rows, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (hidden, cell) = self.lstm(rows, carried)
        return self._scores(hidden[-1]).float(), LstmState(hidden, cell)

    def _scores(self, rows: Tensor) -> Tensor:
        """(n, hidden) -> (n, V): logits, or log-probabilities of an adaptive softmax."""
        rows = self.projection(rows) if self.projection else rows
        scores: Tensor = self.linear.log_prob(rows) if isinstance(self.linear, AdaptiveSoftmax) else self.linear(rows)
        return scores

    def _cross_entropy(self, rows: Tensor, wanted: Tensor) -> Tensor:
        rows = self.projection(rows) if self.projection else rows
        if isinstance(self.linear, AdaptiveSoftmax):
            return self.linear.cross_entropy(rows, wanted)
        return linear_cross_entropy(rows, wanted, self.linear.weight, self.linear.bias)

    def state_from(self, tensors: dict[str, Tensor]) -> LstmState:
        hidden, cell = tensors["hidden"], tensors["cell"]
        if hidden.shape != cell.shape or tuple(hidden.shape[::2]) != (self.config.layers, self.config.hidden):
            raise OptionError("the checkpoint's state does not fit this model; were its options changed?")
        return LstmState(hidden, cell)

    def save(self, folder: Path) -> None:
        _folder.save(folder, self.config, self.vocabulary_size, dict(self.named_parameters()))


def build(config: Config, tokenizer: Vocabulary, base: Path | None = None) -> Lstm:
    """A new LSTM; it has no pretrained base."""
    if base is not None:
        raise OptionError("the family 'lstm' trains from nothing; drop the option base")
    return Lstm(config, tokenizer.vocabulary_size)


def load(folder: Path, precision: torch.dtype = torch.float32) -> LanguageModel:
    """A saved LSTM in the given precision, in evaluation mode; for torch.int8 a folder that `quantize` has written."""
    options, vocabulary_size, weights = _folder.load(folder)
    config = Config(**options)
    if precision == torch.int8:
        # Its import takes a moment, and the first time seconds to compile.
        from arasuji.models.int8.lstm import Int8Lstm

        weights = check(weights, in_8_bits(_matrices(config, vocabulary_size)))
        return Int8Lstm(config, _scale(config), vocabulary_size, weights, LstmState).eval()
    weights = check(weights, floats(_shapes(config, vocabulary_size)))
    model = Lstm(config, vocabulary_size)
    if model.config.tie_weights:  # stored once
        weights["linear.weight"] = weights["embedding.weight"]
    model.load_state_dict(weights)
    return model.to(precision).eval()


def quantize(folder: Path, target: Path) -> None:
    """Write the LSTM of a folder into another one, its matrices in 8 bits."""
    from arasuji.models.int8.lstm import tensors_of

    model = load(folder)
    assert isinstance(model, Lstm)
    _folder.save(target, model.config, model.vocabulary_size, tensors_of(model))


FAMILY = Family(Config, build, load, quantize, frozenset({"memory"}), one_step=True)


def _shapes(config: Config, vocabulary_size: int) -> dict[str, Shape]:
    """The tensors that `Lstm.save` writes."""
    size = config.hidden
    shapes: dict[str, Shape] = {"embedding.weight": (vocabulary_size, config.embedding)}
    for layer in range(config.layers):
        read = size if layer else config.embedding
        shapes |= {f"lstm.weight_ih_l{layer}": (4 * size, read), f"lstm.weight_hh_l{layer}": (4 * size, size)}
        shapes |= {f"lstm.bias_{kind}_l{layer}": (4 * size,) for kind in ("ih", "hh")}
    if _projects(config):
        shapes["projection.weight"] = (config.embedding, size)
    for name, rows, columns, bias in _outputs(config, vocabulary_size):
        place = f"linear.{name}" if name != "linear" else name
        shapes |= {} if config.tie_weights else {f"{place}.weight": (rows, columns)}
        shapes |= {f"{place}.bias": (rows,)} if bias else {}
    return shapes


def _matrices(config: Config, vocabulary_size: int) -> list[Matrix]:
    """The layers that `tensors_of` writes in 8 bits."""
    size = config.hidden
    reads = [config.embedding, *[size] * (config.layers - 1)]
    layers = [Matrix(f"layers.{i}", 4 * size, read + size, True) for i, read in enumerate(reads)]
    head, *tail = _outputs(config, vocabulary_size)
    embedding = Matrix("embedding", vocabulary_size, config.embedding, False)
    return [embedding, *layers, head._replace(name="head"), *tail]


def _outputs(config: Config, vocabulary_size: int) -> list[Matrix]:
    """The layers of the output, those of an adaptive softmax as torch makes them."""
    starts = [start for start in config.cutoffs if start < vocabulary_size]
    if not starts:
        return [Matrix("linear", vocabulary_size, config.hidden, True)]
    found = [Matrix("head", starts[0] + len(starts), config.hidden, True)]
    for i, (start, end) in enumerate(pairwise([*starts, vocabulary_size])):
        inner = config.hidden // 4 ** (i + 1)
        found += [Matrix(f"tail.{i}.0", inner, config.hidden, False), Matrix(f"tail.{i}.1", end - start, inner, False)]
    return found


def _projects(config: Config) -> bool:
    """Whether the linear layer reads a projection of the last layer's outputs."""
    return config.tie_weights and config.embedding != config.hidden


def _scale(config: Config) -> float:
    """What an embedding is multiplied with."""
    return config.embedding**0.5 if config.tie_weights else 1.0
