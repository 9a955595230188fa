"""Contestants that take turns: each a process of its own, all on the same machine; and what that machine can do.

A contestant prints a line when it is ready, then answers each line it reads with a line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GEMM = 2048
"""Rows and columns of the matrices that measure the machine."""
READ = 2**28
"""Bytes that are read to measure the memory."""
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}


class Contestant:
    """A program that has been started, and is waiting for its turn."""

    def __init__(self, *command: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | QUIET,
        )
        self.command = command
        if self._line() != "ready\n":
            raise SystemExit(f"{command} failed")

    def _line(self) -> str:
        line: str = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.command} failed")
        return line

    def take(self, turn: object) -> dict[str, Any]:
        """Its answer to a line."""
        print(turn, file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def leave(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def answer(respond: Callable[[str], dict[str, Any]]) -> None:
    """The contestant's side: say that it is ready, then answer."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps({**respond(line.strip()), "peak_bytes": peak_bytes()}), file=answers, flush=True)
    os._exit(0)  # some have threads that never end


def rotated(names: list[str], turn: int) -> Iterator[str]:
    """The order of a round: another begins each time."""
    yield from names[turn % len(names) :] + names[: turn % len(names)]


def gemm(kind: str) -> float:
    """Operations a second of a square product in a type, the best of four."""
    import torch

    a, b = ((torch.randn(GEMM, GEMM) * 30).to(getattr(torch, kind)) for _ in range(2))
    product = torch._int_mm if kind == "int8" else torch.mm
    c = product(a, b)
    best = min(_seconds(lambda: product(a, b, out=c)) for _ in range(4))
    return 2 * GEMM**3 / best


def read_rate() -> float:
    """Bytes a second that are read from memory, the best of four."""
    import torch

    numbers = torch.ones(READ // 4)
    return READ / min(_seconds(numbers.sum) for _ in range(4))


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def processor() -> str:
    """The chip's name, as Linux tells it."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else ""
