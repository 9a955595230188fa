"""Encoded documents to batches: one epoch at a time, the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import torch
from torch import Tensor

from arasuji.config import TrainConfig
from arasuji.models import IGNORED
from arasuji.padding import padded
from arasuji.training.documents import Documents, ids_of, targets_of

POOL_BATCHES = 50
"""Documents of so many batches are sorted by length together, so that a batch has few pads and the order stays
nearly random."""


@dataclass(frozen=True)
class Batch:
    """ids, targets (B, T) int64, padded on the right."""

    ids: Tensor
    targets: Tensor
    stream: bool = False
    """Row b goes on in the next batch."""
    continues: bool = False
    """Row b goes on where it stopped in the batch before."""

    @property
    def counted(self) -> int:
        """Targets that count."""
        return int((self.targets != IGNORED).sum())

    def share(self, index: int, count: int) -> Batch:
        """The rows of one of several processes: every `count`-th, from `index` on, so that long and short rows are
        spread evenly. It may have none."""
        if count == 1:
            return self
        return replace(self, ids=self.ids[index::count], targets=self.targets[index::count])

    def parts(self, tokens: int) -> Iterator[Batch]:
        """The same rows in batches of at most so many tokens, pads included, each as wide as its longest row; a row
        that is longer stands alone. The parts are about equal, so that none is too small to keep the chip busy. Rows of
        a stream stay together, since their state does."""
        if self.stream or 0 < self.ids.numel() <= tokens:
            yield self
            return
        columns = torch.arange(1, self.ids.shape[1] + 1)
        read = ((self.targets != IGNORED) * columns).amax(1).clamp(min=1) if len(self.ids) else columns[:0]
        lengths = read.tolist()
        enough = sum(lengths) / max(1, -(-sum(lengths) // tokens))
        start = 0
        while start < len(lengths):
            stop, width = start + 1, lengths[start]
            while stop < len(lengths) and (stop - start) * width < enough:
                wider = max(width, lengths[stop])
                if (stop + 1 - start) * wider > tokens:
                    break
                stop, width = stop + 1, wider
            yield Batch(self.ids[start:stop, :width], self.targets[start:stop, :width])
            start = stop


class Epoch(Sequence[Batch]):
    """The batches of an epoch, each made when it is asked for."""

    def __init__(self, size: int, counted: int, make: Callable[[int], Batch]) -> None:
        self._size = size
        self._make = make
        self.counted = counted
        """Targets that count in all of them."""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | list[Batch]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(self._size)[index]]
        return self._make(range(self._size)[index])


def epoch_batches(documents: Documents, config: TrainConfig, epoch: int, pad_id: int) -> Epoch:
    """All batches of an epoch."""
    if config.layout == "stream":
        return _stream(documents, config)
    return _alone(documents, config, epoch, pad_id)


def _alone(documents: Documents, config: TrainConfig, epoch: int, pad_id: int) -> Epoch:
    """Each document alone: an uncounted end before it, a counted one after it; those too long are cut and not
    taught to end there."""
    lengths = documents.lengths
    generator = torch.Generator().manual_seed(config.seed + 1_000_003 * (epoch + 1))
    order = torch.randperm(len(documents), generator=generator).numpy()
    groups: list[np.ndarray] = []
    for start in range(0, len(order), config.batch_size * POOL_BATCHES):
        pool = order[start : start + config.batch_size * POOL_BATCHES]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        groups += [pool[i : i + config.batch_size] for i in range(0, len(pool), config.batch_size)]
    shuffled = torch.randperm(len(groups), generator=generator).tolist()

    def make(i: int) -> Batch:
        rows = [documents.read(place, config.max_length) for place in groups[shuffled[i]].tolist()]
        return Batch(padded([ids for ids, _ in rows], pad_id), padded([targets for _, targets in rows], IGNORED))

    return Epoch(len(groups), documents.counted(config.max_length), make)


def _stream(documents: Documents, config: TrainConfig) -> Epoch:
    """The article's generator: all documents joined in order, cut into `batch_size` rows that are read side by
    side, `max_length` tokens a batch; targets are the inputs shifted by one."""
    tokens, rows, width = documents.tokens, config.batch_size, config.max_length
    length = (len(tokens) - 1) // rows
    ids = tokens[: length * rows].reshape(rows, length)
    targets = tokens[1 : length * rows + 1].reshape(rows, length)
    counted = length * rows - int(documents.fields.sum() and (targets < 0).sum())

    def make(i: int) -> Batch:
        columns = slice(i * width, (i + 1) * width)
        read, wanted = torch.from_numpy(ids_of(ids[:, columns])), torch.from_numpy(targets_of(targets[:, columns]))
        return Batch(read, wanted, stream=True, continues=i > 0)

    return Epoch(-(-length // width), counted, make)


def truncated(documents: Documents, config: TrainConfig) -> int:
    """How many documents `_alone` cuts."""
    return 0 if config.layout == "stream" else int((documents.lengths > config.max_length).sum())
