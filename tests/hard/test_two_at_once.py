"""Two processes at once: both are right, or one is told that the other one, or its work, is in the way."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import gpt2_shaped
import pytest
from hard import racing
from hard.forked import Ended, Running, Zygote, set_all, status, until

from arasuji import api, folders
from arasuji.runs import RunDirectory
from arasuji.studio.jobs import Jobs
from arasuji.studio.rooms.desk import Desk

STEPS = 4
TINY = ["tokenizer.size=300", "batch_size=4", "validation_documents=4", "checkpoint_steps=1", "sampling.max_length=6"]
LSTM = [*TINY, "model.hidden=16", "model.embedding=16"]
REFUSED = (
    rf"error: another (training|generate|import) writes \S+ now \(process OTHER on {re.escape(platform.node())}\); wait"
)
"""What one is told that another one is in the way; OTHER is the number of that process."""
EXISTS = "exists already"
AT_ONCE = 1.0
"""A process is refused within these seconds, on a machine that has no other work; in more on a crowded one."""
IMPORTED = 5.0
"""The same for an import, which opens the model before it asks for its place."""
LATEST = 0.3
"""The second process begins at most these seconds after the first one."""


@dataclass(frozen=True)
class Raced(Ended):
    """How one of two that ran at once has ended."""

    other: int = 0
    """The number of the other process."""


Together = Callable[..., list[Raced]]


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("other")) as running:
        yield running


@pytest.fixture
def together(zygote, other, cases, tmp_path) -> Together:
    """Runs two cases at once. The second one begins with the first, or somewhat later, as drawn by the day."""

    def run(first: dict[str, Any], second: dict[str, Any], seconds: float = 10) -> list[Raced]:
        both: list[Running] = []
        began = []
        for own, case in ((zygote, first), (other, second)):
            began.append(time.monotonic())
            home = {"ARASUJI_HOME": str(tmp_path / "home")}
            both.append(own.start(**case, env=home, stopped=True, seconds=seconds * crowded()))
        for running in both:
            until(lambda pid=running.pid: status(pid, "State") == "T")
        for running, pause in zip(both, (0, cases.random.choice((0, cases.random.uniform(0, LATEST)))), strict=True):
            time.sleep(pause)
            began.append(time.monotonic())
            running.send(signal.SIGCONT)
        ended = []
        for running, another, start, went_on in zip(both, both[::-1], began[:2], began[2:], strict=True):
            found = asdict(running.wait())
            found["seconds"] -= went_on - start  # it was stopped
            ended.append(Raced(**found, other=another.pid))
        return ended

    return run


def crowded() -> float:
    """How many times as long something may take, with the other work that the machine has."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def verb(*words: object) -> dict[str, Any]:
    return {"verb": list(map(str, words))}


def function(name: str, *arguments: object) -> dict[str, Any]:
    return {"function": f"hard.racing:{name}", "arguments": list(arguments)}


def problem_of(ended: list[Raced], refused: str = "", within: float = AT_ONCE) -> str:
    """What is wrong: with how two cases ended, or with why one was refused, which `refused` finds in what it said.
    There OTHER is the number of the other process."""
    for one in ended:
        if problem := one.problem():
            return problem
        if one.code == 2 and not (refused and re.search(refused.replace("OTHER", str(one.other)), one.err)):
            return one.err
        if one.code == 2 and one.seconds > within * crowded():
            return f"it was refused after {one.seconds:.1f} s"
    return f"both were refused: {ended[0].err}" if all(one.code for one in ended) else ""


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """A folder with two sources, and a corpus of the first one."""
    folder = tmp_path_factory.mktemp("few")
    lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines(keepends=True)
    (folder / "a.jsonl").write_text("".join(lines[:30]), "utf-8")
    (folder / "b.jsonl").write_text("".join(lines[30:70]), "utf-8")
    api.prepare(folder / "a.jsonl", folder / "corpus")
    return folder


@pytest.fixture(scope="module")
def begun(few, tmp_path_factory) -> Path:
    """A run that was stopped after two steps. Not to be changed."""
    out = tmp_path_factory.mktemp("begun") / "run"
    list(api.train_events("lstm-small", few / "corpus", out, max_steps=2, settings=LSTM))
    return out


def training(few: Path, out: Path, *more: str) -> dict[str, Any]:
    steps = ["--max-steps", STEPS, *set_all(LSTM)]
    return verb("train", "lstm-small", "--corpus", few / "corpus", "--out", out, *steps, *more)


def problem_of_run(run: Path) -> str:
    """What is wrong with a run that was trained to its end."""
    steps = [line["step"] for line in RunDirectory(run).history()]
    if steps != list(range(1, STEPS + 1)):
        return f"metrics.jsonl has the steps {steps}"
    broken = [name for name in ("best", "last", "tokenizer") if folders.verified(run / name) is None]
    left = [path.name for path in run.iterdir() if path.name[0] == "."]
    return f"{broken} are not whole; {left} are left" if broken or left else ""


def test_of_two_trainings_of_one_run_one_is_refused_and_the_other_is_whole(cases, together, few, begun, tmp_path):
    """Of two trainings of one run, both are right, or one is told that the other one, or its run, is in the way.

    It is told within a second, on a machine that has no other work."""
    run, named = tmp_path / "run", 0
    for case in cases([(kind, i) for i in range(50) for kind in ("new", "resumed")]):
        if case[0] == "resumed":
            shutil.copytree(begun, run)
        one = training(few, run, *(["--resume"] if case[0] == "resumed" else []))
        ended = together(one, one)
        named += any("(process " in each.err for each in ended)
        cases.saw(case, problem_of(ended, f"{REFUSED}|{EXISTS}") or problem_of_run(run))
        shutil.rmtree(run)
    # A few pairs may all be so far apart, on a busy machine, that the second training finds the first one at its end.
    cases.saw("all", "" if named or cases.share < 1 else "no refusal named a process")


def test_texts_are_written_while_the_run_is_trained(cases, together, few, begun, tmp_path):
    """A run writes texts while it is trained, with 8-bit weights or others."""
    run = tmp_path / "run"
    for case in cases([(precision, i) for i in range(10) for precision in ("int8", "fp32")]):
        shutil.copytree(begun, run)
        writing = verb("generate", run, "After", "--precision", case[0], "--json")
        ended = together(training(few, run, "--resume"), writing)
        cases.saw(case, problem_of(ended) or problem_of_run(run))
        shutil.rmtree(run)


def test_a_run_is_measured_while_it_is_trained(cases, together, few, begun, tmp_path):
    """A run is opened again and again while it is trained, and is never taken for a damaged one."""
    run = tmp_path / "run"
    for case in cases(range(10)):
        shutil.copytree(begun, run)
        ended = together(training(few, run, "--resume"), function("reads", str(run), 1.0))
        cases.saw(case, problem_of(ended) or problem_of_run(run))
        shutil.rmtree(run)


def test_texts_written_by_two_at_once_are_those_of_one(cases, together, begun, tmp_path):
    """Two processes that write with a new run at once write what one of them writes alone."""
    run = tmp_path / "run"
    shutil.copytree(begun, run)
    writing = verb("generate", run, "After", "--precision", "int8", "--json")
    alone = together(writing, verb("rules"))[0]
    assert alone.problem() == ""
    assert (tmp_path / "home" / "int8").is_dir()
    for case in cases(range(10)):
        shutil.rmtree(tmp_path / "home")
        ended = together(writing, writing)
        same = [one.out for one in ended] == [alone.out] * 2
        cases.saw(case, problem_of(ended) or ("" if same else f"other texts: {ended}"))


def test_a_file_of_texts_is_written_by_one_process_at_a_time(cases, together, begun, tmp_path):
    """Of two processes that append texts to one file, new or resumed, one is refused, or both are right."""
    whole = tmp_path / "whole.jsonl"
    texts = ["generate", begun, "After", "-n", 6]
    assert together(verb(*texts, "--out", whole), verb("rules"))[0].code == 0
    lines = whole.read_text("utf-8").splitlines(keepends=True)
    for case in cases([(kind, i) for i in range(7) for kind in ("new", "resumed", "txt")]):
        out = tmp_path / ("texts.txt" if case[0] == "txt" else "texts.jsonl")
        if case[0] == "resumed":
            out.write_text("".join(lines[:2])[:-9], "utf-8")
        writing = verb(*texts, "--out", out, *(["--resume"] if case[0] == "resumed" else []))
        ended = together(writing, writing)
        problem = problem_of(ended, REFUSED)
        wrote = 1 if case[0] == "resumed" else sum(one.code == 0 for one in ended)
        if case[0] != "txt" and not problem and out.read_text("utf-8").splitlines(keepends=True) != lines * wrote:
            problem = f"the file holds other lines: {out.read_text('utf-8')}"
        if case[0] == "txt" and not problem and out.read_text("utf-8").count("\n\n") != 6 * wrote:
            problem = f"the file holds other texts: {out.read_text('utf-8')}"
        left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        cases.saw(case, problem or (f"{left} are left" if left else ""))
        out.unlink()


def test_a_corpus_prepared_by_two_at_once_is_that_of_one(cases, together, few, tmp_path):
    """A folder into which two processes prepare a corpus holds the corpus of one of them, complete."""
    known = {}
    for name in "ab":
        api.prepare(few / f"{name}.jsonl", tmp_path / name)
        known[racing.digest(str(tmp_path / name))] = name
    out = tmp_path / "corpus"
    for case in cases([(sources, i) for i in range(8) for sources in ("aa", "ab", "over")]):
        shutil.rmtree(out, ignore_errors=True)
        if case[0] == "over":
            shutil.copytree(tmp_path / "a", out)
        first, second = case[0] if case[0] != "over" else "ab"
        ended = together(*(verb("prepare", few / f"{name}.jsonl", "--out", out) for name in (first, second)))
        problem = problem_of(ended)
        if not problem and racing.digest(str(out)) not in known:
            problem = "a mixture"
        left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        cases.saw(case, problem or (f"{left} are left" if left else ""))


def test_a_corpus_that_is_replaced_while_it_is_read_is_the_old_one_or_the_new_one(cases, together, few, tmp_path):
    """Who opens a corpus while it is prepared anew reads the old texts or the new ones, never some of both."""
    known = {}
    for name in "ab":
        api.prepare(few / f"{name}.jsonl", tmp_path / name)
        known[racing.digest(str(tmp_path / name))] = name
    out = tmp_path / "corpus"
    for case in cases(range(12)):
        api.prepare(few / "a.jsonl", out)
        ended = together(function("opens", str(out), 1.0), function("prepares", str(few), str(out), 1.0))
        problem = problem_of(ended)
        if not problem and not set(ended[0].out.split()) <= known.keys():
            problem = "a mixture"
        cases.saw(case, problem)


def test_a_corpus_is_trained_on_and_inspected_while_it_is_replaced(cases, together, few, tmp_path):
    """A training and an inspection use the corpus that they have opened, while another one takes its place."""
    out, run = tmp_path / "corpus", tmp_path / "run"
    hashes = {api.prepare(few / f"{name}.jsonl", out).hash for name in "ba"}
    for case in cases([(kind, i) for i in range(6) for kind in ("train", "inspect")]):
        api.prepare(few / "a.jsonl", out)
        trains = verb("train", "lstm-small", "--corpus", out, "--out", run, "--max-steps", STEPS, *set_all(LSTM))
        reads = trains if case[0] == "train" else verb("inspect", out)
        ended = together(verb("prepare", few / "b.jsonl", "--out", out), reads)
        problem = problem_of(ended)
        if case[0] == "train" and not problem:
            of = RunDirectory(run).facts.corpus.hash
            problem = problem_of_run(run) or ("" if of in hashes else f"trained on {of}")
        cases.saw(case, problem)
        shutil.rmtree(run, ignore_errors=True)


def test_reports_and_exports_that_two_write_at_once_are_whole(cases, together, few, begun, tmp_path):
    """Where two comparisons, exports or imports write into one place, it holds the work of one of them, complete."""
    report, exported, imported = tmp_path / "page.html", tmp_path / "exported", tmp_path / "imported"
    brief = ["--samples", 2, "--seeds", 1, "--documents", 2]
    transformer = tmp_path / "gpt2"
    gpt2_shaped.make(transformer, **gpt2_shaped.TINY)
    two = begun, shutil.copytree(begun, tmp_path / "other")
    verbs = {
        "compare": verb("compare", *two, "--corpus", few / "corpus", "--out", report, *brief),
        "export": verb("export", begun, "--to", "onnx", "--out", exported),
        "import": verb("import", transformer, "--out", imported),
    }
    for case in cases([(kind, i) for i in range(3) for kind in verbs]):
        ended = together(verbs[case[0]], verbs[case[0]], 60)  # a comparison starts processes
        refusal = (f"{REFUSED}|{EXISTS}", IMPORTED) if case[0] == "import" else (EXISTS, AT_ONCE)
        problem = problem_of(ended, *refusal)
        if case[0] == "compare" and not problem and "</html>" not in report.read_text("utf-8")[-20:]:
            problem = "the page is not whole"
        if case[0] == "export" and not problem and folders.verified(exported) is None:
            problem = "the export is not whole"
        if case[0] == "import" and not problem and folders.verified(imported / "best") is None:
            problem = "the run is not whole"
        left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        cases.saw(case, problem or (f"{left} are left" if left else ""))
        for made in (exported, imported):
            shutil.rmtree(made, ignore_errors=True)


def test_a_mean_and_a_search_are_made_by_one_process(cases, together, zygote, few, tmp_path):
    """Of two processes that search for options, or average runs, into one folder, one is refused, or both are right."""
    base = gpt2_shaped.make(tmp_path / "gpt2", **gpt2_shaped.TINY)
    fine = [f"base={base}", "batch_size=4", "train.max_length=20", "validation_documents=2", "sampling.max_length=2"]
    a = ["--out", tmp_path / "a", "--max-steps", 1, *set_all(fine)]
    assert zygote.run(**verb("train", "pretrained-lora", "--corpus", few / "corpus", *a), seconds=60).code == 0
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    out = tmp_path / "out"
    said = ["tokenizer.size=300", "batch_size=4", "validation_documents=2", "sampling.max_length=2"]
    options = set_all(["discount=0.2..0.9", *said])
    verbs = {
        "average": verb("average", tmp_path / "a", tmp_path / "b", "--out", out),
        "tune": verb(
            "tune", "ngram", "--corpus", few / "corpus", "--out", out, "--trials", 2, "--max-steps", 2, *options
        ),
    }
    for case in cases([(kind, i) for i in range(3) for kind in verbs]):
        ended = together(verbs[case[0]], verbs[case[0]])
        problem = problem_of(ended, f"{REFUSED}|{EXISTS}")
        if not problem and case[0] == "average" and folders.verified(out / "best") is None:
            problem = "the mean is not whole"
        if (
            not problem
            and case[0] == "tune"
            and sorted(path.name for path in (out / "trials").iterdir()) != ["0001", "0002"]
        ):
            problem = f"other trials: {[*(out / 'trials').iterdir()]}"
        cases.saw(case, problem)
        shutil.rmtree(out, ignore_errors=True)


def test_sampling_settings_that_two_choose_at_once_are_those_of_one(cases, together, begun, tmp_path):
    """The sampling settings that two processes write into a run, as two sweeps do, are always those of one of them."""
    run = tmp_path / "run"
    shutil.copytree(begun, run)
    for case in cases(range(6)):
        first, second = (function("chooses", str(run), top_k, 30) for top_k in (3, 70))
        cases.saw(case, problem_of(together(first, second)))


def test_two_servers_keep_every_text_of_one_desk(cases, together, tmp_path):
    """Two servers of one folder keep all texts of its desk, and lose no change."""
    for case in cases(range(8)):
        place = tmp_path / f"{case}.sqlite"
        first, second = (function("keeps", str(place), name, 20) for name in "ab")
        problem = problem_of(together(first, second))
        texts = {row["text"] for row in Desk(place).texts()}
        wanted = {f"{name} {number}" for name in "ab" for number in range(0, 20, 2)}
        cases.saw(case, problem or ("" if texts == wanted else f"{len(texts)} texts"))


def test_two_servers_start_a_job_once(cases, together, tmp_path):
    """Of two servers of one folder that start a job of one name, one does."""
    for case in cases(range(4)):
        runs = tmp_path / str(case)
        starts = function("starts", str(runs))
        ended = together(starts, starts)
        job = Jobs(runs).find("one")
        problem = problem_of(ended, "one is running already")
        if not problem and (
            sorted(one.code for one in ended) != [0, 2] or str(job.pid) not in ended[0].out + ended[1].out
        ):
            problem = f"{[one.out for one in ended]} and {job}"
        while Jobs(runs).running(job):
            time.sleep(0.05)
        cases.saw(case, problem)


def test_a_training_goes_on_while_the_studio_looks_at_it(cases, together, few, begun, tmp_path):
    """A killed training is resumed while the studio asks whether it is being trained, and the studio sees no damage."""
    runs = tmp_path / "runs"
    for case in cases(range(10)):
        shutil.copytree(begun, runs / "run")
        (runs / "run" / ".lock").touch()  # of a killed one
        ended = together(function("lists", str(runs), 1.0), training(few, runs / "run", "--resume"))
        states = set(ended[0].out.split())
        odd = "" if states <= {"training", "stopped", "finished"} else f"{states}"
        cases.saw(case, problem_of(ended) or odd or problem_of_run(runs / "run"))
        shutil.rmtree(runs)


LEFT: dict[str, Callable[[Path], object]] = {
    "of a killed process": lambda lock: None,
    "of another machine": lambda lock: lock.write_text("4711\nelsewhere\n"),
    "with the number of a process that runs": lambda lock: lock.write_text(f"{os.getpid()}\n{platform.node()}\n"),
    "of an earlier version": lambda lock: lock.write_text(""),
    "with other bytes": lambda lock: lock.write_bytes(b"\xff\0" * 2**20),
    "that is a pipe": lambda lock: os.mkfifo(lock),
    "that is a folder": lambda lock: lock.mkdir(),
    "that is a link": lambda lock: lock.symlink_to("aim"),
    "that is a link to a file": lambda lock: (lock.with_name("aim").write_text("mine"), lock.symlink_to("aim")),
    "that is a device": lambda lock: lock.symlink_to("/dev/zero"),
}


def test_a_lock_that_was_left_behind_is_taken_over(cases, zygote, few, begun, tmp_path):
    """A lock that a killed process has left is taken over; what is no file is left alone, and named."""
    run, lock = tmp_path / "run", tmp_path / "run" / ".lock"
    for case in cases([*LEFT]):
        shutil.copytree(begun, run)
        assert zygote.run(**function("holds", str(run))).code == -signal.SIGKILL
        assert lock.read_text()
        if case != "of a killed process":
            lock.unlink()
        LEFT[case](lock)
        ended = zygote.run(**training(few, run, "--resume"), seconds=10 * crowded())
        if case.startswith("that is"):
            kept = os.path.lexists(lock) and (not (run / "aim").exists() or (run / "aim").read_text() == "mine")
            told = ended.code == 2 and ".lock" in ended.err and kept
            cases.saw(case, ended.problem() or ("" if told else f"exit code {ended.code}: {ended.err}"))
        else:
            cases.saw(case, ended.problem(0) or problem_of_run(run))
        shutil.rmtree(run)


def test_without_locks_of_the_file_system_a_run_is_trained_by_one_process(
    cases, together, zygote, few, begun, tmp_path
):
    """On a file system without locks a second training is refused too, and a killed one is in nobody's way."""
    run = tmp_path / "run"
    held = run / ".lock.held"
    for case in cases(
        [(error, kind) for error in ("ENOSYS", "ENOTSUP", "ENOLCK") for kind in ("two", "killed", "far")]
    ):
        error, kind = case
        shutil.copytree(begun, run)
        resumed = function("without_locks", error, *training(few, run, "--resume")["verb"])
        if kind == "two":
            ended = together(resumed, resumed)
            problem = problem_of(ended, REFUSED)
        elif kind == "killed":
            assert zygote.run(**function("holds", str(run), error)).code == -signal.SIGKILL
            assert held.exists()
            problem = zygote.run(**resumed, seconds=10 * crowded()).problem(0)
        else:
            held.write_text("4711\nelsewhere\n")
            refused = zygote.run(**resumed, seconds=10 * crowded())
            said = rf"writes \S+ now \(process 4711 on elsewhere\); wait for it.*; if that has ended, delete {held}"
            problem = "" if refused.code == 2 and re.search(said, refused.err) else refused.err or "it is not refused"
            held.unlink()
            problem = problem or zygote.run(**resumed, seconds=10 * crowded()).problem(0)
        cases.saw(case, problem or problem_of_run(run))
        shutil.rmtree(run)
