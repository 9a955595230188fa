"""Ctrl-C saves and stops; a kill loses at most what was since the last checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arasuji import folders
from arasuji.cli.train import stop_on_signal

pytestmark = pytest.mark.slow

EPOCHS, STEPS = 3, 72
"""Of the starter corpus's 384 training texts in batches of 16."""
LONG = (f"epochs={EPOCHS}", "layout=documents", "batch_size=16", "accumulate=1", "patience=0", "validations=1")


def start(corpus: Path, out: Path, changes: list[str]) -> subprocess.Popen:
    """`arasuji train` in a process of its own, some steps in."""
    words = ["train", "lstm-small", "--corpus", str(corpus), "--out", str(out), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "arasuji", *words, *changes], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while len(steps(out)) < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)
    return process


def steps(out: Path) -> list[int]:
    try:
        lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


def resume(arasuji_, corpus, out):
    return arasuji_("train", "lstm-small", "--corpus", corpus, "--out", out, "--resume", "--json")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "a polite kill"])
def test_a_signal_saves_and_stops_cleanly_and_the_run_can_be_continued(
    arasuji_, corpus, tmp_path, tiny_settings, number
):
    out = tmp_path / "run"
    process = start(corpus, out, tiny_settings(*LONG))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert "stopping after this step" in stderr
    done = json.loads(stdout)
    assert 3 <= done["steps"] < STEPS
    assert folders.verified(out / "last")["step"] == done["steps"]
    assert folders.verified(out / "best")
    assert arasuji_("generate", out, "--json").json["samples"]
    assert resume(arasuji_, corpus, out).json["steps"] == STEPS
    assert steps(out) == list(range(1, STEPS + 1))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_training_stops_when_its_terminal_is_closed_unless_that_is_ignored():
    for before, reason in ((signal.SIG_DFL, "stopped by a signal"), (signal.SIG_IGN, "")):
        kept = signal.signal(signal.SIGHUP, before)
        try:
            with stop_on_signal() as stop:
                os.kill(os.getpid(), signal.SIGHUP)
                assert stop() == reason
            assert signal.getsignal(signal.SIGHUP) == before
        finally:
            signal.signal(signal.SIGHUP, kept)


def test_a_run_killed_before_its_first_checkpoint_starts_over(arasuji_, corpus, tmp_path, tiny_settings):
    out = tmp_path / "run"
    process = start(corpus, out, tiny_settings(*LONG, f"checkpoint_steps={STEPS}"))
    process.kill()
    process.communicate(timeout=60)
    assert not (out / "last").exists()
    assert resume(arasuji_, corpus, out).json["steps"] == STEPS
    assert steps(out) == list(range(1, STEPS + 1))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_verb_that_is_told_to_end_deletes_what_is_unfinished(starter, tmp_path, name):
    words = [sys.executable, "-c", UNFINISHED, "prepare", str(starter), "--out", str(tmp_path / "corpus")]
    process = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "ENDS_BY": name})
    assert process.returncode == 128 + getattr(signal, name)
    assert "Traceback" not in process.stderr
    assert list(tmp_path.iterdir()) == []


UNFINISHED = """
import os, signal
from arasuji import cli
from arasuji.corpus import pipeline
pipeline.seal = lambda *given: os.kill(os.getpid(), getattr(signal, os.environ["ENDS_BY"]))
cli.main()
"""
"""A verb that is sent a signal just before its folder is whole."""
