"""A disk that refuses a call, one time or from then on, that is full, or that cannot do all that others can."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import pytest
from hard.calls import Call, Stage
from hard.conftest import Cases
from hard.forked import Ended
from hard.scenarios import SCENARIOS

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
SAMPLED, TRAININGS = 60, 12
"""So many cases are drawn where there are too many to try all."""
MADE_AGAIN = ("openat", "write", "pwrite64")
"""Python and SQLite make these again; a rename or a new folder cannot be interrupted by a signal."""
WRITINGS = [name for name in SCENARIOS if name != "training"]
IN_FOLDERS = [name for name in WRITINGS if name not in ("desk", "arena")]
"""What syncs a folder: SQLite syncs a database that stands there, and no name."""
LIMITS = (1_500, 3_000, 8_000, 30_000)
"""Bytes of a file; what is said, and where it is kept, is shorter."""
OLD_IS_INTACT, NEW_IS_WRITTEN = "what stood there before is intact", "is written, but may be lost"


def problem_of(stage: Stage, scenario: str, ended: Ended, function: str = "look_and_go_on") -> str:
    """What is wrong with how a writing has ended that the disk has disturbed: with one line that is true, or with all
    that was to be written. Empty where all is well."""
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
    return problem_of(stage, call.scenario, ended)


def unmoved(stage: Stage, call: Call, error: str) -> str:
    """What is wrong when a call fails with an error after which all can be written."""
    stage.set(call.scenario)
    ended = stage.traced(call.scenario, "-e", f"trace={call.name}", "-e", call.injection(f"error={error}"))
    found, problem = stage.afterwards(call.scenario)
    return problem or (f"{found} is found: {ended.err}" if ended.code or found != "new" else "")


def try_some(cases: Cases, stage: Stage, calls: Sequence[Call], whole: int) -> None:
    """Try `whole` of the calls at share 1, each with an error that is drawn, one time or from then on."""
    for call in cases.sample(calls, whole):
        # A lasting error at `write` would refuse the line that tells of it, too; test_a_full_disk has lasting ones.
        error, more = cases.random.choice(ERRORS), "" if call.name == "write" else cases.random.choice(["", "+"])
        cases.saw(f"{error}{more} at {call}", refused(stage, call, error, more))


def test_a_call_that_fails_is_one_true_line_and_the_old_is_found_or_the_new(cases, stage):
    """Where a disk refuses any call one time, all is written all the same, or one line says truly what stands there.

    The errors: input and output (EIO), no space (ENOSPC).
    """
    for call in stage.all_calls(cases, WRITINGS):
        for error in ("EIO", "ENOSPC"):
            cases.saw(f"{error} at {call}", refused(stage, call, error, ""))


def test_other_errors_and_lasting_ones_are_one_true_line(cases, stage):
    """Other errors (no quota, a read-only disk) and lasting ones, at calls that are drawn, are one true line, too."""
    try_some(cases, stage, stage.all_calls(cases, WRITINGS), SAMPLED)


def test_a_call_that_a_signal_interrupts_is_made_again(cases, stage):
    """Where a signal interrupts a call (EINTR), it is made again, or one line says truly what stands there.

    Of calls that are drawn; those that POSIX lets be interrupted while a file is written are made again.
    """
    for call in cases.sample(stage.all_calls(cases, WRITINGS), SAMPLED):
        wrong = unmoved(stage, call, "EINTR") if call.name in MADE_AGAIN else refused(stage, call, "EINTR", "")
        cases.saw(f"EINTR at {call}", wrong)


def test_a_training_that_the_disk_stops_goes_on_to_the_byte(cases, stage):
    """A training that the disk stops at one of all calls, drawn, ends with one line, and goes on to the byte later."""
    try_some(cases, stage, stage.calls("training"), TRAININGS)


def test_a_file_system_that_cannot_sync_folders_is_written_to(cases, stage):
    """A file system that cannot sync a folder, as some on the network, is written to all the same."""
    for call in stage.all_calls(cases, IN_FOLDERS, lambda call: call.of_folder):
        error = cases.random.choice(["EINVAL", "EOPNOTSUPP"])
        cases.saw(f"{error} at {call}", unmoved(stage, call, error))


def test_a_file_that_may_grow_no_further_keeps_the_old_content(cases, stage):
    """A file that a limit stops in the middle of a write keeps its old content, and the error is one line."""
    limited = [(name, size) for name in WRITINGS for size in LIMITS]
    for name, size in cases(limited):
        stage.set(name)
        arguments = stage.place(name).arguments(name)
        ended = stage.zygote.run(
            function="hard.scenarios:write", arguments=arguments, limits={"FSIZE": size}, signals={"SIGXFSZ": "SIG_IGN"}
        )
        cases.saw(f"{name}, files of {size} bytes", problem_of(stage, name, ended))


def test_a_full_disk_keeps_the_old_content(cases, stage, apart):
    """A disk that is full, or has room for a part of what is written, keeps the old content; the error is one line."""
    if not apart:
        pytest.skip("no disk may be mounted here")
    for name, pages in cases([(name, pages) for name in WRITINGS for pages in (0, 1, 3, 10)]):
        stage.set(name)
        place = stage.place(name)
        shutil.rmtree(place.folder)
        place.folder.mkdir()
        arguments = [pages, str(stage.kept(name)), *place.arguments(name)]
        ended = stage.zygote.run(function="hard.scenarios:fill_and_write", arguments=arguments)
        cases.saw(f"{name}, {pages} pages", problem_of(stage, name, ended, "empty_and_go_on"))
