"""A checkpoint on the disk."""

from __future__ import annotations

import torch

from arasuji import files, folders
from arasuji.runs import RunDirectory


def test_the_log_is_on_the_disk_before_a_checkpoint_that_counts_its_lines(tmp_path, monkeypatch):
    done: list[str] = []
    monkeypatch.setattr(files, "sync", lambda path: done.append(path.name))
    monkeypatch.setattr(folders, "_replace", lambda *folders: done.append("checkpoint"))
    run = RunDirectory(tmp_path / "run")
    files.make_folder(run.path)
    for log in run.metrics, run.samples:
        run.log(log, {"step": 1})
    run.save_last({"weights": torch.zeros(3)}, {"progress": {"step": 1}})
    assert {"metrics.jsonl", "samples.jsonl"} <= {*done[: done.index("checkpoint")]}
