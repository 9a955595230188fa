from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def kill_second() -> Callable[[subprocess.Popen[str], Path], None]:
    """Kills the second process that a launcher has started, once the run has a checkpoint."""

    def kill(launcher: subprocess.Popen[str], run: Path) -> None:
        while not (run / "last/manifest.json").exists():
            assert launcher.poll() is None, launcher.communicate()[1]
            time.sleep(0.01)
        started = sorted(psutil.Process(launcher.pid).children(), key=lambda process: process.pid)
        started[1].send_signal(signal.SIGKILL)

    return kill
