"""With tensorboard installed, a run folder shows in it what the run's own logs say; without it nothing changes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from importlib import resources
from itertools import pairwise

import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from arasuji import api
from arasuji.training.loop import Stepped

pytestmark = pytest.mark.slow

TINY = ("size=300", "embedding=16", "hidden=16", "layers=1", "batch_size=4", "validation_documents=4",
        "train.max_length=40", "sampling.max_length=12", "checkpoint_steps=5", "validations=15")  # fmt: skip
"""Settings that make lstm-small a matter of a second, with a validation every third step."""
STEPS = 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "starter"
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        api.prepare([source], folder)
    return folder


def train(corpus, out, max_steps=STEPS, **options):
    return api.train_events(api.experiment("lstm-small", TINY), corpus, out, max_steps=max_steps, **options)


def shown(run):
    """What TensorBoard's own reader finds: the values of each tag by step, none of them twice."""
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    points: dict[str, dict] = {}
    for tag in board.Tags()["tensors"]:
        events = board.Tensors(tag)
        points[tag] = {event.step: make_ndarray(event.tensor_proto).reshape(-1)[0] for event in events}
        assert len(points[tag]) == len(events), f"{tag} has a step twice"
    return points


def logged(run, file, key):
    lines = [json.loads(line) for line in (run / file).read_text("utf-8").splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    list(train(corpus, folder))
    return folder


@pytest.mark.parametrize("figure", ["loss", "learning_rate", "bits_per_byte"])
def test_figures_are_those_of_the_runs_own_log(run, figure):
    assert shown(run)[figure] == pytest.approx(logged(run, "metrics.jsonl", figure), rel=1e-6)


def test_samples_are_those_of_the_runs_own_log(run):
    found = shown(run)
    lines = [json.loads(line) for line in (run / "samples.jsonl").read_text("utf-8").splitlines()]
    assert {line["prompt"] for line in lines} == {"", "After years", "A young man"}
    for line in lines:
        assert found[f"samples/{line['prompt'] or 'no prompt'}/text_summary"][line["step"]].decode() == line["text"]


def test_speed_is_tokens_over_seconds_and_never_counts_a_validation_or_a_checkpoint(corpus, tmp_path):
    events = list(train(corpus, tmp_path / "run"))
    pairs = [(a, b) for a, b in pairwise(events) if isinstance(a, Stepped)]
    rates = {b.step: (b.tokens - a.tokens) / (b.seconds - a.seconds) for a, b in pairs if isinstance(b, Stepped)}
    assert 3 <= len(rates) < STEPS - 1
    assert shown(tmp_path / "run")["tokens_per_second"] == pytest.approx(rates, rel=1e-6)


def another_second():
    """TensorBoard reads event files in the order of the second that is in their names."""
    time.sleep(1.1)


def test_a_killed_and_resumed_run_shows_every_step_once_as_an_undisturbed_one_does(corpus, run, tmp_path):
    for event in (events := train(corpus, tmp_path / "run")):
        if isinstance(event, Stepped) and event.step == 8:  # beyond the checkpoint of step 5
            events.close()
            break
    assert list(shown(tmp_path / "run")["loss"]) == list(range(1, 9))
    another_second()
    list(train(corpus, tmp_path / "run", resume=True))
    again, whole = shown(tmp_path / "run"), shown(run)
    again.pop("tokens_per_second"), whole.pop("tokens_per_second")
    assert again == whole


def test_resuming_a_run_that_has_nothing_left_to_do_writes_nothing(corpus, tmp_path):
    list(train(corpus, tmp_path / "run", should_stop=lambda: "at once"))  # validated out of turn, at step 1
    before = shown(tmp_path / "run")
    assert list(before["bits_per_byte"]) == [1]
    another_second()
    list(train(corpus, tmp_path / "run", max_steps=1, resume=True))
    assert shown(tmp_path / "run") == before
    assert len(list((tmp_path / "run/tensorboard").iterdir())) == 1


def test_a_closed_run_leaves_no_writer_behind(corpus, tmp_path):
    threads = threading.active_count()
    events = train(corpus, tmp_path / "run")
    while not isinstance(next(events), Stepped):
        pass
    assert threading.active_count() == threads + 1
    events.close()
    assert threading.active_count() == threads


def test_where_tensorboard_is_not_installed_training_is_as_ever_and_leaves_no_folder(corpus, tmp_path):
    words = ["train", "lstm-small", "--corpus", str(corpus), "--out", str(tmp_path / "run"), "--max-steps", "2"]
    words += [word for setting in TINY for word in ("--set", setting)]
    code = (
        "import sys; sys.modules['tensorboard'] = None; sys.argv = ['arasuji', *sys.argv[1:]]\n"
        "import arasuji.cli; arasuji.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best", "last", "manifest.json", "metrics.jsonl", "samples.jsonl", "tokenizer"
    ]  # fmt: skip
