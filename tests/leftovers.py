"""Names of what killed processes leave."""

from __future__ import annotations

import os
from pathlib import Path

from arasuji import files

GONE = 999_999_999
"""The number of a process that does not exist: systems number them lower."""


def work_on(target: Path, kind: str) -> Path:
    """Unfinished work on `target`, with the ending `kind`, whose process is gone. Each call gives another name."""
    with files.working(target) as name:
        return target.with_name(f"{name.replace(f'-{os.getpid()}-', f'-{GONE}-')}.{kind}")
