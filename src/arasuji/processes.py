"""Several processes that train one model together, as `torchrun` or `accelerate launch` starts them.

A process that was started alone is the first of one, and spends no time here.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from arasuji.errors import TrainingError, first_line

if TYPE_CHECKING:  # torch is imported where it is needed, since the command line imports this file
    from torch import Tensor

BUCKET = 2**23
"""Small tensors are sent together, up to this many numbers: sent alone, each would wait for the network."""
TIMEOUT = timedelta(hours=2)
"""How long a process waits for the others, of which one may be fetching a model or writing a checkpoint."""


LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""The variables by which a launcher says which of how many processes this is."""


def count() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def _launched() -> bool:
    try:
        rank, local, size = (int(os.environ[name]) for name in LAUNCHED)
    except (KeyError, ValueError):
        return False
    return 0 <= rank < size and local >= 0


def check() -> None:
    """Raise TrainingError where a launcher's variables are no numbers, or do not fit together. LOCAL_RANK alone makes
    accelerate wait for others."""
    if (set(LAUNCHED) <= os.environ.keys() or "LOCAL_RANK" in os.environ) and not _launched():
        said = ", ".join(f"{name}={os.environ[name]}" for name in LAUNCHED if name in os.environ)
        raise TrainingError(f"{said} do not say which of how many processes this is: unset them, or start by torchrun")


def index() -> int:
    """Which of the processes this is, counted from 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def is_main() -> bool:
    """Whether this is the process that writes files and messages."""
    return index() == 0


def main_only(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function do nothing in all processes but the first."""

    @wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        if is_main():
            function(*arguments, **options)

    return guarded


def place() -> Any:
    """Accelerate's state of this process: its device, and its connection to the others, made at the first call."""
    from accelerate import PartialState

    return PartialState(cpu=_by_cpu()) if count() == 1 else _joined()


@cache
def _joined() -> Any:
    import torch
    from accelerate import PartialState

    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if not _by_cpu() and 0 < gpus < here:
        raise TrainingError(f"{here} processes cannot share {gpus} GPU{'s' * (gpus > 1)}: start one a GPU")
    try:
        state = PartialState(cpu=_by_cpu() or not gpus, timeout=TIMEOUT)  # without a GPU, accelerate has to be told
    except ValueError as error:  # no address of the first process
        asked = f"WORLD_SIZE asks for {count()} processes, which cannot be joined ({first_line(error)})"
        raise TrainingError(f"{asked}: start them by torchrun, or unset it") from error
    atexit.register(state.destroy_process_group)  # else its threads are ended while they work, and abort
    return state


def _by_cpu() -> bool:
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")


@contextmanager
def turns() -> Iterator[None]:
    """The first process of a machine goes through this block before the others do: for what is made once a machine."""
    first = count() == 1 or place().is_local_main_process
    if not first:
        wait()
    yield
    if first:
        wait()


def wait() -> None:
    """Wait until all processes have come this far (a barrier)."""
    total([0.0])


def add_up(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes (an all-reduce); all tensors have one type and device."""
    if count() == 1:
        return
    import torch

    for bucket in _buckets(tensors):
        sent = torch.cat([tensor.reshape(-1) for tensor in bucket]) if len(bucket) > 1 else bucket[0]
        with together():
            torch.distributed.all_reduce(sent)
        if len(bucket) > 1:
            for tensor, part in zip(bucket, sent.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and sum(t.numel() for t in bucket) + tensor.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def total(numbers: Sequence[float]) -> list[float]:
    """Each number, summed over all processes."""
    if count() == 1:
        return list(numbers)
    import torch

    with together():
        summed = torch.tensor(numbers, dtype=torch.float64, device=place().device)
    add_up([summed])
    return summed.tolist()


def any_of(flag: bool) -> bool:
    """Whether the flag is true in any process."""
    return total([float(flag)])[0] > 0


def main_says(numbers: Sequence[float]) -> list[float]:
    """The numbers of the first process, in every process."""
    return total([number if is_main() else 0.0 for number in numbers])


def alike(numbers: Sequence[float]) -> bool:
    """Whether all processes have the same numbers."""
    return not any_of(list(numbers) != main_says(numbers))


def copy_main(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by that of the first process (a broadcast), one after the other."""
    if count() == 1:
        return
    import torch

    for tensor in tensors:
        with together():
            sent = tensor.to(place().device)  # what connects the processes may know no other device
            torch.distributed.broadcast(sent, 0)
            tensor.copy_(sent)


def gathered(tensor: Tensor) -> Tensor:
    """The tensors of all processes, which have one shape, stacked along a new first dimension, on the CPU (an
    all-gather)."""
    if count() == 1:
        return tensor.cpu()[None]
    import torch

    own = tensor.to(place().device).contiguous()
    parts = [torch.empty_like(own) for _ in range(count())]
    with together():
        torch.distributed.all_gather(parts, own)
    return torch.stack(parts).cpu()


@contextmanager
def together() -> Iterator[None]:
    """A block in which all processes communicate. Raises TrainingError where one of them is gone."""
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise
        reason = first_line(error)
        raise TrainingError(
            f"the processes have lost each other ({reason}): start all of them again with --resume"
        ) from error
