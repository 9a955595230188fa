"""The Train room: what a training would take, trainings that are started, stopped and resumed, and how they go.

Routes that wait for the disk are plain functions, which FastAPI calls in threads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from arasuji import api, files
from arasuji.config import load_experiment, preset_names
from arasuji.errors import ArasujiError, OptionError, RunError, nearest
from arasuji.runs import RunDirectory, best_of
from arasuji.studio.jobs import NAME, Job, Jobs, begin_job
from arasuji.studio.rooms.metrics import Metrics, written
from arasuji.studio.rooms.trainings import checkpoint, is_locked, is_trained, job_of, trainings, why

A_WEEK = 7 * 24 * 60
"""A training that is started here takes at most these minutes."""
RESERVED = {"corpus", "reports"}
"""Names that other things have in the folder of the runs."""
ESTIMATE = "estimate"
"""The name of the job that measures."""
SPREAD = 0.85, 1.3
"""27 of 39 trainings on a laptop's CPU took between these multiples of the time that a few of their steps had foretold;
most of the others shared the CPU with other work, and took longer."""

DEMO_MINUTES = "9.5"
METRICS = Metrics()
router = APIRouter(prefix="/api")


class Planned(BaseModel):
    """A training whose time and memory are to be foretold."""

    model_config = ConfigDict(extra="forbid")

    preset: str = Field(max_length=100)
    corpus: str = Field(max_length=300)
    minutes: float = Field(ge=0.1, le=A_WEEK, allow_inf_nan=False)
    settings: list[Annotated[str, Field(max_length=500)]] = Field(default_factory=list, max_length=50)
    """As `--set` takes them."""


class Asked(Planned):
    """A training that is to be started."""

    name: str = Field(max_length=100)
    """That of its run."""


class Plan(BaseModel):
    """What `arasuji train --dry-run --json` prints, as far as it is shown."""

    steps: int
    epochs: float = Field(allow_inf_nan=False)
    seconds: float = Field(allow_inf_nan=False)
    memory: int
    """The bytes that it needs."""
    free: int
    """The bytes that were free before it was measured."""


@router.get("/presets")
def presets() -> list[dict[str, str]]:
    """The presets that ship."""
    tables = {name: load_experiment(name) for name in preset_names()}
    return [{"id": name, "family": of["family"], "description": of["description"]} for name, of in tables.items()]


@router.post("/estimate", status_code=202)
def begin_estimate(asked: Planned, request: Request) -> dict[str, Any]:
    """Measure what a training would take; GET says what was found."""
    jobs: Jobs = request.app.state.jobs
    arguments = [*_arguments(asked, jobs.folder / ESTIMATE, request), "--dry-run", "--json"]
    begin_job(jobs, ESTIMATE, "train", arguments, asked.model_dump())
    return estimate(request)


@router.get("/estimate")
def estimate(request: Request) -> dict[str, Any]:
    """The last estimate: what was asked, and once it is measured the plan, with the seconds from the shortest to the
    longest time."""
    jobs: Jobs = request.app.state.jobs
    job = jobs.find(ESTIMATE)
    told: dict[str, Any] = {"asked": job.about if job else None, "running": False, "plan": None, "problem": ""}
    if job is None or jobs.running(job):
        return told | {"running": job is not None}
    if jobs.code(job) != 0:
        return told | {"problem": why(job, jobs)}
    try:
        plan = Plan(**files.parse_json(jobs.result(job)))
        longest = 60 * float(job.about["minutes"])  # then a training ends in any case
    except (RunError, KeyError, TypeError, ValueError) as error:
        return told | {"problem": f"the estimate cannot be read: {error}"}
    return told | {"plan": plan.model_dump() | {"seconds": [min(longest, part * plan.seconds) for part in SPREAD]}}


@router.get("/trainings")
def all_trainings(request: Request) -> list[dict[str, Any]]:
    """Every run of the folder, whoever has started it, and how it goes."""
    return trainings(request.app.state.shelf.folder, request.app.state.jobs)


@router.post("/runs", status_code=202)
def begin(asked: Asked, request: Request) -> dict[str, str]:
    """Start a training, which goes on without the server."""
    folder = _folder(request) / asked.name
    if not all(re.fullmatch(NAME, name) for name in (asked.name, job_of(asked.name))):
        raise _refusal("name", "letters, digits, points and dashes, at most 90, the first one a letter or a digit")
    if asked.name in RESERVED or _is_taken(folder):
        raise _refusal("name", f"{asked.name} exists already, choose another one", 409)
    about = {"run": asked.name, **asked.model_dump(exclude={"name"})}
    begin_job(request.app.state.jobs, job_of(asked.name), "train", _arguments(asked, folder, request), about)
    return {"run": asked.name}


@router.post("/runs/{name}/stop")
def stop(name: str, request: Request) -> dict[str, str]:
    """Let a training save and end."""
    folder, job = _known(name, request)
    jobs: Jobs = request.app.state.jobs
    if job is None or not jobs.running(job):
        if is_locked(folder):
            raise HTTPException(409, f"{name} is trained by a program that this room has not started: stop it there")
        raise HTTPException(409, f"{name} is not being trained")
    jobs.stop(job)
    return {"run": name}


@router.post("/runs/{name}/resume", status_code=202)
def resume(name: str, request: Request) -> dict[str, str]:
    """Continue a training from its last checkpoint to the last step of its plan, as its manifest says it was begun."""
    folder, job = _known(name, request)
    if is_locked(folder):
        raise HTTPException(409, f"{name} is being trained")
    try:
        facts = RunDirectory(folder).facts
    except RunError as error:
        raise HTTPException(409, str(error)) from error
    if facts.name not in preset_names():
        raise HTTPException(409, f"{name} is of no preset: `arasuji train {facts.name}.toml --resume` continues it")
    if checkpoint(folder) is None and best_of(folder):  # `train` would begin again, and replace its model
        raise HTTPException(409, f"{name} has no checkpoint to continue from: train a new run under another name")
    arguments = [facts.name, "--corpus", facts.corpus.folder, "--out", str(folder), "--resume"]
    about = job.about if job else {"run": name}
    if checkpoint(folder) is None and "minutes" in about:  # it begins again, and is planned again
        arguments += ["--max-minutes", str(about["minutes"])]
    begin_job(request.app.state.jobs, job_of(name), "train", arguments, about)
    return {"run": name}


@router.get("/runs/{name}/metrics")
def metrics(name: str, request: Request, points: Annotated[int, Query(ge=2, le=5000)] = 500) -> dict[str, Any]:
    """The lines of a run's chart (see `Metrics.series`)."""
    folder, _ = _known(name, request)
    return METRICS.series(folder / "metrics.jsonl", points)


@router.get("/runs/{name}/samples")
def samples(name: str, request: Request) -> list[dict[str, Any]]:
    """The texts that a run has written at its validations, each with its step and its prompt."""
    folder, _ = _known(name, request)
    return written(folder / "samples.jsonl")


@router.post("/demo", status_code=202)
def demo(request: Request) -> dict[str, Any]:
    """Prepare a corpus, train two models on it and compare them, as `arasuji demo` does."""
    jobs: Jobs = request.app.state.jobs
    arguments = ["--out", str(_folder(request)), "--minutes", DEMO_MINUTES]
    # Where it works there is no folder that could be taken for the base model of the same name, and it leaves a file.
    return jobs.told(begin_job(jobs, "demo", "demo", arguments, {}, jobs.folder))


def _folder(request: Request) -> Path:
    """The folder of the runs, with its full path: a job may be started elsewhere."""
    folder: Path = request.app.state.shelf.folder
    return folder.absolute()


def _is_taken(folder: Path) -> bool:
    """Whether a new run cannot have this folder, as `train` decides it."""
    return os.path.lexists(folder) and not (folder.is_dir() and RunDirectory(folder).is_new)


def _known(name: str, request: Request) -> tuple[Path, Job | None]:
    """The folder of a run, which it may not have yet, and the job that trains it."""
    runs, jobs = _folder(request), request.app.state.jobs
    job = jobs.find(job_of(name)) if re.fullmatch(NAME, name) else None
    names = {path.name for path in runs.iterdir()} if runs.is_dir() else set()
    if job is None and not (name in names and is_trained(runs / name)):  # a name of the list has no slash in it
        raise HTTPException(404, f"no run {name!r}; {nearest(name, names)}")
    return runs / name, job


def _arguments(asked: Planned, out: Path, request: Request) -> list[str]:
    """Those of `arasuji train`; what cannot be trained is refused before a process is started."""
    if asked.preset not in preset_names():
        raise _refusal("preset", f"unknown preset {asked.preset!r}; {nearest(asked.preset, preset_names())}")
    try:
        corpus = request.app.state.corpora.place(asked.corpus)
    except OptionError as error:
        raise _refusal("corpus", error) from error
    try:
        api.experiment(asked.preset, asked.settings)
    except ArasujiError as error:
        raise _refusal("settings", error) from error
    settings = [f"--set={setting}" for setting in asked.settings]
    minutes = ["--max-minutes", str(asked.minutes)]
    return [asked.preset, "--corpus", str(corpus), "--out", str(out), *minutes, *settings]


def _refusal(field: str, what: object, status: int = 400) -> HTTPException:
    """It begins with the name of the field, as what pydantic refuses does."""
    return HTTPException(status, f"{field}: {what}")
