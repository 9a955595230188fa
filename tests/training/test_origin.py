"""A run goes on with what it was started with: the same tokens, the same base, the same options; or not at all."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from gpt2_shaped import TINY, make
from safetensors.torch import load_file, save_file
from tiny_presets import settings, small

from arasuji import api, bases
from arasuji.errors import ArasujiError, OptionError, RunError
from arasuji.tokenizers import bpe, word
from arasuji.training import origin

SETTINGS = settings("lstm-small")


def train(chosen, corpus, out, steps, **options):
    return list(api.train_events(chosen, corpus, out, max_steps=steps, **options))


@pytest.fixture(scope="module")
def started(corpus, tmp_path_factory):
    """A run of a preset and its settings, stopped after two steps. Not to be changed."""
    out = tmp_path_factory.mktemp("started") / "run"
    train("lstm-small", corpus, out, 2, settings=SETTINGS)
    return out


@pytest.fixture
def run(started, tmp_path):
    return shutil.copytree(started, tmp_path / "run")


@pytest.fixture(scope="module")
def tuned(corpus, tmp_path_factory):
    """A run of a base, the base beside it. Not to be changed."""
    folder = tmp_path_factory.mktemp("tuned")
    make(folder / "base", **TINY)
    train("pretrained-lora", corpus, folder / "run", 1, settings=lora(folder / "base"))
    return folder


@pytest.fixture
def both(tuned, tmp_path):
    """Copies of that run and of its base, to which the run's manifest leads."""
    folder = shutil.copytree(tuned, tmp_path / "both")
    manifest = folder / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(tuned), str(folder)))
    return folder


def lora(base):
    chosen = ("lora_rank=2", "batch_size=4", "train.max_length=40", "validation_documents=4", "sampling.max_length=12")
    return [f"base={base}", *chosen]


def other_weights(base):
    """Another base in the place of this one."""
    tensors = load_file(base / "model.safetensors")
    save_file({name: tensor + 0.01 for name, tensor in tensors.items()}, base / "model.safetensors", {"format": "pt"})


def refused(error, *words, **options):
    with pytest.raises(error) as caught:
        train(*words, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tokens


@pytest.mark.parametrize("kind", [bpe, word], ids=["bpe", "word"])
def test_a_resumed_run_goes_on_with_its_own_tokenizer_whatever_would_be_made_of_the_corpus_now(
    corpus, tmp_path, monkeypatch, kind
):
    chosen = small("lstm-small" if kind is bpe else "lstm-article", "validations=1")
    train(chosen, corpus, tmp_path / "whole", 4)
    train(chosen, corpus, tmp_path / "broken", 2)
    build = kind.build

    def otherwise(config, texts, base=None):
        return build(config, [text[::-1] for text in texts], base)

    monkeypatch.setattr(kind, "build", otherwise)
    train(chosen, corpus, tmp_path / "broken", 4, resume=True)
    learnt = [load_file(tmp_path / name / "last/state.safetensors") for name in ("whole", "broken")]
    assert all(torch.equal(learnt[0][name], learnt[1][name]) for name in learnt[0])


def test_a_tokenizer_that_cuts_texts_otherwise_than_before_is_refused(run, corpus, monkeypatch):
    encode = bpe.Bpe.encode
    monkeypatch.setattr(bpe.Bpe, "encode_batch", lambda self, texts: (encode(self, text)[::-1] for text in texts))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["tokenizers"] = "0.1"
    (run / "manifest.json").write_text(json.dumps(manifest))
    message = refused(RunError, "lstm-small", corpus, run, 4, resume=True)
    assert "gives other tokens" in message
    assert "tokenizers 0.1" in message


def test_a_damaged_tokenizer_of_a_run_is_refused(run, corpus):
    (run / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "tokenizer is damaged" in refused(RunError, "lstm-small", corpus, run, 4, resume=True)


def test_other_versions_are_a_note_and_no_refusal(run, corpus):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["torch"] = "1.0"
    (run / "manifest.json").write_text(json.dumps(manifest))
    events = train("lstm-small", corpus, run, 3, resume=True)
    assert "torch 1.0" in events[0].notes[0]
    assert events[-1].progress.step == 3


def test_a_run_of_an_earlier_version_goes_on_with_a_note(run, corpus):
    manifest = json.loads((run / "manifest.json").read_text())
    for name in ("settings", "base_files", "asked_base", "tokens"):
        del manifest[name]
    (run / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(run / "tokenizer")
    events = train("lstm-small", corpus, run, 3, resume=True)
    assert "an earlier version" in events[0].notes[0]
    assert events[-1].progress.step == 3


# The base


def test_another_base_in_the_place_of_the_first_is_refused_by_the_file_that_differs(both, corpus):
    other_weights(both / "base")
    message = refused(RunError, "pretrained-lora", corpus, both / "run", 2, resume=True)
    assert "another model.safetensors" in message
    assert str(both / "base") in message


def test_where_a_base_was_found_then_and_now_is_told(both, corpus, monkeypatch):
    other_weights(both / "base")
    monkeypatch.setattr(bases, "find", lambda name: (both / "base", "hub cache (owner/name)"))
    message = refused(RunError, "pretrained-lora", corpus, both / "run", 2, resume=True)
    assert f"(folder {both / 'base'})" in message
    assert "(hub cache (owner/name))" in message


def test_a_base_that_was_moved_is_found_where_it_is_said_to_be_and_another_is_refused(both, corpus):
    (both / "base").rename(both / "moved")
    refused(ArasujiError, "pretrained-lora", corpus, both / "run", 2, resume=True)
    moved = [f"base={both / 'moved'}"]
    assert train("pretrained-lora", corpus, both / "run", 2, resume=True, settings=moved)[-1].progress.step == 2
    other_weights(both / "moved")
    message = refused(RunError, "pretrained-lora", corpus, both / "run", 3, resume=True, settings=moved)
    assert f"base={both / 'base'}" in message
    assert f"base={both / 'moved'}" in message


def test_a_base_in_a_relative_folder_is_the_same_from_another_folder(tuned, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tuned)
    train("pretrained-lora", corpus, tmp_path / "run", 1, settings=lora("base"))
    monkeypatch.chdir(tmp_path)
    assert train("pretrained-lora", corpus, tmp_path / "run", 2, resume=True)[-1].progress.step == 2


def test_a_base_for_a_run_without_one_is_refused(run, corpus):
    message = refused(OptionError, "lstm-small", corpus, run, 3, resume=True, settings=["base=gpt2"])
    assert 'base=""' in message
    assert 'base="gpt2"' in message


# Options


def test_a_plain_resume_keeps_the_settings_of_the_start_and_they_may_be_said_again(run, corpus):
    train("lstm-small", corpus, run, 3, resume=True)
    train("lstm-small", corpus, run, 4, resume=True, settings=SETTINGS)
    assert json.loads((run / "manifest.json").read_text())["settings"] == SETTINGS


@pytest.mark.parametrize("setting", ["hidden=32", "train.seed=4", "tokenizer.size=500", "top_k=3"])
def test_a_setting_that_differs_is_refused_with_its_old_and_its_new_value(run, corpus, setting):
    name, _, value = setting.rpartition("=")
    message = refused(OptionError, "lstm-small", corpus, run, 3, resume=True, settings=[setting])
    kept = origin._options(api.experiment("lstm-small", SETTINGS))
    old = next(value for option, value in kept.items() if option.endswith(name))
    assert f"{name}={old}" in message
    assert f"{name}={value}" in message


def test_an_experiments_file_that_was_edited_is_refused(corpus, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('family = "ngram"\n[tokenizer]\nname = "bpe"\nsize = 400\n[train]\nepochs = 2\nbatch_size = 4\n')
    train(file, corpus, tmp_path / "run", 1, settings=["validation_documents=4"])
    train(file, corpus, tmp_path / "run", 2, resume=True)
    file.write_text(file.read_text().replace("epochs = 2", "epochs = 3"))
    message = refused(OptionError, file, corpus, tmp_path / "run", 3, resume=True)
    assert "train.epochs=2" in message
    assert "train.epochs=3" in message


def test_an_experiment_of_a_notebook_that_differs_is_refused(run, corpus):
    chosen = api.experiment("lstm-small", [*SETTINGS, "learning_rate=0.5"])
    assert "train.learning_rate=0.5" in refused(OptionError, chosen, corpus, run, 3, resume=True)
