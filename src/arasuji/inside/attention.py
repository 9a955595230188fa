"""How much each token of a text reads of the tokens before it (Bahdanau et al. 2015; Vaswani et al. 2017)."""

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
from arasuji.runs import TrainedModel


@dataclass(frozen=True)
class Attention:
    """The weights of all heads for a text of T tokens."""

    reading: Reading
    weights: Tensor
    """(layers, heads, T, T) float32: [l, h, t, s] is how much token t reads of token s. Each row adds up to 1; what
    comes later, s > t, has 0."""

    def of(self, token: int, layer: int | None = None, head: int | None = None) -> Tensor:
        """How much a token reads of each, (T,): of one head, or the mean of those that are not named."""
        chosen = self.weights[slice(None) if layer is None else layer]
        chosen = chosen.reshape(-1, *self.weights.shape[-3:])
        return (chosen if head is None else chosen[:, head : head + 1])[:, :, token].mean((0, 1))

    def grid(self, token: int, to: int) -> Tensor:
        """How much a token reads of another one, by layer and head: (layers, heads)."""
        return self.weights[:, :, token, to]

    def picture(self, token: int = -1, layer: int | None = None, head: int | None = None) -> str:
        """The text as SVG, in which each token is darker the more the chosen one reads of it, the first one apart; the
        later ones are masked."""
        place = range(len(self.reading.ids))[token]
        return pictures.attention(self.reading, place, self.of(place, layer, head).tolist())

    def _repr_svg_(self) -> str:
        return self.picture()


def attention(trained: TrainedModel, text: str, fields: Mapping[str, Any] = MappingProxyType({})) -> Attention:
    """The attention of a transformer over a text. The model is one with whole weights: `load(run, "fp32")`.

    Raises:
        OptionError: the model has no attention; the text is too long.
    """
    return attention_of(trained, reading(trained, text, fields))


def attention_of(trained: TrainedModel, read: Reading) -> Attention:
    """The same over tokens. Raises OptionError where the model has no attention."""
    weights = trained.model.attention(torch.tensor(read.ids, device=trained.model.device))
    if weights is None:
        raise OptionError(
            f"{trained.name} shows no attention: open a transformer with whole weights, load(RUN, 'fp32')"
        )
    return Attention(read, weights.cpu())
