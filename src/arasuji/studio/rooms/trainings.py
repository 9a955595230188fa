"""What is known of each training: read from the run's folder, and from the job that trains it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from arasuji import files, folders, locks
from arasuji.errors import RunError
from arasuji.runs import RunDirectory, best_of
from arasuji.studio.jobs import Job, Jobs

TAIL = 4096
"""The last line of a log stands within this number of bytes."""
REASON = re.compile(r"^stopped at step [\d,]+: (.+) \(.+\)$", re.MULTILINE)
"""The line with which `train` says why it has ended."""


class Checkpoint(BaseModel):
    """What the last checkpoint of a run says of its progress."""

    step: int = Field(ge=0, lt=2**40)
    """From here the run would be continued."""
    waited: int
    """The number of validations since the best one."""
    steps: int = Field(ge=1, lt=2**40)
    """Those of the whole run."""


class LastStep(BaseModel):
    """The last line of the metrics."""

    step: Annotated[int, Field(ge=0, lt=2**40)] = 0
    seconds: Annotated[float, Field(ge=0, lt=2**40)] = 0.0


def job_of(run: str) -> str:
    """The name of the job that trains a run."""
    return f"train-{run}"


def trainings(runs: Path, jobs: Jobs) -> list[dict[str, Any]]:
    """All runs of a folder, and those that have just been started; the last one that was started first."""
    begun = {str(job.about.get("run")): job for job in jobs.all() if job.name == job_of(str(job.about.get("run")))}
    found = []
    for path in runs.iterdir() if runs.is_dir() else ():
        if is_trained(path):
            found.append((_began(path), _of_folder(path, begun.pop(path.name, None), jobs)))
    found += [(job.began, _of_job(name, job, jobs)) for name, job in begun.items()]
    return [training for _, training in sorted(found, key=lambda pair: -pair[0])]


def is_trained(path: Path) -> bool:
    """Whether a folder is a run, be it damaged; other folders are corpora, reports, or a person's own."""
    try:
        path.name.encode()  # JSON cannot hold the name of every file
        content = files.read_json(path / folders.MANIFEST)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "experiment" in content


def _began(path: Path) -> float:
    try:
        return (path / folders.MANIFEST).stat().st_mtime
    except OSError:  # it was deleted just now
        return 0.0


def _of_folder(path: Path, job: Job | None, jobs: Jobs) -> dict[str, Any]:
    try:
        facts = RunDirectory(path).facts
    except RunError as error:
        return {"id": path.name, "state": "damaged", "why": str(error)}
    saved, last, best = checkpoint(path), _last_step(path / "metrics.jsonl"), best_of(path)
    own = job is not None and jobs.running(job)
    training = own or is_locked(path)
    patience = facts.experiment.train.patience
    at_end = saved is not None and (saved.step >= saved.steps or 0 < patience <= saved.waited)
    finished = not training and (at_end or bool(facts.averaged or facts.imported))
    left = max(0, saved.steps - last.step) if training and saved else None
    return {
        "id": path.name,
        "preset": facts.name,
        "family": facts.experiment.family,
        "predicts": facts.experiment.document.predicts,
        "corpus": {"name": Path(facts.corpus.folder).name, "hash": facts.corpus.hash},
        "settings": facts.settings or [],
        "best": {"step": LastStep(**best).step, "bits_per_byte": best["bits_per_byte"]}
        if best and best["bits_per_byte"] is not None
        else None,
        "state": "training" if training else "finished" if finished else "stopped",
        "why": "" if training or finished or job is None else why(job, jobs),
        "own": own,
        "stopping": own and job is not None and jobs.asked_to_stop(job),
        "step": last.step,
        "steps": saved.steps if saved else None,
        "seconds": last.seconds,
        "seconds_left": last.seconds / last.step * left if left is not None and last.step else None,
        "checkpoint": saved.step if saved else None,
    }


def _of_job(name: str, job: Job, jobs: Jobs) -> dict[str, Any]:
    """A training that has no folder yet, or has ended before it had one."""
    running = jobs.running(job)
    return {
        "id": name,
        "preset": job.about.get("preset"),
        "state": "training" if running else "stopped",
        "why": "" if running else why(job, jobs),
        "own": running,
        "stopping": running and jobs.asked_to_stop(job),
        "step": 0,
        "checkpoint": None,
        "best": None,
    }


def why(job: Job, jobs: Jobs) -> str:
    """Why a job has ended, in words."""
    if jobs.asked_to_stop(job):
        return "a person stopped it"
    if jobs.code(job) is None:
        return "its process was killed, as happens where memory is full, or the machine was switched off"
    said = jobs.said(job)
    if reasons := REASON.findall(said):
        return str(reasons[-1])
    last = (said.strip().splitlines() or ["no reason is known"])[-1]
    return last.removeprefix("error: ")


def checkpoint(path: Path) -> Checkpoint | None:
    """What the last checkpoint of a run says; None before the first one."""
    try:
        state = files.read_json(path / "last" / "state.json")
        return Checkpoint(**state["progress"] | {"steps": state["plan"]["steps"]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _last_step(path: Path) -> LastStep:
    """The last whole line of a log."""
    try:
        with files.regular(path) as log:
            log.seek(max(0, log.seek(0, 2) - TAIL))
            lines = log.read().split(b"\n")
    except OSError:  # there is no step yet
        lines = []
    for line in reversed(lines):
        try:
            return LastStep(**files.parse_json(line))
        except (ValueError, TypeError):  # half a line, or the empty text after the last one
            continue
    return LastStep()


def is_locked(path: Path) -> bool:
    """Whether a process trains this run now (see `training.lock`)."""
    return locks.is_held(path / ".lock")
