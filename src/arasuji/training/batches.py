"""Makes batches of encoded documents, one epoch at a time. The same seed and epoch give the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np
import torch
from torch import Tensor

from arasuji.config import TrainConfig
from arasuji.models import IGNORED
from arasuji.padding import padded
from arasuji.training.documents import Documents, ids_of, targets_of

POOL_BATCHES = 50
"""The documents of this many batches are sorted by length together: a batch then has few pads, and the order of the
batches stays nearly random."""


@dataclass(frozen=True)
class Batch:
    """Token ids and targets, both (B, T) int64, padded on the right."""

    ids: Tensor
    targets: Tensor
    stream: bool = False
    """Whether row b of the next batch continues row b of this one."""
    continues: bool = False
    """Whether row b continues row b of the batch before."""
    places: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))
    """Where each target stands in `Documents.tokens`, (B, T) int64; anything where it is not counted. Empty where no
    loss asks for it."""

    @property
    def counted(self) -> int:
        """The number of targets whose loss counts."""
        return int((self.targets != IGNORED).sum())

    def share(self, index: int, count: int) -> Batch:
        """The rows that process `index` of `count` processes reads: every `count`-th row, so that long and short rows
        are spread evenly. There may be none."""
        if count == 1:
            return self
        return self._cut(slice(index, None, count))

    def _cut(self, rows: slice, width: int | None = None) -> Batch:
        """Some rows, and their first `width` columns."""
        ids, targets, places = (part[rows, :width] for part in (self.ids, self.targets, self.places))
        return replace(self, ids=ids, targets=targets, places=places)

    def parts(self, tokens: int) -> Iterator[Batch]:
        """Split the batch into parts of at most `tokens` tokens, pads included, each as wide as its longest row. A
        longer row is a part of its own. The parts are of about the same size, since small ones use a chip badly. A
        batch of a stream is not split, because its rows share one state."""
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
            yield self._cut(slice(start, stop), width)
            start = stop


class Epoch(Sequence[Batch]):
    """The batches of an epoch. Each batch is made when it is read."""

    def __init__(self, size: int, counted: int, make: Callable[[int], Batch]) -> None:
        self._size = size
        self._make = make
        self.counted = counted
        """The number of targets in all batches whose loss counts."""

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


def epoch_batches(
    documents: Documents, config: TrainConfig, epoch: int, pad_id: int, numbers: np.ndarray | None = None
) -> Epoch:
    """All batches of an epoch, in which all documents are read, or those with some `numbers` (n,)."""
    numbers = np.arange(len(documents)) if numbers is None else numbers
    if config.layout == "stream":
        return _stream(documents, numbers, config, epoch)
    return _separate(documents, numbers, config, epoch, pad_id)


def _separate(documents: Documents, numbers: np.ndarray, config: TrainConfig, epoch: int, pad_id: int) -> Epoch:
    """Batches of separate documents. The end token before a document is not counted, the one after it is. A document
    that is too long is cut, and the model does not learn to end there."""
    lengths = documents.lengths
    generator = _generator(config, epoch)
    order = numbers[torch.randperm(len(numbers), generator=generator).numpy()]
    groups: list[np.ndarray] = []
    for start in range(0, len(order), config.batch_size * POOL_BATCHES):
        pool = order[start : start + config.batch_size * POOL_BATCHES]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        groups += [pool[i : i + config.batch_size] for i in range(0, len(pool), config.batch_size)]
    shuffled = torch.randperm(len(groups), generator=generator).tolist()

    def make(i: int) -> Batch:
        group = groups[shuffled[i]]
        rows = [documents.read(place, config.max_length) for place in group.tolist()]
        ids, targets = padded([ids for ids, _ in rows], pad_id), padded([targets for _, targets in rows], IGNORED)
        places = torch.from_numpy(documents.starts[group])[:, None] + torch.arange(ids.shape[1])
        return Batch(ids, targets, places=places)

    return Epoch(len(groups), documents.counted(config.max_length, numbers), make)


def _stream(documents: Documents, numbers: np.ndarray, config: TrainConfig, epoch: int) -> Epoch:
    """Batches as the article makes them: all documents are joined and cut into `batch_size` rows. A batch holds the
    next `max_length` tokens of every row; targets are the inputs shifted by one. With `shuffle`, which the article does
    not do, each epoch joins the documents in another order."""
    order = numbers
    if config.shuffle:
        order = numbers[torch.randperm(len(numbers), generator=_generator(config, epoch)).numpy()]
    joined = documents.joined(order)
    rows, width = config.batch_size, config.max_length
    size = int(documents.lengths[order].sum())
    length = size // rows
    left_out = documents.tokens[joined.places(np.arange(length * rows + 1, size + 1))]
    counted = length * rows - int(documents.fields[order].sum()) + int((left_out < 0).sum())

    def make(i: int) -> Batch:
        first = np.arange(rows)[:, None] * length
        places = joined.places(first + np.arange(i * width, min((i + 1) * width, length) + 1))
        tokens = documents.tokens[places]
        inputs, targets = torch.from_numpy(ids_of(tokens[:, :-1])), torch.from_numpy(targets_of(tokens[:, 1:]))
        return Batch(inputs, targets, stream=True, continues=i > 0, places=torch.from_numpy(places[:, 1:]))

    return Epoch(-(-length // width), counted, make)


def _generator(config: TrainConfig, epoch: int) -> torch.Generator:
    """The source of an epoch's order: the same seed and epoch give the same order."""
    return torch.Generator().manual_seed(config.seed + 1_000_003 * (epoch + 1))


def truncated(documents: Documents, config: TrainConfig) -> int:
    """The number of documents that are cut because they are too long."""
    return 0 if config.layout == "stream" else int((documents.lengths > config.max_length).sum())
