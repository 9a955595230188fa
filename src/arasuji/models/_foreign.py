"""Architectures that transformers' own code reads, and their state: keys and values with pads on the left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn


@dataclass
class PaddedState:
    """Keys and values of what was read, one pair a layer, each (B, heads, S, size); `seen` (B, S) is False at pads,
    so that every row has a length of its own."""

    layers: list[tuple[Tensor, Tensor]]
    seen: Tensor

    def select(self, rows: Tensor) -> Self:
        seen = self.seen[rows]
        used = seen.any(0)  # columns that only rows which left had read go with them
        return type(self)([(k[rows][:, :, used], v[rows][:, :, used]) for k, v in self.layers], seen[:, used])

    def join(self, other: Self) -> Self:
        length = max(self.seen.shape[1], other.seen.shape[1])
        mine, theirs = self._padded(length), other._padded(length)
        layers = [
            (torch.cat([k, k2]), torch.cat([v, v2]))
            for (k, v), (k2, v2) in zip(mine.layers, theirs.layers, strict=True)
        ]
        return type(self)(layers, torch.cat([mine.seen, theirs.seen]))

    def _padded(self, length: int) -> Self:
        """The same with unseen columns on the left."""
        extra = length - self.seen.shape[1]

        def pad(x: Tensor) -> Tensor:
            return nn.functional.pad(x, (0, 0, extra, 0))

        return type(self)([(pad(k), pad(v)) for k, v in self.layers], nn.functional.pad(self.seen, (extra, 0)))

    def detach(self) -> Self:
        return type(self)([(k.detach(), v.detach()) for k, v in self.layers], self.seen)

    def tensors(self) -> dict[str, Tensor]:
        named = {"seen": self.seen}
        for i, (k, v) in enumerate(self.layers):
            named |= {f"{i}.key": k, f"{i}.value": v}
        return named


def read(body: Any, ids: Tensor, lengths: Tensor, state: PaddedState | None, limit: int) -> tuple[Tensor, PaddedState]:
    """What the output layer reads at each new token, (B, T, D), and the new state; `body` is a transformers model
    without its output layer, `limit` the most tokens of a row."""
    from transformers import DynamicCache

    columns = torch.arange(ids.shape[1], device=ids.device)
    new = columns[None] < lengths[:, None]
    before = state.seen if state else new[:, :0]
    seen = torch.cat([before, new], dim=1)
    out = body(
        input_ids=ids,
        attention_mask=None if state is None and bool(new.all()) else seen.long(),
        position_ids=(before.sum(1, keepdim=True) + columns).clamp(max=limit - 1),
        past_key_values=DynamicCache(state.layers) if state else DynamicCache(),
        use_cache=True,
    )
    cache = [(layer.keys, layer.values) for layer in out.past_key_values.layers]
    return out.last_hidden_state, PaddedState(cache, seen)
