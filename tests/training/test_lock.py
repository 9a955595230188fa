"""Two trainings never write one run folder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tiny_presets import small

from arasuji import api
from arasuji.errors import OptionError, RunError

pytestmark = pytest.mark.slow


def test_a_second_training_of_a_run_is_refused_at_once_and_a_killed_ones_lock_is_taken_over(corpus, tmp_path):
    out = tmp_path / "run"
    first = api.train_events(small("ngram"), corpus, out, max_steps=3)
    next(first)
    with pytest.raises(RunError, match=rf"another training writes .* now \(process {os.getpid()} on .+\); wait for it"):
        next(api.train_events(small("ngram"), corpus, out, resume=True))
    first.close()
    hold = f"from filelock import FileLock; import os; FileLock({str(out / '.lock')!r}).acquire(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", hold], check=False).returncode == 9
    assert list(api.train_events(small("ngram"), corpus, out, resume=True, max_steps=3))


def test_of_two_that_begin_one_run_at_once_the_second_is_refused(corpus, tmp_path):
    first, second = (api.train_events(small("ngram"), corpus, tmp_path / "run", max_steps=2) for _ in range(2))
    next(first)
    with pytest.raises(RunError):
        next(second)


def test_a_second_training_is_refused_before_it_reads_anything(tmp_path, corpus):
    first = api.train_events(small("ngram"), corpus, tmp_path / "run", max_steps=2)
    next(first)
    command = [sys.executable, "-m", "arasuji", "train", "ngram", "--corpus", "nowhere", "--out", tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "another training writes" in done.stderr
    first.close()


def test_folders_that_were_made_for_a_run_that_is_refused_go_again(corpus, tmp_path):
    with pytest.raises(OptionError, match="batch_size"):
        next(api.train_events(small("lstm-article", "batch_size=10000000"), corpus, tmp_path / "deep" / "er" / "run"))
    assert list(tmp_path.iterdir()) == []
