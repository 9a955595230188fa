"""Architectures that transformers' own code reads, and their states.

Rows are read together where that gives what reading each alone gives; `prove` finds this out when a model is opened.
Elsewhere each row has a cache of its own, which is slower and always right: convolutions and recurrent states read the
pads of other rows, and a window counts them.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

PROBE = (3, 5, 4)
"""Tokens of the rows that a model reads to prove itself."""
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.5}
"""By how much a score may differ then, in the standard deviation of all scores."""


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


@dataclass
class RowsState:
    """A cache of transformers' for each row, and how many tokens it has read."""

    caches: list[Any]
    lengths: list[int]

    def select(self, rows: Tensor) -> Self:
        chosen = rows.tolist()
        first = {row: place for place, row in reversed(list(enumerate(chosen)))}
        caches = [
            self.caches[r] if first[r] == place else copy.deepcopy(self.caches[r]) for place, r in enumerate(chosen)
        ]
        return type(self)(caches, [self.lengths[row] for row in chosen])

    def join(self, other: Self) -> Self:
        return type(self)(self.caches + other.caches, self.lengths + other.lengths)

    def detach(self) -> Self:
        return self

    def tensors(self) -> dict[str, Tensor]:
        return {"lengths": torch.tensor(self.lengths)}


def read_together(
    body: Any, ids: Tensor, lengths: Tensor, state: PaddedState | None, limit: int | None
) -> tuple[Tensor, PaddedState]:
    """What the output layer reads at each new token, (B, T, D), and the new state; `body` is a transformers model
    without its output layer, `limit` the most tokens of a row."""
    from transformers import DynamicCache

    columns = torch.arange(ids.shape[1], device=ids.device)
    new = columns[None] < lengths[:, None]
    before = state.seen if state else new[:, :0]
    seen = torch.cat([before, new], dim=1)
    positions = before.sum(1, keepdim=True) + columns
    out = body(
        input_ids=ids,
        attention_mask=None if state is None and bool(new.all()) else seen.long(),
        past_key_values=DynamicCache(state.layers) if state else DynamicCache(),
        use_cache=True,
        **_positions(body, positions if limit is None else positions.clamp(max=limit - 1)),
    )
    cache = [(layer.keys, layer.values) for layer in out.past_key_values.layers]
    return out.last_hidden_state, PaddedState(cache, seen)


def read_apart(body: Any, ids: Tensor, lengths: Tensor, state: RowsState | None) -> tuple[Tensor, RowsState]:
    """The same, one row after the other; what is returned at pads is zeros."""
    state = state or RowsState([None] * len(ids), [0] * len(ids))
    rows, caches = [], []
    for row, length, cache, before in zip(ids, lengths.tolist(), state.caches, state.lengths, strict=True):
        positions = torch.arange(before, before + length, device=ids.device)[None]
        out = body(input_ids=row[None, :length], past_key_values=cache, use_cache=True, **_positions(body, positions))
        rows.append(out.last_hidden_state[0])
        caches.append(out.past_key_values)
    read = [before + length for before, length in zip(state.lengths, lengths.tolist(), strict=True)]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), RowsState(caches, read)


def _positions(body: Any, positions: Tensor) -> dict[str, Tensor]:
    """The tokens' positions, for a model that is told them; others count themselves."""
    return {"position_ids": positions} if "position_ids" in inspect.signature(body.forward).parameters else {}


def has_windows(config: Any) -> bool:
    """Whether a configuration names a window or a chunk of tokens, or layers other than attention to all of them."""
    named = {key: value for key, value in config.to_dict().items() if "window" in key or "chunk" in key}
    named.pop("max_window_layers", None)  # counts layers
    layers = getattr(config, "layer_types", None) or []
    return any(isinstance(value, int) and value for value in named.values()) or bool(set(layers) - {"full_attention"})


@torch.inference_mode()
def prove(network: Any, model: Any, together: bool) -> bool:
    """Whether `model`, a `Transformer`, reads rows of different lengths as `network`, the whole of transformers' model,
    reads each of them alone, and then goes on with some of them. Scores must be equal up to rounding."""
    model.together = together
    count, here = network.get_input_embeddings().num_embeddings, network.device
    rows = [torch.arange(7, 7 + length + 1, device=here) * 31 % count for length in PROBE]
    padded = nn.utils.rnn.pad_sequence([row[:-1] for row in rows], batch_first=True)
    try:
        read, state = model.step(padded, torch.tensor(PROBE, device=here))
        following = torch.stack([rows[2][-1:], rows[0][-1:]])
        state = state.select(torch.tensor([2, 0], device=here))  # rows leave and are reordered
        then, _ = model.step(following, torch.ones(2, dtype=torch.int64, device=here), state)
    except Exception:  # a kind of cache that this way does not know
        return False
    alone = [network(input_ids=row[None], use_cache=False).logits[0].float() for row in rows]
    ours = torch.cat([read, then])
    theirs = torch.stack([*(scores[-2] for scores in alone), alone[2][-1], alone[0][-1]])
    return bool((ours - theirs).abs().max() <= TOLERANCE[network.dtype] * theirs.std())
