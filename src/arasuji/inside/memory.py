"""What the gates of an LSTM do with its memory over a text (Hochreiter and Schmidhuber 1997; Gers et al. 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from arasuji.errors import OptionError
from arasuji.inside import pictures
from arasuji.inside.reading import Reading, reading
from arasuji.models import Gates
from arasuji.runs import TrainedModel


@dataclass(frozen=True)
class Memory:
    """The gates and cells of all layers for a text of T tokens."""

    reading: Reading
    gates: Gates

    def lines(self, layer: int = -1) -> dict[str, Tensor]:
        """The means over the cells of a layer at each token, (T,): "forget" and "input", the gates, and "cell", the
        mean size of the memory."""
        gates = self.gates
        return {
            "forget": gates.forget[layer].mean(-1),
            "input": gates.input[layer].mean(-1),
            "cell": gates.cell[layer].abs().mean(-1),
        }

    def cell(self, number: int, layer: int = -1) -> Tensor:
        """One cell of a layer after each token, (T,)."""
        return self.gates.cell[layer, :, number]

    def most_moved(self, token: int, count: int = 5, layer: int = -1) -> list[tuple[int, float]]:
        """The cells that a token has changed most, each with the change."""
        cells = self.gates.cell[layer]
        change = cells[token] - (cells[token - 1] if token else 0)
        best = change.abs().topk(min(count, len(change))).indices
        return [(cell, float(change[cell])) for cell in best.tolist()]

    def picture(self, layer: int = -1) -> str:
        """The text as SVG, with both gates and the memory as lines below it."""
        return pictures.memory(self.reading, {name: line.tolist() for name, line in self.lines(layer).items()})

    def _repr_svg_(self) -> str:
        return self.picture()


def memory(trained: TrainedModel, text: str, fields: Mapping[str, Any] = MappingProxyType({})) -> Memory:
    """The gates and the memory of an LSTM over a text. The model is one with whole weights: `load(run, "fp32")`.

    Raises:
        OptionError: the model has no gates; the text is too long.
    """
    return memory_of(trained, reading(trained, text, fields))


def memory_of(trained: TrainedModel, read: Reading) -> Memory:
    """The same over tokens. Raises OptionError where the model has no gates."""
    found = trained.model.gates(torch.tensor(read.ids, device=trained.model.device))
    if found is None:
        raise OptionError(f"{trained.name} shows no gates: open an LSTM with whole weights, load(RUN, 'fp32')")
    return Memory(read, Gates(*(part.cpu() for part in (found.input, found.forget, found.output, found.cell))))
