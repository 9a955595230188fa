"""A resumed run equals an undisturbed one, bit for bit, however it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from tiny_presets import STEPS, TINY, settings, small

from arasuji import api, device, folders
from arasuji.errors import OptionError, RunError, TrainingError
from arasuji.runs import RunDirectory
from arasuji.training.loop import Saved, Stepped, Stopped

pytestmark = pytest.mark.slow


def train(name, corpus, out, **options):
    return api.train_events(small(name), corpus, out, max_steps=options.pop("max_steps", STEPS), **options)


def outcome(run):
    """All that must be equal: what was learnt, the optimizer, the generators, and the log without its clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    folder, _ = folders.open_folder(run / "last")
    tensors = load_file(folder / "state.safetensors")
    return {n: t.reshape(-1).view(torch.uint8).numpy().tobytes() for n, t in tensors.items()}, lines


@pytest.fixture(scope="module", params=TINY)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def whole(name, corpus, tmp_path_factory):
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / name
    list(train(name, corpus, folder))
    return folder


def test_a_run_that_is_killed_and_resumed_equals_an_undisturbed_one(name, whole, corpus, tmp_path):
    for event in (events := train(name, corpus, tmp_path / "broken")):
        if isinstance(event, Stepped) and event.step == 8:  # beyond the checkpoint of step 5
            events.close()
            break
    resumed = list(train(name, corpus, tmp_path / "broken", resume=True))
    assert resumed[0].resumed_step == 5
    assert outcome(tmp_path / "broken") == outcome(whole)


def test_a_run_that_is_stopped_politely_and_resumed_equals_an_undisturbed_one(name, whole, corpus, tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return "enough" if len(asked) == 7 else ""

    first = list(train(name, corpus, tmp_path / "stopped", should_stop=stop))
    assert first[-1].reason == "enough"
    assert first[-1].progress.step == 7
    list(train(name, corpus, tmp_path / "stopped", resume=True))
    assert outcome(tmp_path / "stopped") == outcome(whole)


def test_a_stopped_run_leaves_a_validated_model_that_opens(corpus, tmp_path):
    list(train("lstm-small", corpus, tmp_path / "run", should_stop=lambda: "at once"))
    assert api.load(tmp_path / "run").facts["step"] == 1


def test_a_run_can_be_read_by_all_whom_the_umask_lets(corpus, tmp_path):
    list(train("lstm-small", corpus, tmp_path / "run", max_steps=1))
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and "tensorboard" not in path.parts]
    assert {path.stat().st_mode for path in written} == {(tmp_path / "run/metrics.jsonl").stat().st_mode}


def test_resuming_a_finished_run_changes_nothing(corpus, tmp_path):
    list(train("lstm-small", corpus, tmp_path / "run"))
    before = outcome(tmp_path / "run")
    events = list(train("lstm-small", corpus, tmp_path / "run", resume=True))
    assert not [e for e in events if isinstance(e, Stepped)]
    assert isinstance(events[-1], Stopped)
    assert outcome(tmp_path / "run") == before


def test_a_run_killed_before_its_first_checkpoint_starts_over(corpus, tmp_path):
    list(train("lstm-small", corpus, tmp_path / "whole"))
    for event in (events := train("lstm-small", corpus, tmp_path / "broken")):
        if isinstance(event, Stepped) and event.step == 3:
            events.close()
            break
    resumed = list(train("lstm-small", corpus, tmp_path / "broken", resume=True))
    assert resumed[0].resumed_step == 0
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


def test_an_existing_run_is_refused_without_resume(corpus, tmp_path):
    list(train("ngram", corpus, tmp_path / "run", max_steps=1))
    with pytest.raises(RunError, match="--resume"):
        next(train("ngram", corpus, tmp_path / "run"))


def test_a_checkpoint_that_was_tampered_with_is_refused(corpus, tmp_path):
    list(train("lstm-small", corpus, tmp_path / "run", max_steps=2))
    state = tmp_path / "run/last/state.json"
    state.write_text(state.read_text().replace("0", "1"))
    with pytest.raises(RunError, match="damaged"):
        next(train("lstm-small", corpus, tmp_path / "run", resume=True))


def test_a_kill_right_after_a_checkpoint_loses_no_line_of_the_log(corpus, tmp_path, monkeypatch):
    list(train("lstm-small", corpus, tmp_path / "whole"))
    save_last = RunDirectory.save_last

    def killed(self, tensors, state):
        save_last(self, tensors, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "save_last", killed)
        with pytest.raises(KeyboardInterrupt):
            list(train("lstm-small", corpus, tmp_path / "broken"))
    resumed = list(train("lstm-small", corpus, tmp_path / "broken", resume=True))
    assert resumed[0].resumed_step == 5
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


@pytest.mark.slow
def test_a_real_kill_between_checkpoints_is_survived(corpus, tmp_path):
    list(train("lstm-article", corpus, tmp_path / "whole", max_steps=60))
    command = [sys.executable, "-m", "arasuji", "train", "lstm-article", "--corpus", str(corpus),
               "--out", str(tmp_path / "run"), "--max-steps", "60"]  # fmt: skip
    command += [part for setting in settings("lstm-article") for part in ("--set", setting)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": threads()})
    while not (tmp_path / "run/last/manifest.json").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    events = list(train("lstm-article", corpus, tmp_path / "run", max_steps=60, resume=True))
    assert events[0].resumed_step >= 5
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".")], "no litter"


def threads():
    """The promise holds for the same number of threads."""
    return str(torch.get_num_threads())


def test_checkpoints_are_written_by_the_step_where_asked(corpus, tmp_path):
    saved = [e.step for e in train("lstm-small", corpus, tmp_path / "run") if isinstance(e, Saved)]
    assert saved == [5, 10, STEPS]


def test_a_line_of_the_log_that_a_kill_cut_short_is_dropped_and_strange_line_ends_stay(tmp_path):
    run = RunDirectory(tmp_path)
    text = "one\u2028text"
    run.log(run.samples, {"step": 1, "text": text})
    with run.samples.open("ab") as file:
        file.write('{"step": 1, "text": "é'.encode()[:-1])
    run.rewind(1)
    assert [json.loads(line)["text"] for line in run.samples.read_text("utf-8").split("\n") if line] == [text]


def test_every_line_of_the_log_has_step_tokens_and_loss(corpus, tmp_path):
    list(train("lstm-small", corpus, tmp_path / "run", should_stop=lambda: "at once"))
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert all({"step", "tokens", "loss"} <= line.keys() for line in lines)
    assert "bits_per_byte" in lines[-1]


def test_another_end_may_be_asked_for_on_resume(corpus, tmp_path):
    list(train("lstm-article", corpus, tmp_path / "whole"))
    list(train("lstm-article", corpus, tmp_path / "longer", max_steps=6))
    list(train("lstm-article", corpus, tmp_path / "longer", max_steps=STEPS, resume=True))
    assert outcome(tmp_path / "longer")[0] == outcome(tmp_path / "whole")[0]


def test_a_loss_that_is_no_number_stops_the_run_in_words(corpus, tmp_path):
    chosen = api.experiment("gpt2-mini", [*TINY["gpt2-mini"], "learning_rate=1e30", "clip_norm=0"])
    with pytest.raises(TrainingError, match="learning_rate"):
        list(api.train_events(chosen, corpus, tmp_path / "run", max_steps=30))


def test_two_runs_of_different_precision_fit_in_one_process(corpus, tmp_path):
    for run, precision in (("first", "bf16" if device.has_bf16() else "fp32"), ("second", "fp32")):
        chosen = api.experiment("lstm-small", [*TINY["lstm-small"], f"precision={precision}"])
        started = next(api.train_events(chosen, corpus, tmp_path / run, max_steps=1))
        assert started.precision == precision


def test_a_batch_larger_than_the_corpus_is_refused_and_nothing_is_left(corpus, tmp_path):
    chosen = api.experiment("lstm-article", [*TINY["lstm-article"], "batch_size=10000000"])
    with pytest.raises(OptionError, match="batch_size"):
        list(api.train_events(chosen, corpus, tmp_path / "run", max_steps=1))
