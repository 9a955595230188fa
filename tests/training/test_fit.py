"""A run has the largest model that reads enough tokens in its minutes, steps and epochs."""

from __future__ import annotations

import pytest

from arasuji import api
from arasuji.config import Experiment
from arasuji.errors import OptionError
from arasuji.runs import RunDirectory
from arasuji.training.events import Started

HIDDEN = {0: 8, 100: 16, 10**12: 64}
"""The hidden size for each number of tokens: the last one needs more than any test reads."""


@pytest.fixture
def preset(tmp_path):
    """An LSTM in three sizes, as a TOML file."""
    text = """
        family = "lstm"
        tokenizer = {name = "bpe", size = 300}
        model = {embedding = 8, hidden = 32, layers = 1}
        train = {layout = "stream", batch_size = 4, max_length = 20, epochs = 2}
    """
    for tokens, hidden in HIDDEN.items():
        text += f"\n[[sizes]]\ntokens = {tokens}\nmodel = {{hidden = {hidden}}}\ntrain = {{weight_decay = 0.5}}\n"
    (tmp_path / "sizes.toml").write_text(text)
    return tmp_path / "sizes.toml"


def first(preset, corpus, out, **options) -> Started:
    """The first event of a run, which is stopped after a step."""
    events = list(api.train_events(preset, corpus, out, should_stop=lambda: "enough", **options))
    assert isinstance(events[0], Started)
    return events[0]


def trained(out) -> Experiment:
    return RunDirectory(out).facts.experiment


def test_the_largest_size_that_reads_its_tokens_in_the_minutes_is_trained_and_said(preset, corpus, tmp_path):
    notes = first(preset, corpus, tmp_path / "run", max_minutes=1).notes
    assert (trained(tmp_path / "run").model["hidden"], trained(tmp_path / "run").train.weight_decay) == (16, 0.5)
    assert len(notes) == 1
    assert notes[0].startswith("size 2 of 3 for about ")
    assert notes[0].endswith(" tokens: hidden 16, weight_decay 0.5")


def test_the_smallest_size_is_trained_where_none_has_the_time(preset, corpus, tmp_path):
    preset.write_text(
        preset.read_text().replace("tokens = 0\n", f"tokens = {10**11}\n").replace("= 100\n", "= 10000000\n")
    )
    first(preset, corpus, tmp_path / "run", max_minutes=0.2)
    assert trained(tmp_path / "run").model["hidden"] == 16


def test_a_run_without_a_limit_of_time_is_of_the_size_that_its_epochs_are_enough_for(preset, corpus, tmp_path):
    assert len(first(preset, corpus, tmp_path / "run").notes) == 1
    assert trained(tmp_path / "run").model["hidden"] == 16
    preset.write_text(preset.read_text().replace("epochs = 2", f"epochs = {10**6}").replace(f"{10**12}", f"{10**8}"))
    first(preset, corpus, tmp_path / "long")
    assert trained(tmp_path / "long").model["hidden"] == 64


def test_a_limit_of_steps_counts_as_few_tokens(preset, corpus, tmp_path):
    first(preset, corpus, tmp_path / "run", max_steps=1)
    assert trained(tmp_path / "run").model["hidden"] == 8


@pytest.mark.parametrize("setting", ["hidden=24", "model.hidden=24", "weight_decay=0.1"])
def test_a_setting_of_what_a_size_decides_is_obeyed(setting, preset, corpus, tmp_path):
    assert first(preset, corpus, tmp_path / "run", max_minutes=1, settings=[setting]).notes == ()
    kept = trained(tmp_path / "run")
    assert kept.model["hidden"] == (24 if "hidden" in setting else 32)
    assert kept.train.weight_decay == (0.1 if "decay" in setting else 0.0)


def test_another_setting_leaves_the_sizes(preset, corpus, tmp_path):
    assert first(preset, corpus, tmp_path / "run", max_minutes=1, settings=["seed=3"]).notes
    assert trained(tmp_path / "run").model["hidden"] == 16


def test_a_run_of_a_size_is_continued_in_this_size(preset, corpus, tmp_path):
    first(preset, corpus, tmp_path / "run", max_minutes=1)
    for chosen in (preset, api.experiment(preset)):
        assert first(chosen, corpus, tmp_path / "run", max_minutes=1, resume=True).resumed_step >= 1
        assert trained(tmp_path / "run").model["hidden"] == 16
    with pytest.raises(OptionError, match=r"started with model\.hidden=16"):
        first(preset, corpus, tmp_path / "run", resume=True, settings=["hidden=8"])


def test_a_wrong_option_of_a_size_is_an_error_at_once(preset):
    preset.write_text(preset.read_text().replace("{hidden = 64}", "{hiden = 64}"))
    with pytest.raises(OptionError, match="unknown option 'hiden'; did you mean 'hidden'"):
        api.experiment(preset)
