"""The folder `tensorboard` of a run is in no verb's way."""

from __future__ import annotations

import shutil


def test_a_run_with_logs_for_tensorboard_is_listed_once_continued_and_opened(arasuji_, run, corpus, tmp_path):
    copy = shutil.copytree(run, tmp_path / "runs" / "small")
    assert [path.name for path in (copy / "tensorboard").glob("events.*")]
    rows = [line.split() for line in arasuji_("runs", tmp_path / "runs").out.splitlines()]
    assert [row[0] for row in rows if "lstm-small" in row] == ["small"]
    assert ["small", "lstm-small"] in [line.split()[:2] for line in arasuji_("runs", copy).out.splitlines()]
    assert arasuji_("train", "lstm-small", "--corpus", corpus, "--out", copy, "--resume", "--json").json["steps"] == 4
    assert arasuji_("generate", copy, "--json").json["samples"]
