"""Keys and values of the tokens that have been read, so that the next one is read alone.

Each row has a slot, with places kept free for what it will read; column p of a slot holds its token p, so rows of
different lengths need no pads. Rows that leave, join or branch move nothing but themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from arasuji.models._layers import in_window

COLUMNS = 32
"""The capacity of the KV cache is a multiple of 32 tokens, and so is the number of tokens that are read from it: sums
over them are then taken in the same order, to the last bit, whatever the lengths of the other rows."""
GROWTH = 2
"""When the KV cache is full, its capacity becomes twice what is needed."""


@dataclass
class CacheState:
    """The state of an attention decoder. `select`, `join` and `LanguageModel.step` change it in place and return it."""

    keys: list[Tensor]
    """One a layer, (slots, K, columns, size); in 8 bits one tensor has the keys and values of all layers."""
    values: list[Tensor]
    """Likewise."""
    lengths: Tensor
    """(B,) int64: tokens read by each row."""
    slots: Tensor
    """(B,) int64: where each row is."""
    limit: int
    """The most tokens of a row."""
    bits: bool
    """Whether keys and values are the bits of bfloat16, int16, as `int8.decoder` reads them: a row only as far as it
    goes. What is free is then never read, so it need not be written, and takes no memory."""

    @classmethod
    def empty(cls, rows: int, limit: int, device: torch.device, bits: bool = False) -> Self:
        """Of rows that have read nothing."""
        zeros = torch.zeros(rows, dtype=torch.int64, device=device)
        return cls([], [], zeros, torch.arange(rows, device=device), limit, bits)

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
            used = int(self.lengths.max())
            for source, row in zip(sources, branches, strict=True):
                for part in (*self.keys, *self.values):
                    part[slots[row], :, :used] = part[source, :, :used]
        elif len(rows) <= self.places // 2:
            self._gather()
        return self

    def join(self, other: Self) -> Self:
        count, used = len(other.slots), int(other.lengths.max())
        target = torch.tensor(self._free(set(self.slots.tolist()), count), device=self.slots.device)
        self.make_room(used)
        for part, theirs in zip((*self.keys, *self.values), (*other.keys, *other.values), strict=True):
            part[target, :, :used] = theirs[other.slots, :, :used]
        self.slots, self.lengths = torch.cat([self.slots, target]), torch.cat([self.lengths, other.lengths])
        return self

    def detach(self) -> Self:
        return self

    def tensors(self) -> dict[str, Tensor]:
        named = {"lengths": self.lengths, "slots": self.slots}
        return named | {str(i): part for i, part in enumerate((*self.keys, *self.values))}

    def _gather(self) -> None:
        """Let go of the slots that no row is in."""
        self.keys = [part[self.slots] for part in self.keys]
        self.values = [part[self.slots] for part in self.values]
        self.slots = torch.arange(len(self.slots), device=self.slots.device)

    def _free(self, used: set[int], count: int) -> list[int]:
        """`count` slots that are not in use; more are made where there are too few."""
        free = [slot for slot in range(self.places + count) if slot not in used][:count]
        self._grow(max(free, default=0) + 1, self.keys[0].shape[2])
        return free

    def keep(self, key: Tensor, value: Tensor) -> None:
        """The first keys and values of the next layer, (B, K, T, size)."""
        columns = rounded(min(self.limit, key.shape[2] * GROWTH))
        for parts, part in ((self.keys, key), (self.values, value)):
            parts.append(self._roomy(part, len(part), columns))

    def make_room(self, needed: int) -> None:
        """See that a row can have `needed` tokens."""
        if needed > self.keys[0].shape[2]:
            self._grow(self.places, rounded(min(self.limit, needed * GROWTH)))

    def _grow(self, slots: int, columns: int) -> None:
        """One layer after the other, so that not all of it is there twice."""
        for parts in (self.keys, self.values):
            for i, part in enumerate(parts):
                if slots > part.shape[0] or columns > part.shape[2]:
                    parts[i] = self._roomy(part, max(slots, part.shape[0]), columns)

    def _roomy(self, part: Tensor, slots: int, columns: int) -> Tensor:
        """A copy of (slots, K, columns, size) with more of both."""
        shape = slots, part.shape[1], columns, part.shape[3]
        larger = part.new_empty(shape) if self.bits else part.new_zeros(shape)
        larger[: part.shape[0], :, : part.shape[2]] = part
        return larger


def rounded(columns: int) -> int:
    """The number of columns that are made where `columns` are needed."""
    return -(-columns // COLUMNS) * COLUMNS


class Reading:
    """The reading of some new tokens a row: where they stand, and their attention to all that was read before."""

    def __init__(self, state: CacheState, lengths: Tensor, width: int) -> None:
        """`lengths` (B,): new tokens of each row, of which the longest has `width`."""
        self.state, self.lengths = state, lengths
        columns = torch.arange(width, device=lengths.device)
        self.positions = (state.lengths[:, None] + columns).clamp(max=state.limit - 1)
        """(B, T): pads have one too."""
        state.lengths = state.lengths + lengths
        self.first = not state.keys
        if self.first:
            return
        needed = int(state.lengths.max())
        state.make_room(needed)
        self._look(columns, min(rounded(needed), state.keys[0].shape[2]))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, window: int | None = None) -> Tensor:
        """query (B, T, H, size), key and value (B, T, K, size) of the new tokens; `window` is how many of the last
        tokens a token reads, None for all. Returns (B, T, H * size)."""
        if self.first:
            return self._among_themselves(query, key, value, window).flatten(2)
        return self._together(layer, query, key, value, window).flatten(2)

    def _among_themselves(self, query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
        """The first tokens: there are no others to read."""
        width = query.shape[1]
        columns = rounded(width)
        query, key, value = (
            F.pad(part, (0, 0, 0, 0, 0, columns - width)).transpose(1, 2) for part in (query, key, value)
        )
        self.state.keep(key, value)
        mask = None if window is None or window >= width else in_window(columns, window, query.device)
        read = F.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None, enable_gqa=True)
        return read[:, :, :width].transpose(1, 2)

    def _look(self, columns: Tensor, used: int) -> None:
        """Where the new tokens go, and which columns each of them reads, for `_together`."""
        state = self.state
        places = state.places
        self.used, self.real = used, columns < self.lengths[:, None]
        self.at = (state.slots[:, None].expand_as(self.positions)[self.real], self.positions[self.real])
        self.scattered = places != len(self.lengths) or state.slots.tolist() != list(range(places))
        self.masks: dict[int | None, Tensor] = {}

    def _mask(self, window: int | None) -> Tensor:
        """What is added to the scores, (slots, 1, T, columns): 0 for the columns that a token reads."""
        if window not in self.masks:
            place = self._in_slots(self.positions)[:, :, None]
            columns = torch.arange(self.used, device=place.device)
            unread = columns > place
            if window is not None:
                unread |= columns <= place - window
            mask = torch.zeros(unread.shape, dtype=self.state.keys[0].dtype, device=place.device)
            self.masks[window] = mask.masked_fill_(unread, float("-inf"))[:, None]
        return self.masks[window]

    def _in_slots(self, x: Tensor) -> Tensor:
        """(B, ...) as (slots, ...), zeros where no row is."""
        if not self.scattered:
            return x
        return x.new_zeros(self.state.places, *x.shape[1:]).index_copy_(0, self.state.slots, x)

    def _together(self, layer: int, query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
        rows, width, _, size = query.shape
        kv_heads, slots, positions = key.shape[2], *self.at
        kept = self.state.keys[layer], self.state.values[layer]
        for part, new in zip(kept, (key, value), strict=True):
            part[slots, :, positions] = new[self.real]
        # The query heads that share a KV head lie one below the other.
        below = query.unflatten(2, (kv_heads, -1)).permute(0, 2, 3, 1, 4).reshape(rows, kv_heads, -1, size)
        mask = self._mask(window).repeat(1, 1, below.shape[2] // width, 1)
        key, value = (part[:, :, : self.used] for part in kept)
        read = F.scaled_dot_product_attention(self._in_slots(below), key, value, mask)
        if self.scattered:
            read = read[self.state.slots]
        return read.view(rows, kv_heads, -1, width, size).permute(0, 3, 1, 2, 4).flatten(2, 3)
