"""A job is a process of its own, which a server finds again, stops, and tells the end of."""

from __future__ import annotations

import errno
import os
import signal
import time

import psutil
import pytest

from arasuji.errors import OptionError, RunError, StorageError
from arasuji.studio.jobs import Jobs

pytestmark = pytest.mark.slow


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
    assert not jobs.asked_to_stop(job)
    jobs.stop(job)
    jobs.stop(job)  # a second signal would end it before it has saved
    assert jobs.asked_to_stop(job)
    assert ended(jobs, "long") == 0
    assert "stopped at step" in jobs.said(job)
    assert (tmp_path / "long/last").is_dir()

    jobs.start("long", "train", [*arguments, "--resume"], {})
    os.kill(jobs.find("long").pid, signal.SIGKILL)
    assert ended(jobs, "long") is None
    assert not jobs.asked_to_stop(jobs.find("long"))


def test_what_a_job_prints_is_copied_to_its_place_when_it_has_ended_well(tmp_path):
    jobs, place = Jobs(tmp_path), tmp_path / "kept/presets.txt"
    jobs.start("presets", "presets", ["no-such-preset"], {}, result=place)
    assert ended(jobs, "presets") == 2
    assert not place.exists()
    jobs.start("presets", "presets", [], {}, result=place)
    assert ended(jobs, "presets") == 0
    assert place.read_bytes() == jobs.result(jobs.find("presets"))


def test_a_job_works_in_the_folder_that_is_said_and_imports_nothing_from_there(tmp_path):
    (tmp_path / "typer.py").write_text("raise SystemExit('a file of a stranger was imported')")
    (tmp_path / "my.toml").write_text("family = 7")
    jobs = Jobs(tmp_path)
    jobs.start("own", "train", ["my.toml", "--corpus", "nowhere", "--out", "run"], {}, tmp_path)
    assert ended(jobs, "own") == 2
    assert "my.toml: family" in jobs.said(jobs.find("own"))


def test_a_job_that_is_asked_to_end_tidies_up(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    jobs = Jobs(tmp_path)
    arguments = ["lstm", "--corpus", str(corpus), "--out", str(tmp_path / "run"), "--dry-run"]
    jobs.start("estimate", "train", arguments, {})
    began = time.monotonic()
    while not list((tmp_path / "temporary").glob("arasuji-*")):
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    jobs.stop(jobs.find("estimate"))
    assert ended(jobs, "estimate") == 130
    assert not list((tmp_path / "temporary").glob("arasuji-*"))


def test_what_no_command_line_can_hold_is_refused(tmp_path):
    for argument in ("a\0b", "\ud800"):
        with pytest.raises(OptionError, match="no command line"):
            Jobs(tmp_path).start("presets", "presets", [argument], {})
    assert Jobs(tmp_path).all() == []


def test_a_job_that_cannot_be_written_down_does_not_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("arasuji.files.write_text", full)
    before = psutil.Process().children()
    with pytest.raises(StorageError, match="No space left"):
        Jobs(tmp_path).start("presets", "presets", [], {})
    assert Jobs(tmp_path).all() == []
    assert {*psutil.Process().children()} <= {*before}


@pytest.mark.parametrize("name", ["", "../out", "a/b", "-x", ".hidden", "a\0b", "a" * 101])
def test_a_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(OptionError):
        Jobs(tmp_path).start(name, "presets", [], {})
