"""Encoded documents to batches: one epoch at a time, the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arasuji.config import TrainConfig
from arasuji.models import IGNORED

POOL_BATCHES = 50
"""Documents of so many batches are sorted by length together, so that a batch has few pads and the order stays
nearly random."""


@dataclass(frozen=True)
class Batch:
    """ids, targets (B, T) int64, padded on the right; `continues` says that row b goes on where it stopped in the
    batch before."""

    ids: Tensor
    targets: Tensor
    continues: bool = False

    @property
    def counted(self) -> int:
        """Targets that count."""
        return int((self.targets != IGNORED).sum())


def epoch_batches(
    documents: Sequence[list[int]], config: TrainConfig, epoch: int, end_id: int, pad_id: int
) -> list[Batch]:
    """All batches of an epoch."""
    if config.layout == "stream":
        return _stream(documents, config, end_id)
    return _documents(documents, config, epoch, end_id, pad_id)


def _documents(
    documents: Sequence[list[int]], config: TrainConfig, epoch: int, end_id: int, pad_id: int
) -> list[Batch]:
    """Each document alone: an uncounted end before it, a counted one after it; those too long are cut and not
    taught to end there."""
    generator = torch.Generator().manual_seed(config.seed + 1_000_003 * (epoch + 1))
    order = torch.randperm(len(documents), generator=generator).tolist()
    groups: list[list[int]] = []
    for start in range(0, len(order), config.batch_size * POOL_BATCHES):
        pool = order[start : start + config.batch_size * POOL_BATCHES]
        pool.sort(key=lambda i: len(documents[i]))
        groups += [pool[i : i + config.batch_size] for i in range(0, len(pool), config.batch_size)]
    shuffled = torch.randperm(len(groups), generator=generator).tolist()
    return [_padded([documents[i] for i in groups[g]], config.max_length, end_id, pad_id) for g in shuffled]


def _padded(documents: list[list[int]], limit: int, end_id: int, pad_id: int) -> Batch:
    width = min(limit, max(len(d) + 1 for d in documents))
    ids = torch.full((len(documents), width), pad_id)
    targets = torch.full((len(documents), width), IGNORED)
    for row, document in enumerate(documents):
        read = [end_id, *document][:width]
        wanted = [*document, end_id][:width]
        ids[row, : len(read)] = torch.tensor(read)
        targets[row, : len(wanted)] = torch.tensor(wanted)
    return Batch(ids, targets)


def _stream(documents: Sequence[list[int]], config: TrainConfig, end_id: int) -> list[Batch]:
    """The article's generator: all documents joined in order, cut into `batch_size` rows that are read side by
    side, `max_length` tokens a batch; targets are the inputs shifted by one."""
    joined = torch.tensor([end_id, *(token for d in documents for token in (*d, end_id))])
    length = (len(joined) - 1) // config.batch_size
    if length < 1:
        return []
    ids = joined[: length * config.batch_size].view(config.batch_size, length)
    targets = joined[1 : length * config.batch_size + 1].view(config.batch_size, length)
    return [
        Batch(ids[:, start : start + config.max_length], targets[:, start : start + config.max_length], start > 0)
        for start in range(0, length, config.max_length)
    ]


def truncated(documents: Sequence[list[int]], config: TrainConfig) -> int:
    """How many documents `_documents` cuts."""
    return 0 if config.layout == "stream" else sum(len(d) + 1 > config.max_length for d in documents)
