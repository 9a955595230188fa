"""A job is a process of its own, which a server finds again, stops, and tells the end of."""

from __future__ import annotations

import os
import signal
import time

import pytest

from arasuji.errors import OptionError, RunError
from arasuji.studio.jobs import Jobs


def ended(jobs, name):
    began = time.monotonic()
    while jobs.running(jobs.find(name)):
        assert time.monotonic() < began + 60
        time.sleep(0.05)
    return jobs.code(jobs.find(name))


def test_a_job_says_what_it_did_and_how_it_ended(tmp_path):
    jobs = Jobs(tmp_path)
    jobs.start("presets", "presets", [], {"any": "thing"})
    assert ended(jobs, "presets") == 0
    told = jobs.told(jobs.find("presets"))
    assert (told["running"], told["about"], told["said"]) == (False, {"any": "thing"}, "")
    assert b"lstm-small" in jobs.result(jobs.find("presets"))
    jobs.start("presets", "presets", ["no-such-preset"], {})
    assert ended(jobs, "presets") == 2
    assert "no-such-preset" in jobs.said(jobs.find("presets"))


def test_another_server_finds_it_stops_it_and_one_that_was_killed_has_no_code(corpus, tmp_path):
    arguments = ["lstm-small", "--corpus", str(corpus), "--out", str(tmp_path / "long"), "--max-minutes", "60"]
    arguments += ["--set", "tokenizer.size=400", "--set", "hidden=24", "--set", "embedding=16", "--set", "epochs=10000"]
    Jobs(tmp_path).start("long", "train", arguments, {})
    jobs = Jobs(tmp_path)  # another server
    job = jobs.find("long")
    with pytest.raises(RunError, match="running already"):
        jobs.start("long", "train", arguments, {})
    began = time.monotonic()
    while not (tmp_path / "long/metrics.jsonl").exists():
        assert jobs.running(job), jobs.said(job)
        assert time.monotonic() < began + 60
        time.sleep(0.05)
    jobs.stop(job)
    assert ended(jobs, "long") == 0
    assert "stopped at step" in jobs.said(job)
    assert (tmp_path / "long/last").is_dir()

    jobs.start("long", "train", [*arguments, "--resume"], {})
    os.kill(jobs.find("long").pid, signal.SIGKILL)
    assert ended(jobs, "long") is None


@pytest.mark.parametrize("name", ["", "../out", "a/b", "-x", ".hidden", "a\0b", "a" * 101])
def test_a_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(OptionError):
        Jobs(tmp_path).start(name, "presets", [], {})
