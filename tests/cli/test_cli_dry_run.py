"""`train --dry-run` says what a training would take, trains nothing and leaves nothing behind."""

from __future__ import annotations

import tempfile


def test_it_prints_the_plan_and_leaves_nothing_behind(arasuji_, corpus, tmp_path, tiny_settings, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = ["train", "lstm-small", "--corpus", corpus, "--out", tmp_path / "run", "--dry-run", *tiny_settings()]
    outcome = arasuji_(*command, "--max-steps", 7, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json.keys() == {"steps", "epochs", "validate_every", "seconds", "memory", "free"}
    assert outcome.json["steps"] == 7
    assert 0 < outcome.json["epochs"] < 7
    assert outcome.json["seconds"] > 0
    assert outcome.json["memory"] > 0
    assert outcome.json["free"] > 0
    assert not list(tmp_path.glob("arasuji-*"))
    assert not (tmp_path / "run").exists()


def test_a_person_reads_the_time_and_the_memory(arasuji_, corpus, tmp_path, tiny_settings):
    outcome = arasuji_(
        "train", "lstm-small", "--corpus", corpus, "--out", tmp_path / "run", "--dry-run", *tiny_settings()
    )
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["time", "memory", "next"]
    assert "plan  " in outcome.err


def test_it_is_refused_where_there_is_no_new_run_to_plan(arasuji_, corpus, run, tmp_path):
    words = ["train", "lstm-small", "--corpus", corpus, "--dry-run"]
    assert "exists already" in arasuji_(*words, "--out", run).err
    assert "leave one of both out" in arasuji_(*words, "--out", tmp_path / "run", "--resume").err
    taught = arasuji_("train", "lstm-distilled", *words[2:], "--out", tmp_path / "run", "--set", f"teacher={run}")
    assert taught.code == 2
    assert "teacher" in taught.err
