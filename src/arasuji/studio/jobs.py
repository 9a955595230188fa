"""Work that goes on when the server ends: verbs of the command line, each in a process of its own.

What a job is stands in RUNS/.jobs: NAME.json (the process), NAME.log (what it has said, stderr), NAME.out (its results,
stdout), NAME.stop once a person has asked it to end and, at its end, NAME.code.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathPart
from pydantic import BaseModel

from arasuji import files
from arasuji.errors import OptionError, RunError, StorageError
from arasuji.locks import exclusive

FOLDER = ".jobs"
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
"""What a job, and a run that is made here, may be called: it stays within its folder, and no shell reads it as an
option."""
LOG_BYTES = 20_000
"""Of a log, this much of the end is shown."""
RESULT_BYTES = 2**25
"""A result may have this size."""
NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""What keeps Ctrl-C of the server from a job on Windows; elsewhere a session of its own does."""

router = APIRouter(prefix="/api/jobs")


class Job(BaseModel):
    """A process that was started."""

    name: str
    verb: str
    """The verb of the command line."""
    about: dict[str, Any] = {}
    """What whoever started it wants to know of it later, such as the run that it trains."""
    arguments: list[str]
    pid: int
    began: float
    """When it was started, in seconds since 1970."""
    process_began: float
    """The same by `files.start_time`: another process may get its number later."""


class Jobs:
    """Starts and stops jobs, and finds those of an earlier server."""

    def __init__(self, runs: Path) -> None:
        self.folder = runs / FOLDER
        self._lock = threading.RLock()
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        name: str,
        verb: str,
        arguments: list[str],
        about: dict[str, Any],
        folder: Path | None = None,
        result: Path | None = None,
    ) -> Job:
        """Start `arasuji VERB ARGUMENTS` in a folder, by default that of the server. An ended job of the same name is
        forgotten. When the job has ended well, its results are copied to `result`.

        Raises:
            OptionError: a name that a job cannot have, or arguments that no command line can hold.
            RunError: a job of this name is running.
        """
        if not re.fullmatch(NAME, name):
            raise OptionError(f"the name {name!r}: letters, digits, points and dashes, at most 100")
        # Threads of this server, then other servers of the same folder.
        with self._lock, exclusive(self.folder / name), files.disk_errors(self.folder):
            before = self.find(name)
            if before and self.running(before):
                raise RunError(f"{name} is running already")
            code, stop, out, log = (
                self.folder.absolute() / f"{name}.{kind}" for kind in ("code", "stop", "out", "log")
            )
            code.unlink(missing_ok=True)
            stop.unlink(missing_ok=True)
            kept = str(result.absolute()) if result else ""
            # -P: no file of the folder that it works in is imported in place of a library.
            command = [sys.executable, "-P", "-m", "arasuji.studio.job", str(code), kept, verb, *arguments]
            process = _process(command, folder, out, log)
            try:
                job = Job(
                    name=name, verb=verb, about=about, arguments=arguments, began=time.time(),
                    pid=process.pid, process_began=files.start_time(process.pid),
                )  # fmt: skip
                files.write_text(self.folder / f"{name}.json", job.model_dump_json())
            except BaseException:  # without that file no one could see the process, nor stop it
                process.kill()
                process.wait()
                raise
            self._children.append(process)
            return job

    def all(self) -> list[Job]:
        """All jobs, the last one that was started first."""
        found = [job for path in self.folder.glob("*.json") if (job := self.find(path.stem))]
        return sorted(found, key=lambda job: -job.began)

    def find(self, name: str) -> Job | None:
        """A job by its name; None where there is none, or its file is damaged."""
        try:
            return Job(**files.read_json(self.folder / f"{name}.json"))
        except (OSError, ValueError, TypeError):  # pydantic's error is a ValueError
            return None

    def running(self, job: Job) -> bool:
        """Whether its process has not ended."""
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]  # no zombie is left
        return files.is_running(job.pid, job.process_began)

    def code(self, job: Job) -> int | None:
        """The exit code; None where it is running, or was killed."""
        try:
            return int((self.folder / f"{job.name}.code").read_text())
        except (OSError, ValueError):
            return None

    def said(self, job: Job) -> str:
        """The end of what it has said."""
        try:
            with (self.folder / f"{job.name}.log").open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_BYTES))
                return log.read(LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def result(self, job: Job) -> bytes:
        """What it has printed on stdout. Raises RunError where that cannot be read."""
        try:
            return files.read_bytes(self.folder / f"{job.name}.out", RESULT_BYTES)
        except (OSError, ValueError) as error:
            raise RunError(f"the result of {job.name} cannot be read: {error}") from error

    def stop(self, job: Job) -> None:
        """Ask a job to end, as Ctrl-C does: a training saves first. It is asked once, since a training that is asked
        again ends without saving."""
        with self._lock:
            if self.running(job) and not self.asked_to_stop(job):
                (self.folder / f"{job.name}.stop").touch()
                os.kill(job.pid, signal.SIGTERM)

    def asked_to_stop(self, job: Job) -> bool:
        """Whether a person has asked it to end."""
        return (self.folder / f"{job.name}.stop").exists()

    def told(self, job: Job) -> dict[str, Any]:
        """What the page is told of a job."""
        running = self.running(job)
        return {
            "name": job.name,
            "verb": job.verb,
            "about": job.about,
            "began": job.began,
            "running": running,
            "asked_to_stop": self.asked_to_stop(job),
            "code": None if running else self.code(job),
            "said": self.said(job),
        }


def _process(command: list[str], folder: Path | None, out: Path, log: Path) -> subprocess.Popen[bytes]:
    """A process that goes on without this one, and whose streams are files."""
    environment = {key: value for key, value in os.environ.items() if key != "ARASUJI_TOKEN"}
    with out.open("wb") as printed, log.open("wb") as said:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=said,
                cwd=folder,
                env=environment,
                start_new_session=True,
                creationflags=NEW_GROUP,
            )
        except ValueError as error:  # a character of value 0, or half of a pair of surrogates
            raise OptionError(f"no command line can hold what is asked: {error}") from error


def begin_job(jobs: Jobs, name: str, verb: str, *more: Any, **options: Any) -> Job:
    """`Jobs.start` for a route, which refuses in words what cannot be started."""
    try:
        return jobs.start(name, verb, *more, **options)
    except OptionError as error:
        raise HTTPException(400, str(error)) from error
    except RunError as error:
        raise HTTPException(409, str(error)) from error
    except StorageError as error:
        raise HTTPException(503, str(error)) from error


@router.get("")
async def jobs(request: Request) -> list[dict[str, Any]]:
    """All jobs, the last one that was started first."""
    own: Jobs = request.app.state.jobs
    return await asyncio.to_thread(lambda: [own.told(job) for job in own.all()])


@router.post("/{name}/stop")
async def stop(name: Annotated[str, PathPart(pattern=f"^{NAME}$")], request: Request) -> dict[str, Any]:
    """Ask a job to end, as Ctrl-C does; it may take until its next step."""
    own: Jobs = request.app.state.jobs
    job = await asyncio.to_thread(own.find, name)
    if job is None:
        raise HTTPException(404, f"no job {name!r}")
    await asyncio.to_thread(own.stop, job)
    return await asyncio.to_thread(own.told, job)
