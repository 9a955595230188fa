"""A disk that refuses a call, once or from then on, that is full, or that cannot do all that others can."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from hard.calls import Call, Stage
from hard.forked import Ended, Zygote
from hard.scenarios import SCENARIOS

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EINTR")
WRITINGS = [name for name in SCENARIOS if name != "training"]
LIMITS = (1_500, 3_000, 8_000, 30_000)
"""Bytes of a file; what is said, and where it is kept, is shorter."""
OLD_IS_INTACT, NEW_IS_WRITTEN = "what stood there before is intact", "is written, but may be lost"


def told(stage: Stage, scenario: str, ended: Ended, function: str = "look_and_go_on") -> str:
    """What is wrong with how a writing has ended that the disk has disturbed: with one line that is true, or as if
    nothing had happened. Empty where all is well."""
    found, problem = stage.afterwards(scenario, function)
    if not_kept := ended.problem():
        return not_kept
    if problem:
        return f"{problem}; it had said: {ended.err}"
    if ended.code == 0 and found != "new" and SCENARIOS[scenario].needed:
        return f"it has ended with 0, and {found} is found"
    if not SCENARIOS[scenario].target:
        return ""
    target = stage.place(scenario).folder / SCENARIOS[scenario].target
    if found == "new" and f"cannot write {target}" in ended.err and OLD_IS_INTACT in ended.err:
        return f"the new is found, and it has said: {ended.err}"
    if found == "old" and f"{target} {NEW_IS_WRITTEN}" in ended.err:
        return f"the old is found, and it has said: {ended.err}"
    return ""


def refused(stage: Stage, call: Call, error: str, more: str) -> str:
    """What is wrong when a call fails."""
    stage.set(call.scenario)
    ended = stage.traced(call.scenario, "-e", f"trace={call.name}", "-e", call.injection(f"error={error}", more))
    return told(stage, call.scenario, ended)


def drawn(cases: Any, call: Call) -> tuple[str, str]:
    """An error, and whether it comes once or for good."""
    error = cases.random.choice(ERRORS)
    # For good, EINTR is tried again without an end, and a failing write leaves no way to say so.
    return error, "" if error == "EINTR" or call.name == "write" else cases.random.choice(["", "+"])


def test_a_call_that_fails_is_one_true_line_and_the_old_is_found_or_the_new(cases, stage):
    """A disk that refuses a call, once or from then on, is one line that says truly what stands there now.

    The errors: input and output, no space, no quota, read-only, interrupted.
    """
    for call in stage.some_calls(cases, 220, WRITINGS):
        error, more = drawn(cases, call)
        cases.saw(f"{error}{more} at {call}", refused(stage, call, error, more))


def test_a_training_that_the_disk_stops_goes_on_to_the_byte(cases, stage):
    """A training that the disk stops at any call ends with one line, and goes on to the byte when it is resumed."""
    for call in stage.some_calls(cases, 12, ["training"]):
        error, more = drawn(cases, call)
        cases.saw(f"{error}{more} at {call}", refused(stage, call, error, more))


def test_a_file_system_that_cannot_sync_folders_is_written_to(cases, stage):
    """A file system that cannot sync a folder, as some on the network, is written to all the same."""
    for call in stage.some_calls(cases, 30, WRITINGS, lambda call: call.of_folder):
        error = cases.random.choice(["EINVAL", "EOPNOTSUPP"])
        stage.set(call.scenario)
        ended = stage.traced(call.scenario, "-e", f"trace={call.name}", "-e", call.injection(f"error={error}"))
        found, problem = stage.afterwards(call.scenario)
        wrong = problem or (f"{found} is found: {ended.err}" if ended.code or found != "new" else "")
        cases.saw(f"{error} at {call}", wrong)


def test_a_file_that_may_grow_no_further_keeps_the_old_content(cases, stage):
    """A file that a limit stops in the middle of a write keeps its old content, and the error is one line."""
    limited = [(name, size) for name in WRITINGS for size in LIMITS]
    for name, size in cases(limited):
        stage.set(name)
        arguments = stage.place(name).arguments(name)
        ended = stage.zygote.run(
            function="hard.scenarios:write", arguments=arguments, limits={"FSIZE": size}, signals={"SIGXFSZ": "SIG_IGN"}
        )
        cases.saw(f"{name}, files of {size} bytes", told(stage, name, ended))


def test_a_full_disk_keeps_the_old_content(cases, stage, tmp_path):
    """A disk that is full, or has room for a part of what is written, keeps the old content; the error is one line."""
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("no disk may be mounted here")
    with Zygote(tmp_path, ["unshare", "-m"]) as zygote:
        own = Stage(zygote, stage.base, stage.runs, stage.corpus)
        for name, pages in cases([(name, pages) for name in WRITINGS for pages in (0, 1, 3, 10)]):
            own.set(name)
            shutil.rmtree(own.place(name).folder)
            own.place(name).folder.mkdir()
            arguments = [pages, str(own.kept(name)), *own.place(name).arguments(name)]
            ended = zygote.run(function="hard.scenarios:fill_and_write", arguments=arguments)
            cases.saw(f"{name}, {pages} pages", told(own, name, ended, "empty_and_go_on"))
