"""A process that has imported everything and runs nothing: it forks a child for each case, which saves seconds a case.

It is started as a program by `forked.py`, which sends a case as one line of JSON and gets two lines back: the process
of the child, and how the child has ended.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import typer.main

import arasuji.cli
import arasuji.corpus.read
import arasuji.evaluation.compare
import arasuji.reports.compare
import arasuji.runs
import arasuji.writing

for name in (
    *("polars", "peft", "nltk", "torch.utils.tensorboard", "rich.console", "rich.table", "rich._emoji_codes"),
    *("transformers.models.gpt2.modeling_gpt2", "transformers.models.llama.modeling_llama"),
    *("arasuji.corpus.clean", "arasuji.corpus.digest", "arasuji.corpus.split", "charset_normalizer"),
    *("arasuji.api", "arasuji.exports.export", "arasuji.training.average", "arasuji.tuning.search"),
    *("arasuji.models.lstm", "arasuji.models.mixture", "arasuji.models.ngram", "arasuji.models.transformer"),
    *("arasuji.models.int8.decoder", "arasuji.models.int8.kernels", "arasuji.tokenizers.bpe"),
    *("arasuji.tokenizers.pretrained", "arasuji.tokenizers.pruned", "arasuji.tokenizers.word"),
):
    importlib.import_module(name)
# What each process finds out anew takes as long as reading a small model.
typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(arasuji.cli.app)
arasuji.plugins.entry_points = functools.cache(importlib.metadata.entry_points)
arasuji.corpus.registry.entry_points = arasuji.plugins.entry_points
arasuji.models.family("lstm"), arasuji.tokenizers.kind("bpe")
arasuji.corpus.script.is_open("a")
arasuji.corpus.language.language("After years a keeper comes home to the harbour, and finds nobody there.")
importlib.import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("gpt2")


PAUSE = 0.02
"""Seconds between two looks at the memory of a case."""


def memory() -> dict[str, int]:
    """The memory of this process by the kernel's names, in bytes."""
    with open("/proc/self/status") as file:
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file if line.startswith("Vm")}


def call(case: dict[str, Any]) -> int:
    """Do what the case says: a verb of the command line, or a function "module:name" of tests/, with arguments."""
    if "verb" in case:
        sys.argv = ["arasuji", *case["verb"]]
        arasuji.cli.main()
        return 0
    module, name = case["function"].split(":")
    getattr(importlib.import_module(module), name)(*case.get("arguments", []))
    return 0


def child(case: dict[str, Any]) -> int:
    os.setsid()
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):  # shells ignore some in what they start in the background
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, key in ((1, "out"), (2, "err")):
        file = os.open(case[key], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.closerange(3, 256)
    os.environ.update(case.get("env", {}))
    os.chdir(case["cwd"])
    for limit, value in case.get("limits", {}).items():
        kind = getattr(resource, f"RLIMIT_{limit}")
        if limit == "DATA":  # what the fork has taken over does not count
            value += memory()["VmData"]
        resource.setrlimit(kind, (value, value))
    for name, disposition in case.get("signals", {}).items():
        signal.signal(getattr(signal, name), getattr(signal, disposition))
    if case.get("stopped"):
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        return call(case)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()


def fork_and_wait(work: Callable[[], int], told: Callable[[int], None] = lambda pid: None) -> tuple[int, int]:
    """Do the work in a fork, and tell its process: the exit code, and the most memory that it had at one time with the
    programs of its session, in bytes."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = work()
        finally:
            os._exit(code)
    told(pid)
    most, end = 0, os.pidfd_open(pid)
    while not select.select([end], [], [], PAUSE)[0]:
        most = max(most, session_memory(pid))
    os.close(end)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), max(most, usage.ru_maxrss * 1024)


def session_memory(leader: int) -> int:
    """The memory of a session in bytes: that of its first process, and of the programs that it has started. Its forks
    share its memory, and do not count."""
    whole, own = 0, Path("/proc/self/cmdline").read_bytes()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may have ended
            pid = int(place.name)
            if pid == leader or (os.getsid(pid) == leader and (place / "cmdline").read_bytes() != own):
                whole += int((place / "statm").read_text().split()[1]) * resource.getpagesize()
    return whole


def main() -> None:
    own = fork_and_wait(lambda: 0)[1]
    say = os.fdopen(os.dup(1), "w")
    print(json.dumps({"ready": os.getpid()}), file=say, flush=True)
    for line in sys.stdin.buffer:
        case = json.loads(line)
        with suppress(Exception):  # imported once; an error comes again in the fork
            importlib.import_module(case.get("function", "").partition(":")[0])
        began = time.monotonic()
        told = lambda pid: print(json.dumps({"pid": pid}), file=say, flush=True)  # noqa: E731
        code, most = fork_and_wait(partial(child, case), told)
        ended = {"code": code, "seconds": time.monotonic() - began, "memory": max(0, most - own)}
        print(json.dumps(ended), file=say, flush=True)


if __name__ == "__main__":
    main()
