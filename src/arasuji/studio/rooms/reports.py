"""The Compare room: comparisons of models, which are started here, and their reports."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Path as PathPart
from pydantic import BaseModel, ConfigDict, Field

from arasuji import bases, files
from arasuji.errors import SourceError
from arasuji.evaluation.report import REPORT_BYTES, read
from arasuji.evaluation.verdict import verdict
from arasuji.studio.jobs import NAME, Job, Jobs, begin_job
from arasuji.studio.rooms.trainings import is_trained, why

FOLDER = "reports"
"""The folder beside the runs, with NAME.html and NAME.json of each comparison."""
JOB = "compare-"
"""The name of a comparison's job begins so."""
QUICK = "--documents", "60", "--samples", "40", "--seeds", "1"
"""A quick comparison scores and writes less than `arasuji compare` does by default."""
SENTENCES = 2
"""Of a verdict, these first sentences are listed."""
ALONE = {
    # No script runs and nothing is fetched, whatever the page holds; and it may not reach this server.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Cross-Origin-Opener-Policy": "unsafe-none",  # a browser opens no page that has both a sandbox and another policy
}

router = APIRouter(prefix="/api")
Model = Annotated[str, Field(max_length=300)]


class Asked(BaseModel):
    """Models to compare."""

    model_config = ConfigDict(extra="forbid")

    runs: list[Model] = Field(min_length=1, max_length=12)
    """The first one says which corpus it is."""
    bases: list[Model] = Field(default_factory=list, max_length=12)
    thorough: bool = False


@router.get("/bases")
def base_models() -> list[dict[str, Any]]:
    """The pretrained models that are on this machine."""
    here = [base for base in bases.KNOWN.values() if bases.whereabouts(base)]
    return [{"id": base.name, "parameters": base.parameters, "licence": base.licence} for base in here]


@router.get("/reports")
def reports(request: Request) -> list[dict[str, Any]]:
    """The reports, the newest one first, and the last comparison where it is going on, or has ended without one."""
    folder, jobs = _folder(request), request.app.state.jobs
    paths = folder.glob("*.json") if folder.is_dir() else ()
    found = {path.stem: _stored(path, path.stat().st_mtime) for path in paths if re.fullmatch(NAME, path.stem)}
    last = next((job for job in jobs.all() if job.name.startswith(JOB)), None)
    if last and (jobs.running(last) or last.name.removeprefix(JOB) not in found):
        found[last.name.removeprefix(JOB)] = _going_on(last, jobs, folder.parent)
    return sorted(found.values(), key=lambda report: -report["when"])


@lru_cache(1000)
def _stored(path: Path, when: float) -> dict[str, Any]:
    """A report that was written at a time."""
    told = {"id": path.stem, "when": when, "state": "ready", "runs": [], "verdict": [], "problem": ""}
    try:
        report = read(path)
    except SourceError as error:
        return told | {"problem": str(error)}
    return told | {"runs": [model.name for model in report.models], "verdict": verdict(report)[:SENTENCES]}


def _going_on(job: Job, jobs: Jobs, runs: Path) -> dict[str, Any]:
    """A comparison without a report: the stages that it has come to, or why it has ended."""
    running = jobs.running(job)
    stages = jobs.said(job).replace(f"{runs}/", "").splitlines()
    return {
        "id": job.name.removeprefix(JOB),
        "when": job.began,
        "state": "running" if running else "ended",
        "job": job.name,
        "stopping": running and jobs.asked_to_stop(job),
        "runs": job.about.get("models", []),
        "stages": stages if running else [],
        "problem": "" if running else why(job, jobs).replace(f"{runs}/", ""),
    }


@router.post("/reports", status_code=202)
def begin(asked: Asked, request: Request) -> dict[str, str]:
    """Start a comparison, which goes on without the server."""
    folder, jobs = _folder(request), request.app.state.jobs
    known = {path.name for path in folder.parent.iterdir() if is_trained(path)} if folder.parent.is_dir() else set()
    here = {base["id"] for base in base_models()}
    for kind, names, there in (("run", asked.runs, known), ("base model", asked.bases, here)):
        for name in names:
            if name not in there:
                raise HTTPException(404, f"no {kind} {name!r}")
    models = [*asked.runs, *asked.bases]
    if len(models) < 2:
        raise HTTPException(400, "choose two models or more")
    if len({*asked.runs}) < len(asked.runs) or len({*asked.bases}) < len(asked.bases):
        raise HTTPException(400, "a model is named twice")
    if any(job.name.startswith(JOB) and jobs.running(job) for job in jobs.all()):
        raise HTTPException(409, "a comparison is going on, and a second one would spoil the speeds that it measures")
    files.make_folder(folder)
    name = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    page, result = (folder / f"{name}.{kind}" for kind in ("html", "json"))
    arguments = [*(str(folder.parent / run) for run in asked.runs), *asked.bases, "--json", "--out", str(page)]
    about = {"models": models}
    # Where it works there are no folders, so that no name of a base model is taken for that of a folder.
    begin_job(
        jobs, f"{JOB}{name}", "compare", [*arguments, *(() if asked.thorough else QUICK)], about, jobs.folder, result
    )
    return {"report": name}


@router.get("/reports/{name}")
def report(name: Annotated[str, PathPart(pattern=f"^{NAME}$")], request: Request) -> Response:
    """The page of a report, in which nothing can run."""
    folder = _folder(request)
    try:
        content = files.read_bytes(folder / f"{name}.html", REPORT_BYTES)
    except (OSError, ValueError) as error:
        raise HTTPException(404, f"no report {name!r} that can be read") from error
    return Response(content, media_type="text/html; charset=utf-8", headers=ALONE)


def _folder(request: Request) -> Path:
    folder: Path = request.app.state.shelf.folder.absolute() / FOLDER
    return folder
