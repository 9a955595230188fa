"""An experiment is read as it was meant, or refused in a line that names the option."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import api, models, tokenizers
from arasuji.config import Experiment, SamplingConfig, TokenizerConfig, TrainConfig, checked, preset_names
from arasuji.errors import OptionError

PROMISED = {"lstm-article", "lstm-small", "gpt2-article", "gpt2-mini", "pretrained-lora", "ngram"}
CONFIGS = [
    *(Experiment, TokenizerConfig, TrainConfig, SamplingConfig),
    *(models.family(name).Config for name in models.families()),
    *(tokenizers.kind(name).Config for name in tokenizers.names()),
]


def refused(preset: str, *changes: str) -> str:
    with pytest.raises(OptionError) as caught:
        api.experiment(preset, changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted({*PROMISED, *preset_names()}))
def test_every_promised_preset_is_an_experiment_that_describes_itself(name):
    made = api.experiment(name)
    assert made.description
    assert made.family in models.families()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_every_option_is_described(config):
    assert [name for name, field in config.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_every_default_keeps_its_own_range(config):
    defaults = {name: field.default for name, field in config.model_fields.items() if not field.is_required()}
    required = {"family": "lstm", "tokenizer": {"name": "bpe"}, "name": "bpe"}
    needed = {name: value for name, value in required.items() if name in config.model_fields}
    assert config(**{**defaults, **needed}).model_fields_set >= defaults.keys()


@pytest.mark.parametrize(
    ("preset", "change", "hint"),
    [
        ("lstm-smal", "", "'lstm-small'"),
        ("lstm-small", "learning_rat=1", "'learning_rate'"),
        ("lstm-small", "train.learning_rat=1", "'train.learning_rate'"),
        ("lstm-small", "hiden=1", "'hidden'"),
        ("lstm-small", "heads=2", "unknown option 'heads'"),  # another family's
        ("lstm-small", "train.hidden=2", "unknown option 'train.hidden'"),
        ("lstm-small", "bse=gpt2", "'base'"),
        ("lstm-small", "foo", "key=value"),
        ("lstm-small", "=3", "unknown option"),
        ("lstm-small", "max_length=30", "train.max_length or sampling.max_length"),
        ("lstm-small", "family=ngram", "TOML file"),
        ("lstm-small", " family=ngram", "unknown option"),
        ("lstm-small", "tokenizer.name=word", "TOML file"),
        ("lstm-small", "hidden=many", "hidden"),
        ("lstm-small", "hidden=", "hidden"),
        ("lstm-small", "hidden=0", "hidden"),
        ("lstm-small", "hidden=1.5", "hidden"),
        ("lstm-small", "hidden=[1]", "hidden"),
        ("lstm-small", "dropout=1", "dropout"),
        ("lstm-small", "layout=sideways", "layout"),
        ("lstm-small", "seed=-1", "seed"),
        ("lstm-small", "seed=4294967296", "seed"),
        ("lstm-small", "learning_rate=inf", "learning_rate"),
        ("lstm-small", "learning_rate=nan", "learning_rate"),
        ("lstm-small", "temperature=-1", "temperature"),
        ("lstm-small", "temperature=inf", "temperature"),
        ("lstm-small", "top_p=2", "top_p"),
        ("lstm-small", "size=12", "size"),
        ("lstm-small", "size=" + "[" * 5000, "size"),  # deeper than a parser goes
        ("lstm-small", "size=" + "9" * 5000, "size"),  # longer than an int may be
    ],
)
def test_a_wrong_option_is_named_with_what_would_be_right(preset, change, hint):
    assert hint in refused(preset, *([change] if change else []))


@pytest.mark.parametrize(
    ("changes", "section", "option", "value"),
    [
        (["epochs=3"], "train", "epochs", 3),
        (["train.epochs=3"], "train", "epochs", 3),
        (["epochs=2", "epochs=3"], "train", "epochs", 3),
        (["epochs = 3"], "train", "epochs", 3),
        (["sampling.max_length=7"], "sampling", "max_length", 7),
        (["train.max_length=7"], "train", "max_length", 7),
        (["learning_rate=2e-4"], "train", "learning_rate", 2e-4),
        (["layout=stream"], "train", "layout", "stream"),
        (["layout='stream'"], "train", "layout", "stream"),
        (["hidden=64"], "model", "hidden", 64),
        (["tie_weights=false"], "model", "tie_weights", False),
        (["seed=7"], "train", "seed", 7),
    ],
)
def test_a_setting_changes_its_option_and_no_other(changes, section, option, value):
    before, after = api.experiment("lstm").model_dump(), api.experiment("lstm", changes).model_dump()
    assert after[section][option] == value
    after[section].pop(option), before[section].pop(option, None)
    assert after == before


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("gpt2", "gpt2"),
        ("'gpt2'", "gpt2"),
        ("./a folder", "./a folder"),
        ("OWNER/NAME", "OWNER/NAME"),
        ("12", "12"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("true", "true"),
        ("a=b", "a=b"),
    ],
)
def test_a_base_is_taken_as_it_was_written(written, meant):
    assert api.experiment("gpt2-article", [f"base={written}"]).base == meant


@pytest.mark.parametrize("preset", sorted(PROMISED))
def test_a_seed_holds_for_every_preset(preset):
    assert api.experiment(preset, ["seed=5"]).train.seed == 5


def test_a_toml_file_is_an_experiment(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('family = "lstm"\n[tokenizer]\nname = "word"\nmin_count = 1\n[model]\nhidden = 8\n')
    made = api.experiment(str(path), ["layers=1", "min_count=3"])
    assert (made.family, made.tokenizer.name, made.model) == ("lstm", "word", {"hidden": 8, "layers": 1})
    assert made.tokenizer.options == {"min_count": 3}
    assert made.train == TrainConfig()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("family = ", "not TOML"),
        ("x = " + "[" * 5000, "not TOML"),
        ("x = " + "9" * 5000, "not TOML"),
        ("", "family"),
        ('family = "lstm"', "tokenizer"),
        ('family = "lstn"\ntokenizer = {name = "bpe"}', "'lstm'"),
        ('family = "lstm"\ntokenizer = {name = "bp"}', "'bpe'"),
        ('family = "lstm"\ntokenizer = "bpe"', "tokenizer"),
        ('family = "lstm"\ntokenizer = {name = "bpe", sze = 400}', "'size'"),
        ('family = "lstm"\nmodle = {}\ntokenizer = {name = "bpe"}', "'model'"),
        ('family = "lstm"\nmodel = {hiden = 3}\ntokenizer = {name = "bpe"}', "'hidden'"),
        ('family = "lstm"\nmodel = 3\ntokenizer = {name = "bpe"}', "model"),
        ('family = "lstm"\ntrain = {epoch = 3}\ntokenizer = {name = "bpe"}', "'epochs'"),
        ('family = "lstm"\ntrain = {epochs = "three"}\ntokenizer = {name = "bpe"}', "train.epochs"),
    ],
)
def test_a_wrong_toml_file_is_named_with_what_would_be_right(tmp_path, text, hint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    message = refused(str(path))
    assert str(path) in message or "unknown" in message
    assert hint in message


def test_a_toml_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"description = '\xe9'")
    for name in ("missing.toml", "folder.toml", "latin.toml"):
        assert name in refused(str(tmp_path / name))


def test_an_experiment_survives_being_written_and_read():
    for name in preset_names():
        made = api.experiment(name)
        assert checked(Experiment, json.loads(json.dumps(made.model_dump())), name) == made


KEYS = sorted({name for config in CONFIGS for name in config.model_fields} | {"train.epochs", "tokenizer.size", "."})
VALUES = st.one_of(
    st.text(max_size=20),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["[]", "{}", "{a = 1}", "true", "1979-05-27", "07:32:00", "'''", "1\n[x]", "0x_", "+99:99"]),
)
SETTINGS = st.one_of(st.text(max_size=30), st.tuples(st.sampled_from(KEYS), VALUES).map("=".join))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(sorted(PROMISED)), st.lists(SETTINGS, max_size=2))
def test_any_setting_gives_an_experiment_or_one_clear_line(preset, changes):
    try:
        made = api.experiment(preset, changes)
    except OptionError:
        return
    assert isinstance(made, Experiment)
    assert checked(Experiment, made.model_dump(), preset) == made
