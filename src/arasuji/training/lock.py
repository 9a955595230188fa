"""A lock on a run folder: one training at a time writes it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from arasuji import processes
from arasuji.locks import alone


def run_lock(folder: Path) -> AbstractContextManager[None]:
    """Lock a run folder for a block. A missing folder is created, and deleted at the end if it is still empty. Of
    several processes that train together, the first one holds the lock.

    Raises RunError where another training holds it."""
    return alone(folder / ".lock", folder, "training") if processes.is_main() else nullcontext()
