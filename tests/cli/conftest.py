"""The command line as a person uses it: arguments in; exit code, stdout and stderr out. All in this process."""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Callable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from packages import Outcome

import arasuji.cli

TINY = ("size=300", "embedding=16", "hidden=16", "layers=1", "validation_documents=4")
"""Settings that make lstm-small a matter of a second."""
LENGTHS = ("train.max_length=40", "sampling.max_length=12")


def call(*arguments: object) -> Outcome:
    """Run `arasuji ARGUMENTS`."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["arasuji", *map(str, arguments)]
    code: Any = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            arasuji.cli.main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = before
    return Outcome(code, out.getvalue(), err.getvalue())


def tiny(*more: str) -> list[str]:
    return [word for setting in (*TINY, *LENGTHS, *more) for word in ("--set", setting)]


@pytest.fixture(scope="session")
def arasuji_() -> Callable[..., Outcome]:
    return call


@pytest.fixture(scope="session")
def tiny_settings() -> Callable[..., list[str]]:
    return tiny


@pytest.fixture(scope="session")
def starter(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("source") / "starter.jsonl"
    path.write_bytes((resources.files("arasuji.data") / "starter.jsonl").read_bytes())
    return path


@pytest.fixture(scope="session")
def prepared(starter, tmp_path_factory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("prepared") / "corpus"
    return folder, call("prepare", starter, "--out", folder, "--json")


@pytest.fixture(scope="session")
def corpus(prepared) -> Path:
    return prepared[0]


@pytest.fixture(scope="session")
def trained(corpus, tmp_path_factory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("runs") / "small"
    more = ("--max-steps", "4", *tiny(), "--json")
    return folder, call("train", "lstm-small", "--corpus", corpus, "--out", folder, *more)


@pytest.fixture(scope="session")
def run(trained) -> Path:
    """A run of four steps, in a folder of its own. Not to be changed."""
    return trained[0]


@pytest.fixture(scope="session")
def short_sighted(corpus, tmp_path_factory) -> Path:
    """A run of gpt2-mini whose context holds 16 tokens. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "mini"
    small = (
        "size=300",
        "layers=1",
        "heads=2",
        "width=16",
        "context_length=16",
        "validation_documents=4",
        "train.max_length=16",
    )
    changes = [word for setting in small for word in ("--set", setting)]
    outcome = call("train", "gpt2-mini", "--corpus", corpus, "--out", folder, "--max-steps", 1, *changes)
    assert outcome.code == 0, outcome.err
    return folder


@contextmanager
def full_disk(limit: int):
    """Inside, no file can grow beyond `limit` bytes: a real refusal by the system, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def disk_of() -> Any:
    return full_disk
