"""Tests of what must hold whatever happens: each tries many cases, and counts them.

`make hard` tries all cases. Without `--share 1` a tenth is tried, another one each day: a case that failed comes again
with `--seed` of that day, which the header of the test run names.
"""

from __future__ import annotations

import datetime
import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hard.forked import Zygote, can_trace

from arasuji import api

T = TypeVar("T")
FEWEST = 3
"""Of a few cases this many are tried each day."""
SHOWN = 10


class Cases:
    """The cases of one test: which are tried, and what was wrong with them."""

    def __init__(self, name: str, share: float, seed: str) -> None:
        self.share, self.tried = share, 0
        self.problems: list[str] = []
        self.random = random.Random(f"{seed} {name}")
        """Draws by the day and the test."""

    def __call__(self, every: Sequence[T]) -> list[T]:
        """The cases to try now, of all that there are; in their order."""
        return self.sample(every, len(every))

    def sample(self, every: Sequence[T], whole: int) -> list[T]:
        """The cases to try now where there are too many to try all: at share 1 `whole` of them are drawn."""
        count = min(len(every), self.count(whole))
        return [every[index] for index in sorted(self.random.sample(range(len(every)), count))]

    def count(self, whole: int) -> int:
        """How many cases to draw, where `whole` would be all."""
        return max(FEWEST, round(self.share * whole))

    def saw(self, case: object, problem: str = "") -> None:
        """Count a case that was tried. `problem` says how it broke the promise; empty where it did not."""
        self.tried += 1
        if problem:
            self.problems.append(f"{case}: {problem}")


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> Cases:
    config = request.config
    return Cases(request.node.name, config.getoption("--share"), config.getoption("--seed"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A test with cases fails where one of them has a problem, or where none was tried."""
    result = yield
    tried = pyfuncitem.funcargs.get("cases")
    if isinstance(tried, Cases):
        row = {"test": pyfuncitem.name, "cases": tried.tried, "failures": len(tried.problems)}
        pyfuncitem.user_properties.append(("hard", row | {"module": Path(str(pyfuncitem.path)).stem}))
        shown = "\n".join(tried.problems[:SHOWN])
        assert not tried.problems, f"{len(tried.problems)} of {tried.tried} cases:\n{shown}"
        assert tried.tried, "no case was tried"
    return result


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows: list[dict[str, Any]] = []
    for report in reports:
        rows += [{**row, "seconds": round(report.duration, 1)} for key, row in report.user_properties if key == "hard"]
    if not rows:
        return
    tried, failed = sum(row["cases"] for row in rows), sum(row["failures"] for row in rows)
    terminalreporter.write_line(f"tests/hard: {tried:,} cases, {failed:,} failures")
    if tally := config.getoption("--tally"):
        how = {"share": config.getoption("--share"), "date": datetime.date.today().isoformat()}
        rows.sort(key=lambda row: (row["module"], row["test"]))
        tally.write_text(json.dumps([row | how for row in rows], indent=1) + "\n")


@pytest.fixture(scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs another one where it may mount disks that nobody else sees; none where that is not
    permitted."""
    command = ["unshare", "--mount"]
    mount = [*command, "mount", "-t", "tmpfs", "none", str(tmp_path_factory.mktemp("disk"))]
    permitted = shutil.which("unshare") and not subprocess.run(mount, capture_output=True).returncode
    return command if permitted else []


@pytest.fixture(scope="session")
def zygote(apart: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("zygote"), apart) as running:
        yield running


FAMILIES = {
    "lstm": ["model.hidden=24", "model.embedding=16", "batch_size=4"],
    "ngram": [],
    "gpt2-mini": ["model.layers=2", "model.width=32", "model.heads=2", "batch_size=4"],
}


@pytest.fixture(scope="session")
def runs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small run of each family, trained for four steps, by the name of its preset. Not to be changed:
    copy a run to break it."""
    folder = tmp_path_factory.mktemp("runs")
    for preset, settings in FAMILIES.items():
        steps = {} if preset == "ngram" else {"max_steps": 4}
        list(api.train_events(preset, corpus, folder / preset, settings=["tokenizer.size=400", *settings], **steps))
    return folder


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with few texts, few.jsonl, and the corpus of them, for trainings of several epochs in a moment."""
    folder = tmp_path_factory.mktemp("few")
    lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines()
    (folder / "few.jsonl").write_text("\n".join(lines[:60]) + "\n", "utf-8")
    api.prepare(folder / "few.jsonl", folder / "corpus")
    return folder


@pytest.fixture(scope="session")
def stage(zygote: Zygote, strace: None, runs: Path, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Where the scenarios of scenarios.py take place, followed by strace."""
    from hard.calls import Stage  # imports a second, with all that is written

    return Stage(zygote, tmp_path_factory.mktemp("stage"), runs, few / "corpus")


@pytest.fixture(scope="session")
def strace() -> None:
    """Asked for by a test that needs strace."""
    if not can_trace():
        pytest.skip("strace is not installed, or may not follow another process")
