"""What is written while the power fails, beside the scenarios that are killed; and what is wrong with a state after it.

`begin` and `write` are run in forks, as those of `scenarios`.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path

import torch
from hard.power import State
from hard.recorded import snapshot
from hard.scenarios import NEW, OLD, SCENARIOS, Place, Scenario, learnt, litter

from arasuji import files, folders
from arasuji.runs import RunDirectory, int8_cache
from arasuji.runs.directory import _logged


def replace_folder(place: Place, text: str) -> None:
    with folders.new_folder(place.folder / "place" / "best") as fresh:
        (fresh / "text.txt").write_text(text * 9)
        (fresh / "inner").mkdir()
        (fresh / "inner" / "more.bin").write_bytes(text.encode() * 99)
        folders.seal(fresh, {"says": text})


def folder(place: Place) -> str:
    """What a folder says; its files and its manifest agree."""
    opened = folders.open_folder(place.folder / "place" / "best")
    if opened is None:
        return "nothing"
    text = opened[1].get("says", "half a folder")
    whole = (opened[0] / "text.txt").read_text() == text * 9
    return text if whole and (opened[0] / "inner" / "more.bin").read_bytes() == text.encode() * 99 else "a mix"


def write_file(place: Place, text: str) -> None:
    files.write_text(place.folder / "pages" / "of a run" / "page.html", text * 2_000)


def file(place: Place) -> str:
    path = place.folder / "pages" / "of a run" / "page.html"
    if not path.exists():
        return "nothing"
    return {OLD * 2_000: "old", NEW * 2_000: "new"}.get(path.read_text(), "a mix")


def begin_stale_int8(place: Place) -> None:
    """The 8-bit form of a model whose weights were changed since. The model stands beside the folder: in a folder that
    is laid anew its files would have other times, and no 8-bit form would be taken for its own."""
    shutil.copytree(place.runs / "lstm", place.beside("model"))
    make_int8(place)
    os.utime(place.beside("model") / "best" / "config.json")


def make_int8(place: Place) -> None:
    os.environ["ARASUJI_HOME"] = str(place.folder / "home")
    RunDirectory(place.beside("model")).load_best(torch.int8)


def int8(place: Place) -> str:
    os.environ["ARASUJI_HOME"] = str(place.folder / "home")
    best = place.beside("model") / "best"
    found = int8_cache.fresh(int8_cache.place_of("model", best), best)
    if found is None:
        return "old"
    sums = {name: files.file_hash(found / name) for name in folders.verified(found)["files"]}
    told = place.beside("sums.json")
    if not told.exists():  # at the first look, at what the writing itself has left
        files.write_json(told, sums)
    return "new" if sums == files.read_json(told) else "a mix"


def write_steps(place: Place) -> None:
    """What a training of four steps writes, with two checkpoints; it goes on from the first one where it can."""
    run = RunDirectory(place.folder / "runs" / "run")
    facts = RunDirectory(place.runs / "lstm").manifest
    found = run.load_last() if not run.is_new else None
    if found is None:
        run.start(RunDirectory(place.runs / "lstm").facts.experiment, {**facts, "name": "run"})
    before = min(found[1]["progress"]["step"], 2) if found else 0
    run.rewind(before)
    for step in range(before + 1, 5):
        run.log(run.metrics, {"step": step, "nats": [0.5] * 20})
        run.log(run.samples, {"step": step, "text": "a text " * 20})
        if step % 2 == 0:
            run.save_last({"weights": torch.full((300,), float(step))}, {"progress": {"step": step}})


def steps(place: Place) -> str:
    """How far a training can be continued, with all that it has logged until then."""
    run = RunDirectory(place.folder / "runs" / "run")
    found = run.load_last()
    if found is None:
        return "old"
    step = found[1]["progress"]["step"]
    logged, sampled = ([entry["step"] for _, entry in _logged(log)] for log in (run.metrics, run.samples))
    if not logged[:step] == sampled[:step] == [*range(1, step + 1)]:
        return f"a checkpoint of step {step} with the log of steps {logged} and the samples of {sampled}"
    return {2: "part", 4: "new"}[step]


def trained(place: Place) -> str:
    """Whether a training has ended, or else goes on to the same end."""
    whole = learnt(place.beside("undisturbed"))
    with suppress(OSError, ValueError):
        if learnt(place.folder / "run") == whole:
            return "new"
    resumed = SCENARIOS["training"].look(place)
    return "old" if resumed == "new" else resumed


EVERY = SCENARIOS | {
    "folder": Scenario(lambda place: replace_folder(place, "old"), lambda place: replace_folder(place, "new"), folder),
    "first folder": Scenario(lambda place: None, lambda place: replace_folder(place, "new"), folder),
    "file": Scenario(lambda place: write_file(place, OLD), lambda place: write_file(place, NEW), file),
    "first file": Scenario(lambda place: None, lambda place: write_file(place, NEW), file),
    "int8": Scenario(begin_stale_int8, make_int8, int8),
    "steps": Scenario(lambda place: None, write_steps, steps),
    "training": replace(SCENARIOS["training"], look=trained),
}

BEFORE = {
    "first folder": ("nothing",),
    "first file": ("nothing",),
    "steps": ("old", "part"),
    "texts": ("old", "part", "other texts"),  # the next writing says whether it can be gone on with
    "more texts": ("old", "part", "other texts"),
}
"""What may be found before the writing has ended, where that is something else than "old"."""


def begin(scenario: str, *place: str) -> None:
    EVERY[scenario].begin(Place(*map(Path, place)))


def write(scenario: str, *place: str) -> None:
    EVERY[scenario].write(Place(*map(Path, place)))


SEALED = ("folder", "last", "best", "corpus")
"""The folders whose files have sums."""
REFUSED = "RunError: ", "CorpusError: "


def write_once(scenario: str, base: Path, runs: Path, corpus: Path) -> Place:
    """Where the old state and then the new one were written, in `base`."""
    place = Place(base / scenario / "in", runs, corpus)
    place.folder.mkdir(parents=True)
    with quietly():
        EVERY[scenario].begin(place)
        EVERY[scenario].write(place)
    return place


def taken_for_whole(scenario: str, place: Place, state: State) -> str:
    """What is wrong where a damaged folder opens: it has to be refused, or to count as nothing."""
    found = problem(EVERY[scenario], place, state, ("nothing",), goes_on=False)
    return "" if found.startswith(REFUSED) else found


@contextmanager
def quietly() -> Iterator[io.StringIO]:
    """Keep what verbs print."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        yield said


def allowed(scenario: str, state: State) -> tuple[str, ...]:
    """What may be found after a loss of power."""
    return ("new",) if state.done else (*BEFORE.get(scenario, ("old",)), "new")


def problem(scenario: Scenario, place: Place, state: State, found_as: tuple[str, ...], goes_on: bool) -> str:
    """What is wrong with a state of the disk. It opens as one of `found_as`; and, where it `goes_on`, what is written
    next is there, and nothing else."""
    shutil.rmtree(place.folder)
    state.lay(place.folder)
    try:
        with quietly() as said:
            found = scenario.look(place)
            if found not in found_as:
                return f"{found!r} is found"
            if goes_on:
                before = snapshot(place.folder)
                scenario.write(place)
                if (then := scenario.look(place)) != "new":
                    return f"after the next writing {then!r} is found"
                if snapshot(place.folder) != before and (left := litter(place.folder)):
                    return f"after the next writing {left} is left"
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error} {said.getvalue()[-500:]}"
    return ""
