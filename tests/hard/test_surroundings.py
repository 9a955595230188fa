"""Verbs in bad surroundings: little memory, few files, signals, nobody who reads, no home, a clock that jumps."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gpt2_shaped
import pytest
from hard.forked import Running, Zygote, set_all, status, until

from arasuji import folders

MEGABYTE = 2**20
ENDING = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
"""Signals that ask a program to end, with its exit code."""
DEADLY = ("SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGALRM", "SIGABRT")
SETTINGS = (
    *("size=400", "embedding=16", "hidden=16", "batch_size=16", "accumulate=2", "train.max_length=80"),
    *("validation_documents=4", "checkpoint_steps=2", "seed=3"),
)
STEPS, TEXTS = 8, 4
CALLS = 100
"""At least this number of functions of arasuji is called until the studio listens."""


class Place:
    """A folder in which verbs work, with what they read: `run`, `exported` (a run, too), `corpus` and `few.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run, self.corpus, self.texts = folder / "run", folder / "corpus", folder / "few.jsonl"
        self.exported = folder / "exported"
        self.out, self.texts_out = folder / "out", folder / "out.jsonl"
        self.temporary = folder / "temporary"
        self.trains = False

    def words(self, name: str) -> list[str]:
        """A verb that writes `out`, where it writes something."""
        self.trains = name == "train"
        settings = " ".join(set_all(SETTINGS))
        few = "--samples 3 --seeds 1 --documents 3"
        base = self.folder / "base"
        return {
            "train": f"train lstm-small --corpus {self.corpus} --out {self.out} --max-steps {STEPS} {settings}",
            "generate": f"generate {self.run} After -n {TEXTS} --max-length 20 --out {self.texts_out}",
            "generate in whole": f"generate {self.run} After --max-length 20 --precision fp32",
            "prepare": f"prepare {self.texts} --out {self.out}",
            "evaluate": f"evaluate {self.run}",
            "export": f"export {self.exported} --to hf --out {self.out}",
            "compare": f"compare {self.run} {base} {few} --reader {base} --out {self.out}.html",
            "runs": f"runs {self.folder}",
        }[name].split()

    def sums(self) -> dict[str, str]:
        """What stands in the folders that the verbs read; what is kept for a corpus may be added."""
        files = [path for top in (self.run, self.exported, self.corpus) for path in top.rglob("*") if path.is_file()]
        kept = [path for path in files if not {"index", "suffixes"} & set(path.parts)]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in [*kept, self.texts]}

    def broken(self) -> str:
        """What is half written, or is not as it was before the verb."""
        found = [] if self.before == self.sums() else ["what it reads has changed"]
        sealed = [self.out / name for name in ("last", "best", "tokenizer")]
        if not self.trains:  # what `prepare` and `export` make is there whole, or not at all
            sealed = [self.out]
        for folder in sealed:
            if folder.exists() and folders.open_folder(folder) is None:
                found.append(f"{folder.name} is not whole")
        if self.texts_out.exists():
            lines = self.texts_out.read_bytes().split(b"\n")
            whole = lines[:-1]
            if lines[-1] or not all(isinstance(json.loads(line), dict) for line in whole):
                found.append("a line of texts is half written")
        return "; ".join(found)

    def litter(self) -> str:
        """What a verb has left that tidies up."""
        left = [path.name for path in self.temporary.iterdir()]
        left += [path.name for path in self.folder.iterdir() if path.name[0] == "."]
        if self.out.is_dir():
            left += [path.name for path in self.out.iterdir() if path.name[0] == "."]
        return f"it has left {', '.join(sorted(left))}" if left else ""


@pytest.fixture(scope="module")
def made(zygote, few, runs, tmp_path_factory) -> Path:
    """What `Place` holds; not to be changed."""
    place = Place(tmp_path_factory.mktemp("place"))
    shutil.copytree(few, place.folder, dirs_exist_ok=True)
    gpt2_shaped.make(place.folder / "base", **gpt2_shaped.TINY)
    shutil.copytree(runs / "gpt2-mini", place.exported)
    ended = zygote.run(place.words("train"))
    assert ended.problem(0) == ""
    place.out.rename(place.run)
    for verb in ("generate", "prepare"):  # the 8-bit form and the index are made
        assert zygote.run(place.words(verb)).problem(0) == ""
        place.texts_out.unlink(missing_ok=True)
    shutil.rmtree(place.out)
    return place.folder


@pytest.fixture
def place(made, tmp_path) -> Callable[[], Place]:
    """Makes a new place."""

    def make() -> Place:
        folder = tmp_path / str(time.monotonic_ns())
        shutil.copytree(made, folder)
        manifest = folder / "run/manifest.json"
        manifest.write_text(manifest.read_text().replace(str(made), str(folder)))
        new = Place(folder)
        new.temporary.mkdir()
        new.before = new.sums()
        return new

    return make


def first(*problems: str) -> str:
    return next(filter(None, problems), "")


def rust_gave_up(ended: Any) -> bool:
    """Whether a library in Rust got no memory: Rust ends the process itself, and nothing can be said after that."""
    return ended.code == -signal.SIGABRT and "memory allocation of" in ended.err


VERBS = ("train", "generate", "generate in whole", "prepare", "evaluate")


def test_little_memory_is_one_line(cases, zygote, place):
    """Where memory is full in the middle of a verb, one line says so, and what stood before is intact.

    A library in Rust that gets no memory ends the process itself, with a line of its own.
    """
    heights = [round(2 ** (exponent / 2)) for exponent in range(3, 15)]
    for verb, height in cases([(verb, height) for verb in VERBS for height in heights]):
        at = place()
        limit = int(height * MEGABYTE * cases.random.uniform(0.8, 1.2))
        ended = zygote.run(at.words(verb), limits={"DATA": limit}, seconds=40)
        problem = "" if rust_gave_up(ended) else ended.problem()
        if ended.code == 2 and "memory" not in ended.err:
            problem = problem or f"it does not say that memory is full: {ended.err}"
        cases.saw(f"{verb} with {limit / MEGABYTE:.1f} MB", first(problem, at.broken()))


def test_few_open_files_are_one_line(cases, zygote, place):
    """Where no further file may be opened, one line says so, and what stood before is intact."""
    for verb, most in cases([(verb, most) for verb in VERBS for most in range(3, 15)]):
        at = place()
        ended = zygote.run(at.words(verb), limits={"NOFILE": most}, seconds=40)
        problem = ended.problem()
        if ended.code == 2 and "Too many open files" not in ended.err:
            problem = problem or f"it does not say why: {ended.err}"
        cases.saw(f"{verb} with {most} files", first(problem, at.broken()))


def test_no_further_threads_or_processes_are_one_line(cases, zygote, place, strace, tmp_path):
    """Where no further thread or process may be started, a verb works without it, or one line says so."""
    for verb, number in cases([(verb, number) for verb in (*VERBS, "compare") for number in (1, 2, 3)]):
        at = place()
        running = zygote.start(at.words(verb), stopped=True, seconds=60, env={"OMP_NUM_THREADS": "2"})
        calls = "clone,clone3,fork,vfork"
        running.trace("-e", f"trace={calls}", "-e", f"inject={calls}:error=EAGAIN:when={number}+", "-o", "/dev/null")
        ended = running.wait()
        problem = ended.problem()
        if ended.code == 2 and not any(word in ended.err for word in ("thread", "process", os.strerror(errno.EAGAIN))):
            problem = problem or f"it does not say why: {ended.err}"
        cases.saw(f"{verb} from thread {number} on", first(problem, at.broken()))


STRANGE = (
    *({"RANK": "x"}, {"WORLD_SIZE": "0"}, {"LOCAL_RANK": "1"}),
    *({"RANK": rank, "LOCAL_RANK": "0", "WORLD_SIZE": "2"} for rank in ("0", "3", "x", "")),
    *({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": size} for size in ("0", "x", "")),
    *({"OMP_NUM_THREADS": number} for number in ("abc", "0", "-1", "99999999999")),
    *({"COLUMNS": number} for number in ("0", "x", "-5", "1")),
    *({"TERM": name} for name in ("dumb", "", "\x1b[2J")),
    *({"LANG": "C", "LC_ALL": "C"}, {"LC_ALL": "xx_YY.KOI8-R"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0"}),
    *({"CUDA_VISIBLE_DEVICES": "x"}, {"ACCELERATE_USE_CPU": "maybe"}, {"ACCELERATE_MIXED_PRECISION": "fp7"}),
    *({"TZ": "No/Where::"}, {"PATH": ""}, {"XDG_CACHE_HOME": "relative"}, {"ARASUJI_HOME": "relative"}),
    *({"NUMBA_CACHE_DIR": "/proc/none"}, {"NUMBA_NUM_THREADS": "x"}, {"HF_HOME": "/dev/null/x"}, {"NO_COLOR": "1"}),
)  # fmt: skip


def test_a_strange_environment_is_worked_in_or_said_to_be_wrong(cases, zygote, place):
    """Environment variables that hold nonsense are ignored, or one line says which one is wrong."""
    every = [(verb, strange) for verb in ("train", "generate", "prepare", "runs") for strange in STRANGE]
    for verb, strange in cases(every):
        at = place()
        ended = zygote.run(at.words(verb), env=strange, seconds=40)
        problem = ended.problem()
        if ended.code == 2 and not any(name in ended.err for name in strange):
            problem = problem or f"it does not say which one is wrong: {ended.err}"
        cases.saw(f"{verb}, {strange}", first(problem, at.broken()))


def test_what_libraries_read_at_the_start_may_be_nonsense(cases, place):
    """Variables that libraries read when they are imported may hold nonsense, too."""
    at = place()
    nonsense = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_CACHE_DIR", "COLUMNS", "LC_ALL"), "/proc/none"
    )
    environment = os.environ | nonsense | {"ARASUJI_HOME": str(at.folder / "home")}
    command = [sys.executable, "-m", "arasuji", *at.words("generate")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    cases.saw(nonsense, "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr[-500:]}")


@pytest.fixture(scope="module")
def walled(tmp_path_factory) -> Iterator[tuple[Zygote, Path]]:
    """A process to fork whose folder has `full`, a full disk, and `kept`, a disk that may only be read."""
    folder = tmp_path_factory.mktemp("walled")
    for name in ("full", "kept"):
        (folder / name).mkdir()
    mounts = (
        f"mount -t tmpfs -o size=8k none {folder}/full && head -c 8k /dev/zero > {folder}/full/all 2>/dev/null; "
        f'mount --bind {folder}/kept {folder}/kept && mount -o remount,bind,ro {folder}/kept && exec "$@"'
    )
    before = ["unshare", "--mount", "sh", "-c", mounts, "sh"]
    if not shutil.which("unshare") or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("no disk may be mounted in a name space of its own")
    with Zygote(folder, before) as zygote:
        yield zygote, folder


def test_places_that_cannot_be_written_are_said(cases, walled, place):
    """A temporary folder, cache or current folder that is full, missing or read-only is worked around, or named."""
    zygote, folder = walled
    places = [folder / "full", folder / "kept", folder / "missing", Path("/dev/null")]
    every = [(verb, name, where) for verb in VERBS for name in ("TMPDIR", "ARASUJI_HOME", "cwd") for where in places]
    for verb, name, where in cases([case for case in every if case[1] != "cwd" or case[2] in places[:2]]):
        at = place()
        if name == "cwd":
            words = [word.replace(str(at.out), "out") for word in at.words(verb)]
            ended = zygote.run(words, cwd=where, seconds=40)
        else:
            ended = zygote.run(at.words(verb), env={name: str(where)}, seconds=40)
        problem = ended.problem()
        if ended.code == 2 and (at.out.name if name == "cwd" else str(where)) not in ended.err:
            problem = problem or f"it does not name the place: {ended.err}"
        cases.saw(f"{verb}, {name} is {where.name}", first(problem, at.broken()))


def test_a_user_without_a_home_can_work(cases, zygote, place):
    """A user without a home folder and without a name can work, or is told to set ARASUJI_HOME."""
    variables = ("ARASUJI_HOME", "XDG_CACHE_HOME", "HF_HOME")
    every = [(verb, removed) for verb in (*VERBS, "runs") for removed in ((), variables)]
    for verb, removed in cases(every):
        at = place()
        ended = zygote.run(function="hard.surrounded:nobody", arguments=[at.words(verb), *removed], seconds=40)
        problem = ended.problem() if removed and "ARASUJI_HOME" in ended.err else ended.problem(0)
        cases.saw(f"{verb} without {', '.join(removed) or 'a name'}", first(problem, at.broken()))


def test_a_clock_that_jumps_changes_no_training(cases, zygote, place, made):
    """A clock that goes back, jumps ahead by days or stands still changes nothing of what is learnt.

    And no rate is below zero.
    """
    learnt = {path.name: path.read_bytes() for path in (made / "run/best").iterdir() if path.name != "manifest.json"}
    for kind in cases(["back", "forward", "still"]):
        at = place()
        ended = zygote.run(function="hard.surrounded:clocked", arguments=[at.words("train"), kind], seconds=40)
        problem = first(ended.problem(0), at.broken())
        if not problem:
            metrics = [json.loads(line) for line in (at.out / "metrics.jsonl").read_text().splitlines()]
            seconds = [line["seconds"] for line in metrics]
            if len(metrics) != STEPS or seconds != sorted(seconds) or seconds[0] < 0 or " -" in ended.err:
                problem = f"{seconds}, {ended.err}"
            if {name: (at.out / "best" / name).read_bytes() for name in learnt} != learnt:
                problem = problem or "it has learnt something else"
        cases.saw(kind, problem)


def test_closed_streams_and_readers_that_leave_end_no_work(cases, zygote, place):
    """A verb whose streams are closed, whose reader has left or whose terminal is gone does and saves its work."""
    which = [[0], [1], [2], [1, 2], [0, 1, 2]]
    every = [(verb, "closed", streams) for verb in VERBS for streams in which]
    every += [
        (verb, kind, streams) for verb in VERBS for kind in ("pipe", "terminal", "full") for streams in which[1:4]
    ]
    for verb, kind, streams in cases(every):
        at = place()
        function, more = ("closed", []) if kind == "closed" else ("unread", [kind])
        ended = zygote.run(
            function=f"hard.surrounded:{function}", arguments=[at.words(verb), *more, streams], seconds=40
        )
        # What is printed on a full disk, or on a terminal that is gone, is lost, and that is an error.
        codes = (0, 2) if 1 in streams and kind in ("terminal", "full") else (0,)
        problem = "" if ended.code in codes and "Traceback" not in ended.err else ended.problem(*codes)
        saved = {"train": at.out / "metrics.jsonl", "prepare": at.out / "train.jsonl", "generate": at.texts_out}.get(
            verb
        )
        wanted = {"train": STEPS, "generate": TEXTS}.get(verb, 1)
        lines = saved.read_text().splitlines() if saved and saved.exists() else []
        missing = f"only {len(lines)} lines of its work are saved" if saved and len(lines) < wanted else ""
        cases.saw(f"{verb}, {kind} {streams}", first(problem, missing, at.broken()))


def session(leader: int) -> list[int]:
    """The processes of a session that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_a_signal_ends_a_verb_tidily_at_any_moment(cases, zygote, place, tmp_path):
    """A signal ends a verb at any moment: a training saves, nothing is half written, and the same command works again.

    SIGINT, SIGTERM and SIGHUP leave nothing behind. The exit code is the one that shells expect.
    """
    moments: dict[str, int] = {}
    told = tmp_path / "moments"

    def run(at: Place, verb: str, signals: dict[int, int]) -> Any:
        words = [*at.words(verb), *(["--resume"] if verb == "train" else [])]
        arguments = [words, "call", signals, str(told)]
        return zygote.run(
            function="hard.surrounded:verb", arguments=arguments, env={"TMPDIR": str(at.temporary)}, seconds=60
        )

    every = [
        (verb, name, number)
        for verb in ("train", "generate", "prepare", "export")
        for name in (*ENDING, "SIGINT twice", *DEADLY)
        for number in range(2)
    ]
    for verb, name, _ in cases(every):
        if verb not in moments:
            assert run(place(), verb, {}).problem(0) == ""
            moments[verb] = json.loads(told.read_text())["call"]
        at, number = place(), getattr(signal, name.split()[0])
        moment = cases.random.randint(1, moments[verb])
        signals = {moment: number}
        if "twice" in name:
            signals[moment + cases.random.randint(1, 200)] = number
        ended = run(at, verb, signals)
        tidy = number.name in ENDING
        codes = [ENDING[number.name] if tidy else -number]
        if tidy and (verb == "train" or "twice" in name):
            codes.append(0)  # a training saves, and ends well; a second signal may come when it has ended
        problem = first(ended.problem(*codes), at.broken(), at.litter() if tidy else "")
        if not problem and verb == "train" and ended.code == 0 and folders.verified(at.out / "last") is None:
            problem = "the training is not saved"
        resume = ["--resume"] if verb == "train" else []
        if not problem and (again := zygote.run([*at.words(verb), *resume], seconds=60).problem(0)):
            problem = f"afterwards: {again}"
        cases.saw(f"{verb}, {name} at {moment} of {moments[verb]}", problem)


def test_ignored_signals_stay_ignored(cases, zygote, place):
    """A training goes on when its terminal is closed, if it was started with `nohup`, and after Ctrl-C, if it was
    started in the background."""
    for name in cases(["SIGHUP", "SIGINT", "SIGTERM"]):
        at = place()
        running = zygote.start(at.words("train"), signals={name: "SIG_IGN"}, seconds=40, stopped=True)
        until(lambda pid=running.pid: status(pid, "State") == "T")
        running.send(signal.SIGCONT)
        for _ in range(5):
            time.sleep(0.1)
            send(running, getattr(signal, name))
        ended = running.wait()
        steps = len((at.out / "metrics.jsonl").read_text().splitlines()) if ended.code == 0 else 0
        cases.saw(name, ended.problem(0) or ("" if steps == STEPS else f"it ended after {steps} steps"))


def test_a_stopped_verb_goes_on(cases, zygote, place, made):
    """A training that is stopped (Ctrl-Z) and continued learns what an undisturbed one does."""
    for number in range(cases.count(6)):
        at = place()
        running = zygote.start(at.words("train"), seconds=40)
        time.sleep(cases.random.uniform(0, 0.8))
        send(running, signal.SIGSTOP)
        time.sleep(0.1)
        send(running, signal.SIGCONT)
        ended = running.wait()
        weights = [(run / "best/model.safetensors").read_bytes() for run in (at.out, made / "run")]
        cases.saw(number, ended.problem(0) or ("" if weights[0] == weights[1] else "it has learnt something else"))


def test_no_process_outlives_the_one_that_started_it(cases, zygote, place):
    """A signal that ends a comparison, SIGKILL too, ends the processes that it has started."""
    for name in cases(["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"]):
        at = place()
        running = zygote.start(at.words("compare"), env={"TMPDIR": str(at.temporary)}, seconds=60)
        until(lambda leader=running.pid: len(session(leader)) > 1 or status(leader, "State") in ("", "Z"))
        time.sleep(cases.random.uniform(0, 1))
        send(running, getattr(signal, name))
        ended = running.wait()
        problem = ended.problem(ENDING.get(name, -signal.SIGKILL))
        began = time.monotonic()
        while session(running.pid) and time.monotonic() < began + 60:
            time.sleep(0.05)
        left = session(running.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        outlived = f"{len(left)} processes outlive it" if left else ""
        cases.saw(name, first(problem, outlived, at.litter() if name in ENDING else ""))


def test_the_studio_ends_when_it_is_told_to(cases, zygote, place):
    """A signal ends the studio, while it starts and when it serves, with the exit code that shells expect."""
    for name, _ in cases([(name, number) for name in ENDING for number in range(8)]):
        at, number = place(), getattr(signal, name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        starting = cases.random.random() < 0.5
        signals = {cases.random.randint(1, CALLS): number} if starting else {}
        words = ["serve", "--runs", str(at.folder), "--port", str(port)]
        running = zygote.start(function="hard.surrounded:verb", arguments=[words, "call", signals], seconds=20)
        if not starting:
            until(lambda pid=running.pid, port=port: answers(port) or status(pid, "State") in ("", "Z"))
            send(running, number)
        ended = running.wait()
        left = session(running.pid)
        problem = ended.problem(ENDING[name], -number)  # before the first handler, the signal itself is the end
        cases.saw(f"{name}, {signals}", first(problem, f"{len(left)} processes outlive it" if left else ""))


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def send(running: Running, number: int) -> None:
    """Send a signal, unless the process has ended."""
    with suppress(ProcessLookupError):
        running.send(number)


def modes(folders: Sequence[Path]) -> dict[str, int]:
    return {str(path): path.stat().st_mode & 0o777 for top in folders for path in [top, *top.rglob("*")]}


def test_what_is_written_has_the_permissions_that_the_user_wants(cases, zygote, place):
    """What a verb writes can be read by those, and only those, whom the umask of the user lets read it."""
    for verb, mask in cases(
        [(verb, mask) for verb in ("train", "prepare", "export", "generate") for mask in (0o22, 0o77, 0)]
    ):
        at = place()
        ended = zygote.run(function="hard.surrounded:masked", arguments=[at.words(verb), mask], seconds=40)
        found = modes([at.out if at.out.exists() else at.texts_out])
        other = [
            f"{path} {mode:o}"
            for path, mode in found.items()
            if mode != (0o777 if Path(path).is_dir() else 0o666) & ~mask
        ]
        cases.saw(f"{verb}, umask {mask:03o}", first(ended.problem(0), f"of others: {other[:3]}" if other else ""))
