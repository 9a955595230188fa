"""Ways in which a process ends, for the test of the harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def raises() -> None:
    raise ValueError("a fault")


def hangs() -> None:
    time.sleep(60)


def dies() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def takes(size: int) -> None:
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])


def takes_twice(size: int) -> None:
    """As `takes`, in this process and at the same time in another one."""
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])
    program = f"import time; block = bytearray({size}); block[::4096] = b'x' * len(block[::4096]); time.sleep(0.2)"
    subprocess.run([sys.executable, "-c", program], check=True)


def writes(path: str) -> None:
    with open(path, "w") as file:
        file.write("text")
        file.flush()
        os.fsync(file.fileno())
