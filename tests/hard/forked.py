"""Runs a case in a fork of a process that has imported everything, under limits, and says how it ended."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
SECONDS, MEMORY = 10.0, 2 * 2**30
"""What a case may take: seconds, and bytes beyond those of the process it was forked from."""
COMPUTES: dict[str, Any] = {"limits": {"CPU": int(SECONDS)}, "seconds": 6 * SECONDS}
"""The options of a case whose seconds are those in which it computes, whatever else the machine does meanwhile."""
MESSAGE_BYTES = 2_000


@dataclass(frozen=True)
class Ended:
    """How a case has ended."""

    code: int
    """The exit code; below 0 the signal that ended it, as subprocess has it."""
    out: str
    err: str
    seconds: float
    memory: int
    """The most memory that it took at one time with the programs that it started, in bytes, beyond that of the process
    it was forked from."""
    hung: bool = False
    """Whether it was killed because its time was over."""

    def problem(self, *codes: int) -> str:
        """What breaks the promise that all verbs make: an exit code of `codes` (0 and 2 by default), an error as one
        line, no traceback, no signal, no hang. Empty where it is kept."""
        if self.hung:
            return f"it did not end in {self.seconds:.0f} s"
        if self.code not in (codes or (0, 2)):
            return f"exit code {self.code}: {self.err[-MESSAGE_BYTES:]}"
        if "Traceback (most recent call last)" in self.err or "panicked at" in self.err:
            return f"a traceback: {self.err[-MESSAGE_BYTES:]}"
        last = self.err.rstrip("\n").rpartition("\n")[2]
        if self.code == 2 and (not last.startswith("error: ") or len(last) > MESSAGE_BYTES):
            return f"no line that says what is wrong: {self.err[-MESSAGE_BYTES:]}"
        return ""


class Running:
    """A case that has been started."""

    def __init__(self, zygote: Zygote, case: dict[str, Any], seconds: float) -> None:
        self.zygote, self.seconds = zygote, seconds
        self.out, self.err = Path(case["out"]), Path(case["err"])
        self.pid: int = zygote.ask(case)["pid"]

    def trace(self, *options: str) -> None:
        """Let strace follow the process, which was started with `stopped`, and let it go on."""
        until(lambda: status(self.pid, "State") == "T")
        self.tracer = subprocess.Popen(
            ["strace", "-f", "-q", *options, "-p", str(self.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        until(lambda: self.tracer.poll() is not None or status(self.pid, "TracerPid").strip("0"))
        assert self.tracer.poll() is None, f"strace cannot follow a process: {self.tracer.stderr.read()!r}"
        os.kill(self.pid, signal.SIGCONT)

    def send(self, kind: signal.Signals) -> None:
        os.kill(self.pid, kind)

    def wait(self) -> Ended:
        """Wait until it ends; after its time it is killed, and all that it has started."""
        answer, hung = self.zygote.read(self.seconds), False
        if answer is None:
            hung = True
            os.killpg(self.pid, signal.SIGKILL)
            answer = self.zygote.read(60)
        if tracer := getattr(self, "tracer", None):
            tracer.communicate()
        out, err = (_text(path) for path in (self.out, self.err))
        return Ended(answer["code"], out, err, answer["seconds"], answer["memory"], hung)


class Zygote:
    """The process that is forked for each case (see zygote.py); one case at a time."""

    def __init__(self, folder: Path, before: Sequence[str] = (), **environment: str) -> None:
        """`folder` is for what the cases print, and for what they cache; `before` is a command that runs this one."""
        self.folder = folder
        variables = {
            **os.environ, "OMP_NUM_THREADS": "1", "ARASUJI_HOME": str(folder / "home"), "COLUMNS": "80",
            "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false",
            "POLARS_MAX_THREADS": "1", "PYTHONPATH": str(HERE.parent), "ARASUJI_TRACEBACK": "1",
            **environment,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [*before, sys.executable, str(HERE / "zygote.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables, cwd=folder,
        )  # fmt: skip
        self._rest = b""
        assert self.read(300), "the process that is forked did not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stdin.close()
        self.process.wait(30)

    def ask(self, case: dict[str, Any]) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(case).encode() + b"\n")
        self.process.stdin.flush()
        return self.read(60)

    def read(self, seconds: float) -> dict[str, Any] | None:
        """The next line of JSON; None where none comes in this time."""
        latest = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = latest - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            piece = os.read(self.process.stdout.fileno(), 65536)
            assert piece, "the process that is forked has died"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def start(
        self,
        verb: Sequence[str | Path] | None = None,
        *,
        function: str = "",
        arguments: Sequence[Any] = (),
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        limits: dict[str, int] | None = None,
        signals: dict[str, str] | None = None,
        stopped: bool = False,
        seconds: float = SECONDS,
    ) -> Running:
        """Start a verb of the command line, or the function "module:name" of a module in tests/.

        `limits` are those of the resource module without RLIMIT_ (DATA counts from the fork on); `signals` are names
        of signals with SIG_IGN or SIG_DFL; `stopped` waits for `Running.trace` before it begins.
        """
        case: dict[str, Any] = {
            "cwd": str(cwd or self.folder), "env": env or {}, "stopped": stopped, "signals": signals or {},
            "limits": {"DATA": MEMORY} | (limits or {}),
            "out": str(self.folder / "stdout"), "err": str(self.folder / "stderr"),
        }  # fmt: skip
        if verb is not None:
            case["verb"] = [str(part) for part in verb]
        else:
            case |= {"function": function, "arguments": list(arguments)}
        return Running(self, case, seconds)

    def run(self, verb: Sequence[str | Path] | None = None, **options: Any) -> Ended:
        """`start`, and wait for its end."""
        return self.start(verb, **options).wait()


def set_all(settings: Iterable[str]) -> list[str]:
    """The words of a command line that set each of these."""
    return [word for setting in settings for word in ("--set", setting)]


def can_trace() -> bool:
    """Whether strace is installed, and may follow another process."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-q", "true"], capture_output=True).returncode == 0


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds, a minute at most."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + 60
        time.sleep(0.002)


def status(pid: int, key: str) -> str:
    """A value of /proc/PID/status; "" where there is none, or the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith(f"{key}:")), "")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(2**20).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
