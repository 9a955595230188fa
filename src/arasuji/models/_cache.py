"""Keys and values of the tokens that have been read, so that the next one is read alone.

Each row has a slot, with places kept free for what it will read; column p of a slot holds its token p, so rows of
different lengths need no pads. Rows that leave, join or branch move nothing but themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

COLUMNS = 32
"""Places are made, and read, in multiples of so many: sums over them are then taken in the same order, to the last bit,
whatever the lengths of the other rows."""
GROWTH = 1.5
"""And so that there are so many times as many as before."""


@dataclass
class CacheState:
    """The state of an attention decoder. What `select`, `join` and `LanguageModel.step` are given is used up."""

    keys: list[Tensor]
    """One a layer, (slots, columns, K, size)."""
    values: list[Tensor]
    """Likewise."""
    lengths: Tensor
    """(B,) int64: tokens read by each row."""
    slots: Tensor
    """(B,) int64: where each row is."""
    limit: int
    """The most tokens of a row."""

    @classmethod
    def empty(cls, rows: int, limit: int, device: torch.device) -> Self:
        """Of rows that have read nothing."""
        zeros = torch.zeros(rows, dtype=torch.int64, device=device)
        return cls([], [], zeros, torch.arange(rows, device=device), limit)

    @property
    def places(self) -> int:
        """How many slots there are, in use or not."""
        return len(self.keys[0]) if self.keys else len(self.slots)

    def select(self, rows: Tensor) -> Self:
        slots = self.slots[rows].tolist()
        seen: set[int] = set()
        branches = [row for row, slot in enumerate(slots) if slot in seen or seen.add(slot)]  # type: ignore[func-returns-value]
        sources = [slots[row] for row in branches]
        for row, slot in zip(branches, self._free(seen, len(branches)), strict=True):
            slots[row] = slot
        self.lengths, self.slots = self.lengths[rows], torch.tensor(slots, device=self.slots.device)
        if branches:
            used, targets = int(self.lengths.max()), [slots[row] for row in branches]
            for part in (*self.keys, *self.values):
                part[targets, :used] = part[sources, :used]
        elif len(rows) <= self.places // 2:
            self._gather()
        return self

    def join(self, other: Self) -> Self:
        count, used = len(other.slots), int(other.lengths.max())
        target = torch.tensor(self._free(set(self.slots.tolist()), count), device=self.slots.device)
        self.make_room(used)
        for part, theirs in zip((*self.keys, *self.values), (*other.keys, *other.values), strict=True):
            part[target, :used] = theirs[other.slots, :used]
        self.slots, self.lengths = torch.cat([self.slots, target]), torch.cat([self.lengths, other.lengths])
        return self

    def detach(self) -> Self:
        return self

    def tensors(self) -> dict[str, Tensor]:
        named = {"lengths": self.lengths, "slots": self.slots}
        for i, (k, v) in enumerate(zip(self.keys, self.values, strict=True)):
            named |= {f"{i}.key": k, f"{i}.value": v}
        return named

    def _gather(self) -> None:
        """Let go of the slots that no row is in."""
        self.keys = [part[self.slots] for part in self.keys]
        self.values = [part[self.slots] for part in self.values]
        self.slots = torch.arange(len(self.slots), device=self.slots.device)

    def _free(self, used: set[int], count: int) -> list[int]:
        """So many slots that are not in use; more are made where there are too few."""
        free = [slot for slot in range(self.places + count) if slot not in used][:count]
        more = max(free, default=0) + 1 - self.places
        if more > 0:
            self._grow(lambda part: F.pad(part, (0, 0, 0, 0, 0, 0, 0, more)))
        return free

    def make_room(self, needed: int) -> None:
        """See that a row can have so many tokens."""
        columns = self.keys[0].shape[1]
        if needed > columns:
            more = rounded(min(self.limit, max(needed, int(columns * GROWTH)))) - columns
            self._grow(lambda part: F.pad(part, (0, 0, 0, 0, 0, more)))

    def _grow(self, grown: Callable[[Tensor], Tensor]) -> None:
        """One layer after the other, so that not all of it is there twice."""
        for parts in (self.keys, self.values):
            for i, part in enumerate(parts):
                parts[i] = grown(part)


def rounded(columns: int) -> int:
    """The number of columns that are made where so many are needed."""
    return -(-columns // COLUMNS) * COLUMNS


class Reading:
    """The reading of some new tokens a row: where they stand, and their attention to all that was read before."""

    def __init__(self, state: CacheState, lengths: Tensor, width: int) -> None:
        """`lengths` (B,): new tokens of each row, of which the longest has `width`."""
        self.state, before = state, state.lengths
        columns = torch.arange(width, device=before.device)
        self.positions = (before[:, None] + columns).clamp(max=state.limit - 1)
        """(B, T): pads have one too."""
        state.lengths = before + lengths
        self.first = not state.keys
        if self.first:
            return
        needed = int(state.lengths.max())
        state.make_room(needed)
        self.used = min(rounded(needed), state.keys[0].shape[1])
        places, capacity = state.places, state.keys[0].shape[1]
        self.real = columns < lengths[:, None] if width > 1 else None
        at = state.slots[:, None] * capacity + self.positions
        self.at = at.flatten() if self.real is None else at[self.real]
        self.scattered = places != len(before) or state.slots.tolist() != list(range(places))
        future = torch.arange(self.used, device=before.device) > self._in_slots(self.positions)[:, :, None]
        mask = torch.zeros(future.shape, dtype=state.keys[0].dtype, device=before.device)
        self.mask = mask.masked_fill_(future, float("-inf"))[:, None]

    def _in_slots(self, x: Tensor) -> Tensor:
        """(B, ...) as (slots, ...), zeros where no row is."""
        if not self.scattered:
            return x
        return x.new_zeros(self.state.places, *x.shape[1:]).index_copy_(0, self.state.slots, x)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """query (B, T, H, size), key and value (B, T, K, size) of the new tokens; returns (B, T, H * size)."""
        rows, width, heads, size = query.shape
        few = key.shape[2]
        state = self.state
        if self.first:
            extra = rounded(width) - width
            query, key, value = (F.pad(part, (0, 0, 0, 0, 0, extra)) for part in (query, key, value))
            state.keys.append(key)
            state.values.append(value)
            read = F.scaled_dot_product_attention(
                query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), is_causal=True, enable_gqa=True
            )
            return read.transpose(1, 2)[:, :width].reshape(rows, width, heads * size)
        for kept, new in ((state.keys[layer], key), (state.values[layer], value)):
            flat = new.reshape(-1, few * size) if self.real is None else new[self.real].flatten(1)
            kept.view(-1, few * size).index_copy_(0, self.at, flat)
        key, value = (part[:, : self.used].transpose(1, 2) for part in (state.keys[layer], state.values[layer]))
        # The heads that share a key lie one below the other.
        below = query.unflatten(2, (few, -1)).permute(0, 2, 3, 1, 4).reshape(rows, few, -1, size)
        mask = self.mask if width == 1 else self.mask.repeat(1, 1, heads // few, 1)
        read = F.scaled_dot_product_attention(self._in_slots(below), key, value, mask)
        if self.scattered:
            read = read[state.slots]
        return read.view(rows, few, -1, width, size).permute(0, 3, 1, 2, 4).reshape(rows, width, heads * size)
