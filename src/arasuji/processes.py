"""Several processes that train one model together, as `torchrun` or `accelerate launch` starts them.

A process alone is the first of one; nothing here costs it anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from arasuji.errors import TrainingError

if TYPE_CHECKING:  # torch is imported where it is needed: the command line asks here who may speak
    from torch import Tensor


def count() -> int:
    """How many there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def index() -> int:
    """Which one this is."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def is_main() -> bool:
    """Whether this is the one that writes files and speaks."""
    return index() == 0


def main_only(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function do nothing in the other processes."""

    @wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        if is_main():
            function(*arguments, **options)

    return guarded


def place() -> Any:
    """Accelerate's state of this process: its device, and its connection to the others, made at the first call."""
    import torch
    from accelerate import PartialState

    # Without a GPU accelerate has to be told that the processes are CPUs.
    by_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    return PartialState(cpu=count() > 1 and (by_cpu or not torch.cuda.is_available()))


@contextmanager
def turns() -> Iterator[None]:
    """Inside, a machine's first process goes ahead and the others follow: for what is made once on each machine."""
    if count() == 1:
        yield
        return
    with place().local_main_process_first():
        yield


def wait() -> None:
    """Go on when all have come this far."""
    total([0.0])


def add_up(tensors: Iterable[Tensor]) -> None:
    """Put the sum over all processes into each tensor."""
    if count() == 1:
        return
    from torch.distributed import all_reduce

    with _together():
        for work in [all_reduce(tensor, async_op=True) for tensor in tensors]:
            work.wait()


def total(numbers: Sequence[float]) -> list[float]:
    """Each number, summed over all processes."""
    if count() == 1:
        return list(numbers)
    import torch

    summed = torch.tensor(numbers, dtype=torch.float64, device=place().device)
    add_up([summed])
    return summed.tolist()


def any_of(flag: bool) -> bool:
    """Whether any process says yes: clocks and signals differ from one to the other, and what is done may not."""
    return total([float(flag)])[0] > 0


def main_says(numbers: Sequence[float]) -> list[float]:
    """The numbers of the first process."""
    return total([number if is_main() else 0.0 for number in numbers])


def gathered(tensor: Tensor) -> Tensor:
    """The tensors of all processes, alike in shape, one after the other along a new first dimension; on the CPU."""
    if count() == 1:
        return tensor.cpu()[None]
    import torch

    own = tensor.to(place().device)
    parts = [torch.empty_like(own) for _ in range(count())]
    with _together():
        torch.distributed.all_gather(parts, own.contiguous())
    return torch.stack(parts).cpu()


@contextmanager
def _together() -> Iterator[None]:
    """What all processes do at once; fails where one of them is gone."""
    place()
    try:
        yield
    except RuntimeError as error:
        raise TrainingError("another process of this run is lost: start all of them again with --resume") from error
