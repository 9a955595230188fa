"""Several processes that train together take the steps that one alone would take, and survive the loss of one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_presets
import torch
from safetensors.torch import load_file
from tiny_presets import STEPS, TINY

from arasuji import api, folders

pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
LSTM = ["lstm-article", *(word for setting in tiny_presets.settings("lstm-article") for word in ("--set", setting))]


def start(launcher, *words):
    return subprocess.Popen(
        [*launcher, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.home()
    )


def run(launcher, *words):
    process = start(launcher, *words)
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def pair(corpus, tmp_path_factory):
    """Every small preset, trained by two processes."""
    out = tmp_path_factory.mktemp("pair")
    code, _, err = run(TORCHRUN, tiny_presets.__file__, corpus, out)
    assert code == 0, err
    return out


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    tiny_presets.train_all(corpus, out)
    return out


def log(folder, name="metrics.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.mark.parametrize("name", TINY)
def test_two_processes_take_the_steps_of_one(name, alone, pair):
    ours, theirs = log(alone / name), log(pair / name)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert two["tokens"] == one["tokens"]
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two.get("bits_per_byte", 0) == pytest.approx(one.get("bits_per_byte", 0), rel=1e-5)
    assert log(pair / name, "samples.jsonl")


@pytest.mark.parametrize("name", TINY)
def test_the_first_of_two_processes_leaves_a_run_like_any_other(name, pair):
    assert folders.verified(pair / name / "last")["step"] == STEPS
    assert api.load(pair / name).facts["step"] <= STEPS
    assert not [path for path in (pair / name).iterdir() if path.name.startswith(".")]


def test_a_run_that_lost_a_process_says_so_and_is_continued_by_both(corpus, tmp_path, kill_second):
    words = ["-m", "arasuji", "train", *LSTM, "--corpus", corpus, "--out", tmp_path / "run", "--json"]
    process = start(TORCHRUN, *words, "--max-steps", 100_000)
    kill_second(process, tmp_path / "run")
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "error: the processes have lost each other" in err
    assert out == ""
    reached = folders.verified(tmp_path / "run/last")["step"]
    code, out, err = run(TORCHRUN, *words, "--max-steps", reached + 20, "--resume")
    assert code == 0, err
    assert json.loads(out)["steps"] == reached + 20
    assert [line["step"] for line in log(tmp_path / "run")] == list(range(1, reached + 21))
    code, _, err = run([sys.executable], *words, "--max-steps", reached + 40, "--resume")
    assert code == 2
    assert "started with 2 processes" in err


def test_a_run_that_two_processes_resumed_equals_an_undisturbed_one_of_theirs(corpus, tmp_path):
    for out, steps in (("whole", 12), ("broken", 6), ("broken", 12)):
        words = ["train", *LSTM, "--corpus", corpus, "--out", tmp_path / out, "--max-steps", steps, "--resume"]
        code, _, err = run(TORCHRUN, "-m", "arasuji", *words)
        assert code == 0, err
    whole, broken = (load_file(tmp_path / out / "last/state.safetensors") for out in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    assert not torch.equal(*whole["generator.cpu"])
    assert not torch.equal(*whole["state.hidden"])


def test_checkpoints_of_two_processes_wait_for_what_the_first_one_says_they_take(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    code, out, err = run(TORCHRUN, tmp_path / "slow.py")
    assert code == 0, err
    assert out.split() == ["0", "1"]


SLOW = """
from unittest.mock import Mock
from arasuji import processes
from arasuji.training.loop import Trainer

trainer = Mock(config=Mock(checkpoint_steps=0), _checkpointed=0.0, _checkpoint_cost=1e9 if processes.is_main() else 0.0)
found = [Trainer._checkpoint_is_due(trainer)]
trainer._checkpoint_cost = 0.0 if processes.is_main() else 1e9
found += [Trainer._checkpoint_is_due(trainer)]
if processes.is_main():
    print(*map(int, found))
"""


def test_accelerate_launch_trains_too_and_one_process_speaks(corpus, tmp_path):
    words = ["train", *LSTM, "--corpus", corpus, "--out", tmp_path / "run", "--max-steps", 6, "--json"]
    code, out, err = run(ACCELERATE, "-m", "arasuji", *words)
    assert code == 0, err
    assert json.loads(out)["steps"] == 6
    assert err.count("plan  ") == 1


def test_rows_of_a_stream_that_cannot_be_shared_are_refused_before_anything_is_written(corpus, tmp_path):
    words = ["train", *LSTM, "--set", "batch_size=5", "--corpus", corpus, "--out", tmp_path / "run"]
    code, _, err = run(TORCHRUN, "-m", "arasuji", *words)
    assert code != 0
    assert "error: batch_size 5 cannot be shared among 2 processes: say a multiple of 2" in err
    assert not (tmp_path / "run").exists()
