"""The tests of this folder are tested: faults are put into our own code, and each must be found by them.

Not found, since no harm comes of it: a manifest that is written before the files it lists are on the disk. A reader
compares each file with its sum, so it takes no such folder for whole.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from hard import outages
from hard.outages import EVERY, SEALED, allowed, problem, taken_for_whole, write_once
from hard.power import damaged, states_of
from hard.recorded import record
from hard.scenarios import Place

from arasuji import files, folders
from arasuji.cli.appending import Writer

Patch = Callable[[Any, str, Any], None]
"""As setattr."""
fsync, sync, sync_names, work_folder = os.fsync, files.sync, files.sync_names, folders.work_folder


def no_fsync_of_files(patch: Patch) -> None:
    patch(os, "fsync", lambda file: None if stat.S_ISREG(os.fstat(file).st_mode) else fsync(file))


def no_fsync_of_folders(patch: Patch) -> None:
    patch(os, "fsync", lambda file: fsync(file) if stat.S_ISREG(os.fstat(file).st_mode) else None)


def sealed_first(patch: Patch) -> None:
    @contextmanager
    def sealed(target: Path) -> Iterator[Path]:
        with work_folder(target) as fresh:
            files.write_json(fresh / folders.MANIFEST, {"files": {}})
            yield fresh

    patch(folders, "work_folder", sealed)


def deleted_first(patch: Patch) -> None:
    def replace(fresh: Path, target: Path, old: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)

    patch(folders, "_replace", replace)


def no_sums(patch: Patch) -> None:
    patch(folders, "file_hash", lambda path, follow=True: mock.ANY)


def old_one_deleted_before_the_new_name_is_kept(patch: Patch) -> None:
    def replace(fresh: Path, target: Path, old: Path) -> None:
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old)

    patch(folders, "_replace", replace)


def no_fsync_of_inner_folders(patch: Patch) -> None:
    patch(folders, "sync_names", lambda folder: None if folder.name == "inner" else sync_names(folder))


def no_fsync_of_new_parents(patch: Patch) -> None:
    for module in files, folders:
        patch(module, "make_folder", lambda folder: folder.mkdir(parents=True, exist_ok=True))


def written_in_place(patch: Patch) -> None:
    patch(files, "new_file", lambda path, follow: path.open("w", encoding="utf-8"))


def no_fsync_of_logs(patch: Patch) -> None:
    patch(files, "sync", lambda path: None if path.suffix == ".jsonl" else sync(path))


def no_fsync_of_texts(patch: Patch) -> None:
    patch(Writer, "finish", lambda writer: None)


def commits_that_are_not_waited_for(patch: Patch) -> None:
    class Careless(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return super().execute("SELECT 1" if sql.startswith("PRAGMA") else sql, *values)

    connect = sqlite3.connect
    patch(sqlite3, "connect", lambda path, timeout: connect(path, timeout=timeout, factory=Careless))


WRITTEN: list[tuple[Callable[[Patch], None], str]] = [
    (no_fsync_of_files, "folder"),
    (no_fsync_of_files, "file"),
    (no_fsync_of_folders, "folder"),
    (no_fsync_of_folders, "first file"),
    (sealed_first, "first folder"),
    (deleted_first, "folder"),
    (old_one_deleted_before_the_new_name_is_kept, "folder"),
    (no_fsync_of_inner_folders, "folder"),
    (no_fsync_of_new_parents, "first folder"),
    (written_in_place, "file"),
    (no_fsync_of_logs, "steps"),
    (no_fsync_of_texts, "texts"),
    (commits_that_are_not_waited_for, "desk"),
]
"""A fault, and what is written with it while the power fails."""


def write(mutant: str, scenario: str, *place: str) -> None:
    """Write with a fault; in a fork."""
    globals()[mutant](setattr)
    outages.write(scenario, *place)


def test_a_fault_in_how_we_write_is_found(zygote, strace, cases, runs, corpus, tmp_path, monkeypatch):
    """Faults that are put into our own code, such as a missing fsync or a wrong order, are found by power losses."""
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    sound: dict[str, str] = {}

    def found(scenario: str, function: str, *mutant: str) -> str:
        place = Place(tmp_path / "-".join([*mutant, scenario]) / "in", runs, corpus)
        place.folder.mkdir(parents=True)
        began = zygote.run(function="hard.outages:begin", arguments=place.arguments(scenario), seconds=100)
        assert began.code == 0, began.err
        recording = record(zygote, place.folder, function=function, arguments=[*mutant, *place.arguments(scenario)])
        states = states_of(recording, cases.random)
        each = (problem(EVERY[scenario], place, state, allowed(scenario, state), goes_on=False) for state in states)
        return next(filter(None, each), "")

    for mutate, scenario in cases(WRITTEN):
        if scenario not in sound:
            sound[scenario] = found(scenario, "hard.outages:write")
        wrong = sound[scenario] and f"without the fault: {sound[scenario]}"
        if not wrong and not found(scenario, "hard.test_mutants:write", mutate.__name__):
            wrong = "it is not found"
        cases.saw(f"{mutate.__name__}, {scenario}", wrong)


def test_a_reader_that_compares_no_sums_is_found(cases, runs, corpus, tmp_path, monkeypatch):
    """A fault that is put into our own code, which then compares no sums, is found by damaged files of each kind."""
    for name in cases(SEALED):
        place = write_once(name, tmp_path, runs, corpus)
        states = [state for _ in range(3) for state in damaged(place.folder, cases.random)]
        flipped = [state for state in states if state.how.endswith("flipped")]
        with monkeypatch.context() as patch:
            no_sums(patch.setattr)
            is_found = any(taken_for_whole(name, place, state) for state in flipped)
        cases.saw(f"no_sums, {name}", "" if is_found else "it is not found")
