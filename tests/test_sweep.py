"""A sweep tries what it was asked to try, judges all settings alike, and leaves in the run what it has chosen."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import api
from arasuji.cli import sweep as command
from arasuji.config import SamplingConfig
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError
from arasuji.reports.sweep import label, sweep_page, verdict
from arasuji.runs import RunDirectory, sampling_of
from arasuji.tuning.grid import choices_of, grid_of
from arasuji.tuning.sweep import copies_more, repeats_more, sweep

pytestmark = pytest.mark.slow

ASKED = ["temperature=0.01|1", "top_k=0", "top_p=1", "min_p=0"]
SAMPLES = 40


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "starter"
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as starter:
        api.prepare(starter, folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where texts and readings are kept, for these tests alone."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARASUJI_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def reader(corpus, home, tmp_path_factory) -> Path:
    """A base model that has learnt little, with a small vocabulary, so that it reads fast."""
    folder = tmp_path_factory.mktemp("runs") / "mini"
    small = ["size=300", "layers=4", "heads=2", "width=16", "context_length=256", "train.max_length=64"]
    api.train("gpt2-mini", corpus, folder, max_steps=5, settings=[*small, "validation_documents=4"])
    return folder / "best"


@pytest.fixture(scope="module")
def run(corpus, home, tmp_path_factory) -> Path:
    """An n-gram model that writes 160 tokens or more. Not to be changed but by `swept`."""
    folder = tmp_path_factory.mktemp("runs") / "ngram"
    settings = [
        "size=400",
        "validation_documents=4",
        "sampling.min_length=160",
        "sampling.max_length=200",
        "sampling.top_p=0.9",
    ]
    api.train("ngram", corpus, folder, max_steps=20, settings=settings)
    return folder


@pytest.fixture(scope="module")
def swept(run, reader) -> api.Sweep:
    return api.sweep(run, ASKED, SAMPLES, reader=reader)


def test_every_setting_of_the_grid_is_tried_once_beside_the_one_that_the_run_had(swept):
    tried = [(one.sampling.temperature, one.sampling.top_p) for one in swept.tried]
    assert sorted(tried) == [(0.01, 1.0), (1.0, 0.9), (1.0, 1.0)]
    assert swept.before.sampling == swept.now
    assert swept.before.stage == 2


def test_a_setting_that_writes_one_text_again_and_again_is_told_from_real_texts_and_not_chosen(swept):
    cold = next(one for one in swept.tried if one.sampling.temperature == 0.01)
    assert cold is not swept.best
    assert cold.judge is None or cold.judge.auroc > swept.best.judge.auroc


def test_the_second_look_has_four_times_as_many_texts_and_all_settings_of_a_look_are_judged_by_as_many(swept):
    first, second = swept.stages
    assert 3 * first.texts <= second.texts <= 4 * SAMPLES
    for one in swept.tried:
        if one.judge:
            assert one.judge.texts == pytest.approx(swept.stages[one.stage - 1].judged, abs=1)


def test_the_run_writes_with_the_chosen_settings_and_keeps_its_lengths(run, swept):
    assert tomllib.loads((run / "sampling.toml").read_text()) == swept.chosen
    assert swept.chosen.keys() == {"temperature", "top_k", "top_p", "min_p"}
    assert sampling_of(str(run)) == api.load(run).sampling == swept.best.sampling
    assert swept.best.sampling.max_length == 200
    assert RunDirectory(run).facts.experiment.sampling == swept.now


def test_settings_that_were_edited_before_a_sweep_and_tried_with_it_stay(run, reader, swept, tmp_path):
    shutil.copytree(run, tmp_path / "edited")
    (tmp_path / "edited/sampling.toml").write_text("no_repeat_ngram_size = 50\nmax_length = 199\ntop_p = 0.9\n")
    again = api.sweep(tmp_path / "edited", ASKED, SAMPLES, reader=reader)
    assert (again.best.sampling.no_repeat_ngram_size, again.best.sampling.max_length) == (50, 199)
    assert sampling_of(str(tmp_path / "edited")) == again.best.sampling


def test_the_same_sweep_again_opens_no_model_needs_no_test_split_and_finds_the_same(
    run, corpus, swept, reader, monkeypatch
):
    (run / "sampling.toml").unlink()
    monkeypatch.setattr("arasuji.tuning.sweep.open_model", None)
    monkeypatch.setattr("arasuji.evaluation.reader.open_model", None)
    untested = replace(Corpus.load(corpus), test=None)  # type: ignore[arg-type]
    again = sweep(run, corpus, untested, choices_of(ASKED), SAMPLES, 0, str(reader), lambda what, done, total: None)
    assert again == swept
    assert (run / "sampling.toml").exists()


def test_a_setting_that_copies_or_repeats_more_than_real_texts_comes_after_all_that_do_not(swept):
    fine = swept.best.model_copy(update={"copies": False, "repeats": False})
    for fault in ("copies", "repeats"):
        faulty = swept.best.model_copy(update={"copies": False, "repeats": False, fault: True})
        assert fine.rank < faulty.rank


def test_the_table_has_every_setting_in_80_columns_and_the_command_to_go_on_with(swept, run, capsys):
    command._show(swept, "runs/mine")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for one in swept.tried:
        assert f"\n {label(swept, one.sampling)} " in shown
    assert shown.count("real texts ") >= 2
    assert "arasuji generate runs/mine" in shown


def test_the_page_says_the_finding_and_has_every_setting(swept):
    page = sweep_page(swept)
    assert f"{label(swept, swept.best.sampling)} are the hardest to tell" in page
    assert page.count("<svg") == 1
    assert f"of the {sum(one.stage == 2 for one in swept.tried) - 1} other settings of the second stage" in page
    for one in swept.tried:
        assert label(swept, one.sampling) in page


NOW = SamplingConfig(max_length=50, repetition_penalty=1.1, top_p=0.99)


def test_the_grid_without_settings_has_every_temperature_with_one_cut_at_a_time():
    grid = grid_of(NOW, choices_of([]))
    assert grid[0] == NOW
    assert len(grid) == 1 + 24
    assert all((one.top_k > 0) + (one.top_p < 1) + (one.min_p > 0) <= 1 for one in grid)
    assert {one.temperature for one in grid} == {0.7, 0.8, 0.9, 1.0}
    assert all((one.max_length, one.repetition_penalty) == (50, 1.1) for one in grid)


def test_a_named_cut_is_tried_with_others_only_where_all_choices_have_both():
    fixed = grid_of(NOW, choices_of(["top_k=30"]))
    assert {(one.top_k, one.top_p, one.min_p) for one in fixed[1:]} == {(30, 1.0, 0.0)}
    both = grid_of(NOW, choices_of(["top_k=30", "top_p=0.8|0.9"]))
    assert {(one.top_k, one.top_p, one.min_p) for one in both[1:]} == {(30, 0.8, 0.0), (30, 0.9, 0.0)}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("temperature=0.1..1", "a grid has choices"),
        ("max_length=10|20", "does not change lengths"),
        ("temprature=1|2", "did you mean 'temperature'"),
        ("top_p=0.5|2", "top_p"),
        ("top_p=0.5|", "not be empty"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line_and_nothing_is_written(run, swept, setting, said):
    before = (run / "sampling.toml").read_text()
    with pytest.raises(OptionError, match=said) as caught:
        api.sweep(run, setting)
    assert "\n" not in str(caught.value)
    assert (run / "sampling.toml").read_text() == before


def test_a_base_model_and_too_few_texts_are_refused(run, reader):
    with pytest.raises(OptionError, match="no run folder"):
        api.sweep(reader)
    with pytest.raises(OptionError, match="at least 40"):
        api.sweep(run, samples=39)


def test_too_few_groups_for_a_judge_are_refused_before_anything_is_written(run, corpus, reader):
    loaded = Corpus.load(corpus)
    one = [replace(record, group="a series") for record in loaded.validation]
    with pytest.raises(OptionError, match=r"groups of validation texts.* has 1:"):
        sweep(run, corpus, replace(loaded, validation=one), choices_of(ASKED), 40, 0, str(reader), lambda *_: None)


def test_a_higher_temperature_is_chosen_with_the_advice_to_read_some_texts(swept):
    def said(now, best):
        other = swept.model_copy(deep=True, update={"now": swept.now.model_copy(update={"temperature": now})})
        other.best.sampling = other.best.sampling.model_copy(update={"temperature": best})
        before = other.tried[1].model_copy(update={"sampling": other.now, "stage": 2})
        return " ".join(verdict(other.model_copy(update={"tried": [other.best, before]})))

    assert "Read some" in said(0.8, 1.0)
    assert "Read some" not in said(1.0, 0.8)


def test_intervals_meet_only_where_neither_lies_below_the_other(swept):
    def with_judge(low, high, stage=2, **more):
        tried = swept.best.model_copy(deep=True, update={"stage": stage, **more})
        tried.figures.samples.judge = tried.judge.model_copy(update={"auroc_low": low, "auroc_high": high})
        return tried

    best = with_judge(0.6, 0.7, sampling=swept.now)
    others = [with_judge(0.4, 0.5, copies=True), with_judge(0.55, 0.65), with_judge(0.8, 0.9)]
    said = " ".join(verdict(swept.model_copy(update={"tried": [best, *others]})))
    assert "meets those of 1 of the 3 other settings" in said


def test_settings_may_be_edited_and_those_that_are_none_are_one_line(run, swept, tmp_path):
    file, before = run / "sampling.toml", (run / "sampling.toml").read_text()
    try:
        file.write_text("temperature = 0.5\nmax_length = 170\n")
        assert (sampling_of(str(run)).temperature, sampling_of(str(run)).max_length) == (0.5, 170)
        for content in ("temperature = -1", "temprature = 1", "x = [", "\x00", "max_length = 1\nmin_length = 2"):
            file.write_text(content)
            with pytest.raises(RunError, match="or delete it") as caught:
                api.load(run)
            assert "\n" not in str(caught.value)
        file.write_text("#" * 2**21)
        with pytest.raises(RunError, match="larger than"):
            sampling_of(str(run))
        file.unlink()
        (tmp_path / "outside.toml").write_text("temperature = 0.5")
        file.symlink_to(tmp_path / "outside.toml")
        with pytest.raises(RunError):
            sampling_of(str(run))
        with pytest.raises(RunError, match="link"):
            RunDirectory(run).save_sampling({"temperature": 1.0}, "")
        assert (tmp_path / "outside.toml").read_text() == "temperature = 0.5"
        file.unlink()
        assert sampling_of(str(run)) == swept.now
    finally:
        file.unlink(missing_ok=True)
        file.write_text(before)


def test_repetition_is_more_than_that_of_real_texts_only_beyond_chance():
    assert not repeats_more([0.0] * 399 + [1.0], [0.0] * 400)
    assert repeats_more([0.0] * 390 + [1.0] * 10, [0.0] * 400)
    assert not repeats_more([1.0] * 5, [0.0] * 400)
    assert not repeats_more([0.0] * 50, [0.1, 0.2] * 25)
    assert not repeats_more([0.0] * 50, [0.0] * 50)


def test_copies_are_more_than_those_of_real_texts_only_beyond_chance():
    assert copies_more(7, 100, 3, 600)
    assert not copies_more(1, 400, 0, 400)
    assert not copies_more(5, 96, 0, 16)  # none of few real ones says little
    assert not copies_more(0, 400, 4, 400)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_equal_shares_of_copies_are_never_more(own, times):
    assert not copies_more(own, 60, own * times, 60 * times)
