"""What is said of an exception that no verb expects: it is a fault of ours, and the user needs one line of it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
import traceback
from pathlib import Path

import arasuji
from arasuji.errors import ArasujiError, first_line
from arasuji.speech import shown, tell

FAULT = 70
"""The exit code of a fault (EX_SOFTWARE of sysexits.h)."""


def described(error: BaseException) -> str:
    """One line that says what has failed, and which file has the whole report. Where ARASUJI_TRACEBACK is set, and
    where no file can be written, the report is printed before."""
    python = f"Python {platform.python_version()}, {platform.platform()}"
    report = f"arasuji {arasuji.__version__}, {python}\n{shlex.join(sys.argv)}\n\n"
    report += "".join(traceback.format_exception(error))
    where = _kept(report)
    if not where:
        tell(shown(report))
    kind = f"{type(error).__name__}: {first_line(error)}"
    return f"this is a bug in arasuji ({kind}); please report it, with {where or 'the lines above'}"


def _kept(report: str) -> Path | None:
    if os.environ.get("ARASUJI_TRACEBACK"):
        return None
    from arasuji.bases import home
    from arasuji.files import write_text

    try:
        place = home() / "faults" / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{os.getpid()}.txt"
        # An argument may hold bytes that are no letters, and an error half a pair of surrogates.
        write_text(place, report.encode("utf-8", "backslashreplace").decode())
    except (ArasujiError, OSError):
        return None
    return place
