"""A search tries what it was asked to try, keeps what it has found, and goes on after a kill as if nothing was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import api
from arasuji.cli import tune as command
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError, StorageError, TrainingError
from arasuji.runs import RunDirectory
from arasuji.teaching.lesson import Taught
from arasuji.training.loop import Stepped
from arasuji.training.work import Work
from arasuji.tuning import TrialStarted
from arasuji.tuning import search as loop
from arasuji.tuning.preset import as_toml
from arasuji.tuning.shown import show
from arasuji.tuning.space import Choices, Range, read_space
from arasuji.tuning.study import COMPLETE_FIRST

pytestmark = pytest.mark.slow

TINY = ["size=300", "batch_size=4", "validation_documents=2", "sampling.max_length=2", "checkpoint_steps=1"]
ASKED = ["discount=0.2..0.9", "order=1|2|3", *TINY]
TRIALS, STEPS = 6, 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines(keepends=True)
    (folder / "few.jsonl").write_text("".join(lines[:30]), "utf-8")
    api.prepare(folder / "few.jsonl", folder / "few")
    return folder / "few"


@pytest.fixture(scope="module")
def searched(corpus, tmp_path_factory) -> tuple[Path, api.Search]:
    """A search that was not disturbed, on a corpus whose test split cannot be read. Not to be changed."""
    out = tmp_path_factory.mktemp("searches") / "plain"
    untested = replace(Corpus.load(corpus), test=None)  # type: ignore[arg-type]
    return out, api.tune("ngram", untested, out, ASKED, TRIALS, max_steps=STEPS)


def test_a_search_tries_only_what_it_was_asked_to_and_the_best_trial_has_the_fewest_bits(searched):
    found = searched[1]
    assert [trial.number for trial in found.trials] == list(range(1, TRIALS + 1))
    assert all(0.2 <= trial.values["discount"] <= 0.9 for trial in found.trials)
    assert {trial.values["order"] for trial in found.trials} <= {"1", "2", "3"}
    assert found.best.bits_per_byte == min(trial.bits_per_byte for trial in found.trials)
    assert found.ended == "the last trial"


def test_a_trial_that_does_worse_than_the_others_ends_early(searched):
    pruned = [trial for trial in searched[1].trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.steps < STEPS and trial.number > COMPLETE_FIRST for trial in pruned)


def test_every_trial_stays_as_a_run_and_the_best_one_alone_with_its_weights(searched):
    out, found = searched
    for trial in found.trials:
        kept = api.RunDirectory(out / trial.run)
        assert len(kept.history()) == trial.steps
        assert (kept.path / "best").exists() == (kept.path / "last").exists() == (trial is found.best)
    assert not [
        path for path in out.rglob("*") if path.name.startswith(".") or path.suffix in (".tmp", ".new", ".lock")
    ]
    assert api.load(out / found.best.run).facts["bits_per_byte"] == found.best.bits_per_byte


def test_the_best_preset_is_that_of_the_best_trial_and_trains(searched, corpus, tmp_path):
    out, found = searched
    assert api.experiment(out / "best.toml") == api.RunDirectory(out / found.best.run).facts.experiment
    again = api.train(out / "best.toml", corpus, tmp_path / "run", max_steps=STEPS)
    assert min(line.get("bits_per_byte", 9.0) for line in again.history()) == found.best.bits_per_byte


def test_a_killed_search_goes_on_to_what_an_undisturbed_one_finds(searched, corpus, tmp_path):
    out = tmp_path / "out"
    asked = ["ngram", "--corpus", corpus, "--out", out, "--trials", TRIALS, "--max-steps", STEPS]
    words = [str(word) for word in [*asked, *(word for setting in ASKED for word in ("--set", setting))]]
    process = subprocess.Popen([sys.executable, "-m", "arasuji", "tune", *words], stderr=subprocess.DEVNULL)
    second = out / "trials" / "0002" / "metrics.jsonl"
    until = time.monotonic() + 120
    while not second.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.002)
    process.kill()
    process.wait()
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"op_code":')  # as a kill in the middle of a line leaves it
    found = api.tune("ngram", corpus, out, ASKED, TRIALS, max_steps=STEPS)
    what = [[(t.number, t.values, t.state, t.bits_per_byte, t.steps) for t in s.trials] for s in (found, searched[1])]
    assert what[0] == what[1]
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("number", [2, TRIALS - 1, TRIALS])
def test_a_search_that_was_stopped_within_a_trial_goes_on_to_what_an_undisturbed_one_finds(
    number, searched, corpus, tmp_path
):
    stop, trial = [], 0
    limits = {"max_steps": STEPS, "should_stop": lambda: "enough" if stop else ""}
    for event in api.tune_events("ngram", corpus, tmp_path, ASKED, TRIALS, **limits):
        trial = event.number if isinstance(event, TrialStarted) else trial
        if trial == number and isinstance(event, Stepped):
            stop.append(event.step)
    assert stop == [1]
    found = api.tune("ngram", corpus, tmp_path, ASKED, TRIALS, max_steps=STEPS)
    what = [[(t.number, t.values, t.state, t.bits_per_byte, t.steps) for t in s.trials] for s in (found, searched[1])]
    assert what[0] == what[1]


def test_the_best_preset_has_the_size_that_was_scored(corpus, tmp_path):
    tiny = ["size=300", "embedding=16", "batch_size=4", "validation_documents=2", "epochs=1", "learning_rate=1e-3|2e-3"]
    found = api.tune("lstm-ngram", corpus, tmp_path / "out", tiny, 2, max_steps=2)
    best, kept = api.experiment(tmp_path / "out/best.toml"), RunDirectory(tmp_path / "out" / found.best.run)
    assert not best.sizes
    assert best == kept.facts.experiment


def test_a_search_that_is_stopped_keeps_its_trial_for_later_and_more_trials_may_be_asked_for(corpus, tmp_path):
    def go(trials: int, stop: str = "", max_minutes: float | None = None) -> api.Search:
        limits = {"max_steps": STEPS, "max_minutes": max_minutes}
        *_, found = api.tune_events("ngram", corpus, tmp_path, ASKED, trials, **limits, should_stop=lambda: stop)
        return found

    assert go(1, "stopped by Ctrl-C").ended == "stopped by Ctrl-C"
    assert go(1, max_minutes=0.01).ended == loop.TIME_OVER
    assert not (tmp_path / "best.toml").exists()
    found = go(1)
    assert len(found.trials) == 1
    assert len(api.RunDirectory(tmp_path / found.best.run).history()) == STEPS
    assert len(go(2).trials) == 2


def test_two_searches_of_one_folder_are_refused(corpus, tmp_path):
    first, second = (api.tune_events("ngram", corpus, tmp_path / "out", ASKED, 2, max_steps=STEPS) for _ in range(2))
    next(first)
    with pytest.raises(RunError, match="now"):
        next(second)
    first.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": [*ASKED[1:], "discount=0.1..0.9"]}, "space"),
        ({"max_steps": STEPS + 1}, f"max_steps = {STEPS}, and now it is {STEPS + 1}"),
        ({"seed": 3}, "seed = 0, and now it is 3"),
        ({"keep": True}, "keep = false, and now it is true"),
    ],
)
def test_a_search_is_not_continued_as_another_one(searched, corpus, changed, said):
    asked = {"settings": ASKED, "max_steps": STEPS} | changed
    with pytest.raises(RunError, match=said) as caught:
        api.tune("ngram", corpus, searched[0], trials=TRIALS, **asked)
    assert "\n" not in str(caught.value)


def test_a_damaged_journal_another_folder_and_a_link_are_refused_and_left_alone(searched, corpus, tmp_path):
    def refused(out: Path, said: str) -> None:
        with pytest.raises(RunError, match=said):
            api.tune("ngram", corpus, out, ASKED, TRIALS, max_steps=STEPS)

    damaged, linked = tmp_path / "damaged", tmp_path / "linked"
    shutil.copytree(searched[0], damaged)
    (damaged / "journal.jsonl").write_text("[1]\n[2]\n")
    refused(damaged, "journal.jsonl cannot be read")
    refused(corpus, "holds no search")
    shutil.copytree(searched[0], linked)
    best = searched[1].best.run
    other = next(trial.run for trial in searched[1].trials if trial.run != best)
    shutil.rmtree(linked / other)
    (linked / other).symlink_to(searched[0] / best)
    refused(linked, "is a link")
    assert (searched[0] / best / "best").exists()


@pytest.mark.parametrize("leads_to", ["diary.txt", "nowhere"])
def test_the_best_values_are_not_written_through_a_link(searched, corpus, tmp_path, leads_to):
    out, diary = tmp_path / "out", tmp_path / "diary.txt"
    shutil.copytree(searched[0], out)
    diary.write_text("keep")
    (out / "best.toml").unlink()
    (out / "best.toml").symlink_to(tmp_path / leads_to)
    with pytest.raises(StorageError, match=r"best\.toml: it is a link, and is left alone"):
        api.tune("ngram", corpus, out, ASKED, TRIALS, max_steps=STEPS)
    assert diary.read_text() == "keep"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("discont=0.1..0.9", "did you mean 'discount'"),
        ("discount=0.5..1.5", "less than 1"),
        ("order=1..4.5", "order"),
        ("order=3..1", "a range goes from a number to a larger one"),
        ("discount=0.1..inf", "a range goes from"),
        ("discount=0.1..x", "nothing is searched"),
        ("train.optimizer=adam|sgd", "'sgd'"),
        ("train.optimizer=adam||adamw", "not be empty"),
        ("teaching.teacher=one|another", "all trials have one teacher"),
        ("order=3", "nothing is searched"),
        ("validation_documents=2..9", "changes which texts are scored"),
        ("top_k=5|50", "changes how texts are written"),
        ("family=lstm|ngram", "another family"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line_before_anything_is_made(corpus, tmp_path, setting, said):
    with pytest.raises(OptionError, match=said) as caught:
        api.tune("ngram", corpus, tmp_path / "out", ["size=300", setting], 2, max_steps=2)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_options_that_change_what_a_tokenizer_leaves_out_are_not_compared(corpus, tmp_path):
    with pytest.raises(OptionError, match="leaves out"):
        api.tune("lstm-article", corpus, tmp_path / "out", "min_count=1..3", 2)


@pytest.mark.parametrize("numbers", [{"trials": 0}, {"minutes": -1}, {"seed": -1}, {"minutes": 2, "max_minutes": 1}])
def test_numbers_out_of_range_are_refused(corpus, tmp_path, numbers):
    with pytest.raises(OptionError):
        api.tune("ngram", corpus, tmp_path / "out", ASKED, **{"trials": 2, **numbers})


def test_a_trial_that_cannot_be_trained_is_kept_as_failed_and_the_search_ends_when_all_was_tried(
    corpus, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "DRAWS", 10)
    small = ["size=300", "embedding=8", "hidden=8", "tie_weights=false", "train.max_length=8", "sampling.max_length=2"]
    found = api.tune("lstm-small", corpus, tmp_path / "a", [*small, "batch_size=2|999999999"], 5, max_steps=1)
    assert sorted(trial.state for trial in found.trials) == ["complete", "failed"]
    assert found.best.values == {"batch_size": "2"}
    assert "were not tried" in found.ended
    with pytest.raises(TrainingError, match="batch_size"):
        api.tune("lstm-small", corpus, tmp_path / "b", [*small, "batch_size=999999998|999999999"], 1)


def test_a_trial_whose_model_finds_no_memory_has_failed_and_the_search_goes_on(corpus, tmp_path, monkeypatch):
    build = Work.build

    def built(chosen, *others):
        if chosen.model["hidden"] == 9:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return build(chosen, *others)

    monkeypatch.setattr(Work, "build", built)
    small = ["size=300", "embedding=8", "tie_weights=false", "train.max_length=8", "sampling.max_length=2"]
    found = api.tune("lstm-small", corpus, tmp_path / "a", [*small, "hidden=8|9"], 2, max_steps=1)
    assert {trial.values["hidden"]: trial.state for trial in found.trials} == {"8": "complete", "9": "failed"}
    assert "memory" in next(trial.reason for trial in found.trials if trial.state == "failed")


def test_the_best_preset_is_written_again_where_a_kill_has_left_none(searched, corpus, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(searched[0], out)
    before = (out / "best.toml").read_text("utf-8")
    for left in ("", "# of an earlier trial"):
        (out / "best.toml").write_text(left)
        api.tune("ngram", corpus, out, ASKED, TRIALS, max_steps=STEPS)
        assert (out / "best.toml").read_text("utf-8") == before


def test_what_a_teacher_does_for_a_trial_is_shown(searched, capsys, monkeypatch):
    monkeypatch.setattr("arasuji.training.shown.PLAIN_SECONDS", 0)
    show([TrialStarted(1, 1, {}), *(Taught("reads", done, done / 100) for done in (0, 50, 100)), searched[1]])
    assert "teacher reads  50 texts, 50%" in capsys.readouterr().err


def test_a_search_is_shown_in_80_columns_as_json_and_on_a_page(searched, corpus, capsys):
    out, found = searched
    asked = {"corpus": corpus, "out": out, "set_": ASKED, "trials": TRIALS, "max_steps": STEPS}
    command.tune("ngram", **asked)
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines() if str(out) not in line) <= 80
    assert f"best       trial {found.best.number}: {found.best.bits_per_byte:.3f} bits per byte" in shown
    page = (out / "search.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert f"The best trial has order = {found.best.values['order']}" in page
    command.tune("ngram", **asked, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["best"] == found.best.number
    assert printed["trials"] == found.model_dump(mode="json")["trials"]


def test_a_list_or_a_text_in_quotation_marks_is_one_value():
    space = read_space(["cutoffs=[2000,10000]", 'format="{title} | {genres}"', "base=../model", "hidden=64..640"])
    assert space.fixed == ["cutoffs=[2000,10000]", 'format="{title} | {genres}"', "base=../model"]
    assert space.searched == {"hidden": Range(low=64, high=640)}
    assert str(space.searched["hidden"]) == "whole numbers from 64 to 640, on a logarithmic scale"
    assert read_space(["cutoffs=[1,2]|[3]"]).searched["cutoffs"] == Choices(choices=["[1,2]", "[3]"])


@settings(max_examples=50)
@given(st.lists(st.text(st.sampled_from("ab=.|1-e_[], \"'0"), max_size=12) | st.text(max_size=8), max_size=3))
def test_whatever_is_asked_is_read_or_refused(asked):
    try:
        space = read_space(asked)
    except OptionError:
        return
    assert len(space.fixed) + len(space.searched) == len(asked)


SCALARS = st.text() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=50)
@given(SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))
def test_every_option_of_an_experiment_is_read_back_from_its_toml(value):
    made = api.experiment("ngram").model_copy(update={"model": {"option": value}})
    assert tomllib.loads(as_toml(made, "of a\nsearch"))["model"] == {"option": value}


def test_without_optuna_one_line_says_how_to_get_it(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"pip install 'arasuji\[tune\]'"):
        api.tune("ngram", corpus, tmp_path / "out", ASKED, 2)
