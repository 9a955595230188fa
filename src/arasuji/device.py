"""The device on which models compute, which accelerate chooses, and the precision in which they do."""

from __future__ import annotations

import ctypes
import os
import random
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psutil
import torch

from arasuji import processes
from arasuji.errors import OptionError

Precision = Literal["auto", "fp32", "bf16", "int8"]
_own = threading.local()


def here() -> torch.device:
    """The device that accelerate picks for this process: CUDA, MPS or CPU."""
    device: torch.device = processes.place().device
    return device


def has_bf16() -> bool:
    """Whether the chip has instructions for products of bfloat16 matrices, and torch uses them."""
    kind = here().type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu":
        in_chip = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return in_chip and torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
    return False


def dtype(precision: Precision) -> torch.dtype:
    """The torch type of a precision's name; `auto` is bfloat16 where the chip has it, else float32.

    Raises:
        OptionError: 8-bit weights on another device than a CPU; or bfloat16 on a CPU without it, where it would be
            several times slower than float32, or end in an error of oneDNN.
    """
    if precision == "int8":
        if here().type != "cpu":
            raise OptionError("int8 runs on CPUs only: say bf16")
        return torch.int8
    if precision == "bf16" and here().type == "cpu" and not has_bf16():
        raise OptionError("this processor has no bfloat16: say fp32 or auto; int8 is the quickest for writing")
    bf16 = precision == "bf16" or (precision == "auto" and has_bf16())
    return torch.bfloat16 if bf16 else torch.float32


def for_writing() -> Precision:
    """The precision in which models write by default: 8 bits on a CPU, where reading all weights for each token takes
    most of the time."""
    return "int8" if here().type == "cpu" else "auto"


def autocast(bf16: bool) -> torch.autocast:
    """Matrix products in bfloat16 inside this block, sums and losses in float32; nothing at all without `bf16`."""
    return torch.autocast(here().type, torch.bfloat16, enabled=bf16)


def peak_memory() -> int:
    """The most memory held so far, in bytes: of the accelerator where there is one, else of this process."""
    if here().type == "cuda":
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # getrusage may give the peak of the parent process
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Let `peak_memory` count from now on. Only CUDA and Linux can do this."""
    if here().type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's generators: initial weights and dropout."""
    random.seed(seed)
    torch.manual_seed(seed)


def generators() -> dict[str, torch.Tensor]:
    """The state of torch's generators: the CPU's, and the accelerator's where there is one."""
    states = {"cpu": torch.get_rng_state()}
    if here().type in ("cuda", "mps"):
        states["accelerator"] = getattr(torch, here().type).get_rng_state()
    return states


def set_generators(states: dict[str, torch.Tensor]) -> None:
    """Put back what `generators` gave."""
    torch.set_rng_state(states["cpu"])
    if "accelerator" in states and here().type in ("cuda", "mps"):
        getattr(torch, here().type).set_rng_state(states["accelerator"])


def tokens_at_once(frozen: bool) -> int:
    """How many tokens of a batch are read together in training: enough to keep the chip busy, and few enough that what
    is kept for their gradient is small beside the weights. `frozen` says that most weights are not trained: they need
    no gradients and no moments of the optimizer, so there is memory for more tokens."""
    if here().type == "cuda":
        return 2**15
    return 1100 if frozen else 768


class _Threads:
    """How many threads torch has outside of `one_thread`. A thread of Python's that begins while another one is in it
    inherits torch's latest number, so what a new thread says is not believed."""

    def __init__(self) -> None:
        self.lock, self.inside, self.outside = threading.Lock(), 0, 0


_threads = _Threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside this block torch computes with one thread, and only our own compiled loops use several (`threads`).

    It is for small operations between two such loops. After an operation, torch's threads (OpenMP) keep their cores
    busy for milliseconds while they wait for the next one, and our loops need these cores. And where another program
    uses a core, all of torch's threads wait for the one that has none.

    torch's number of threads belongs to the process: a thread of Python's that begins while another one is in such a
    block has one thread until it leaves a block of its own, and all of them leave with the same number.
    """
    with _threads.lock:
        if not _threads.inside and (hasattr(_own, "depth") or not _threads.outside):
            _threads.outside = torch.get_num_threads()
        _threads.inside += 1
    _own.depth = getattr(_own, "depth", 0) + 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _own.depth -= 1
        with _threads.lock:
            _threads.inside -= 1
            if not _own.depth:
                torch.set_num_threads(_threads.outside)


def threads() -> int:
    """How many threads our own compiled loops may use: as many as torch uses outside of `one_thread`."""
    return _threads.outside if _threads.inside else torch.get_num_threads()


def tune_memory() -> None:
    """Let the C library keep freed memory, and oneDNN keep less of it; call this before the first matrix product.

    glibc returns every large block to the system, which fills it with zeros, page by page, when it is needed again: up
    to a fifth of a training step on a CPU. oneDNN keeps a workspace for each shape of product that it has met, up to a
    thousand of them and a gigabyte; training a model needs a few dozen.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, "32")
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None and hasattr(libc, "mallopt"):
        no_mmap, trim_threshold, top_pad = -4, -1, -2  # as malloc.h numbers them
        libc.mallopt(no_mmap, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(top_pad, 2**26)


def wait() -> None:
    """Wait until the accelerator has computed all that it was asked for; a CPU always has."""
    if here().type in ("cuda", "mps"):
        getattr(torch, here().type).synchronize()


def release() -> None:
    """Return the accelerator's cached memory; on a CPU there is none."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
