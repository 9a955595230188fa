"""A model is asked in a process of its own, or its earlier answer is taken."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from arasuji import device
from arasuji.corpus import Progress
from arasuji.errors import RunError
from arasuji.evaluation.answer import Answer
from arasuji.evaluation.examine import Job
from arasuji.evaluation.kept import kept
from arasuji.runs import mark_of, versions


def ask(name: str, job: Job, progress: Progress) -> tuple[Answer, bool]:
    """A model's answer, and whether it was kept since the same was asked of the same weights on such a machine.

    Raises:
        RunError: the model cannot be examined.
    """
    question = asdict(job)
    where = question.pop("corpus")  # the folder may be moved

    def find() -> Answer:
        event: dict[str, Any] = {}
        for event in _process(name, {**question, "corpus": where}):
            if "error" in event:
                raise RunError(f"{name}: {event['error']}")
            if "doing" in event:
                progress(f"{name}: {event['doing']}", event["done"], event["total"])
        return Answer.model_validate(event["found"])

    return kept([mark_of(name), question, depends_on()], find, Answer)


def depends_on() -> list[object]:
    """What an answer depends on besides the model and the question: versions, the machine, the types of weights."""
    return [versions(), machine(), *map(str, (device.dtype("auto"), device.dtype(device.for_writing())))]


def machine() -> str:
    """The name of the chip, as far as it is known, and the number of threads."""
    if device.here().type == "cuda":
        return torch.cuda.get_device_name()
    chip = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux
        named = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
        chip = named[1] if named else chip
    return f"{chip}, {torch.get_num_threads()} threads"


def _process(name: str, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of a process that examines one model; the last one is its answer or its error."""
    quiet = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "true"}
    with tempfile.TemporaryDirectory() as folder:
        path, errors = Path(folder) / "job.json", Path(folder) / "stderr"
        path.write_text(json.dumps(job), "utf-8")
        # -P: no file of the folder that this is called in is imported in place of a library.
        command = [sys.executable, "-P", "-m", "arasuji.evaluation.examine", name, str(path)]
        with (
            errors.open("w") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | quiet) as process,
        ):
            assert process.stdout is not None
            event: dict[str, Any] = {}
            try:
                for line in process.stdout:
                    event = json.loads(line)
                    yield event
                process.wait()
            finally:
                process.kill()
        if not event.keys() & {"found", "error"}:
            last = (errors.read_text("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
            raise RunError(f"{name}: the process that examined it ended ({process.returncode}): {last}")
