"""Runs verbs of the command line one after another in a fork, and writes down what no folder may make them do."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import arasuji.cli

ACTS = {
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn"),
    *("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"),
    *("pickle.find_class", "webbrowser.open", "ctypes.dlopen"),
}
"""Python tells of these (audit events); no verb that is watched does any of them."""
DATA = {".json", ".jsonl", ".safetensors", ".npy", ".txt", ".toml", ".jinja", ".lock", ".tmp", ""}
"""Files of these kinds are read, and others not: code and pickles among them."""

WAITING = 6
"""A verb may take this many times the seconds for which it may compute: other programs compute as well."""


def run(verbs: list[list[str]], seconds: int, hostile: str, report: str) -> None:
    """Run the verbs, and write a line of JSON for each: its exit code, what it printed, and what was seen. One that
    takes longer than `seconds` ends the process.

    `hostile` is the folder that they are given.
    """
    seen: list[str] = []
    sys.addaudithook(lambda event, arguments: seen.extend(_seen(event, arguments, hostile)))
    with open(report, "a") as file:
        for verb in verbs:
            seen.clear()
            signal.setitimer(signal.ITIMER_PROF, seconds)  # of computing, whatever else the machine does
            signal.alarm(WAITING * seconds)
            began = time.monotonic()
            code, out, err = _told(verb, Path(report).parent)
            line = {"code": code, "out": out, "err": err, "seconds": time.monotonic() - began, "seen": [*seen]}
            print(json.dumps(line), file=file, flush=True)


def _seen(event: str, arguments: tuple[Any, ...], hostile: str) -> Iterator[str]:
    if event in ACTS:
        own = event == "pickle.find_class" and _called_by("numba")  # compiled loops, which this machine has kept
        if not own and not (event == "ctypes.dlopen" and hostile not in str(arguments)):
            yield f"{event} {arguments!r:.200}"
    elif event in ("import", "exec"):
        name = arguments[1] if event == "import" else getattr(arguments[0], "co_filename", "")
        if str(name).startswith(hostile):
            yield f"{event} {name}"
    elif event == "open" and isinstance(arguments[0], str | bytes):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(hostile):
            summed = _caller().f_globals.get("__name__") == "arasuji.files"  # which reads bytes, and runs none
            if os.path.splitext(path)[1] not in DATA and not summed and not os.path.isdir(path):
                yield f"opened {path}"
            if _called_by("transformers"):
                yield f"transformers opened {path}"


def _caller() -> FrameType:
    """The frame that has done what was seen."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals is globals():
        frame = frame.f_back
    return frame


def _called_by(package: str) -> bool:
    frame: FrameType | None = _caller()
    while frame:
        if frame.f_globals.get("__name__", "").partition(".")[0] == package:
            return True
        frame = frame.f_back
    return False


def _told(verb: list[str], folder: Path) -> tuple[int, str, str]:
    """Run a verb: its exit code, its output and its errors."""
    paths = [folder / "watched.out", folder / "watched.err"]
    for number, path in enumerate(paths, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["arasuji", *verb]
    try:
        arasuji.cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    out, err = (path.read_text("utf-8", "backslashreplace")[-5000:] for path in paths)
    return code, out, err
