"""In what precision a model is opened: 8-bit weights are kept beside the run, and made anew when the run's change."""

from __future__ import annotations

import pytest
import torch
from tiny_presets import small

from arasuji import api, device, files
from arasuji.corpus import prepare
from arasuji.errors import OptionError, StorageError
from arasuji.models._int8_decoder import Int8Decoder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    from importlib import resources

    return prepare([resources.files("arasuji.data") / "starter.jsonl"], tmp_path_factory.mktemp("corpus") / "c")


@pytest.fixture
def run(corpus, tmp_path):
    list(api.train_events(small("gpt2-mini"), corpus, tmp_path / "run", max_steps=2))
    return tmp_path / "run"


def in_int8(trained) -> bool:
    return isinstance(trained.model, Int8Decoder)


def written(trained) -> list[str]:
    sampling = trained.sampling.model_copy(update={"max_length": 8, "num_beams": 1, "min_length": 0})
    return [sample.text for sample in api.generate(trained, ["After years", ""], n=3, sampling=sampling)]


def test_8_bit_weights_are_made_once_and_write_the_same_again(run):
    first = api.load(run, "int8")
    assert in_int8(first)
    made = (run / "int8" / "manifest.json").stat().st_mtime_ns
    again = api.load(run, "int8")
    assert (run / "int8" / "manifest.json").stat().st_mtime_ns == made
    assert written(first) == written(again)
    assert again.facts == first.facts == api.load(run).facts


def test_8_bit_weights_follow_the_run(run, corpus):
    before = api.load(run, "int8")
    list(api.train_events(small("gpt2-mini"), corpus, run, resume=True, max_steps=12))
    assert api.load(run).facts["step"] > before.facts["step"]  # there is a better model now
    after = api.load(run, "int8")
    assert after.facts == api.load(run).facts
    assert written(after) != written(before)


@pytest.mark.parametrize("damage", ["block-000.safetensors", "manifest.json"])
def test_damaged_8_bit_weights_are_made_again(run, damage):
    expected = written(api.load(run, "int8"))
    (run / "int8" / damage).write_bytes(b"nothing")
    assert written(api.load(run, "int8")) == expected


def test_a_run_that_may_not_be_written_is_opened_all_the_same(run, monkeypatch):
    def refused(target):
        raise StorageError(f"cannot write {target}")

    monkeypatch.setattr(files, "new_folder", refused)
    trained = api.load(run, "int8")
    assert in_int8(trained)
    assert not (run / "int8").exists()
    assert written(trained)


@pytest.mark.parametrize("preset", ["ngram"])
def test_a_family_without_an_8_bit_form_is_opened_in_float32(corpus, tmp_path, preset):
    list(api.train_events(small(preset), corpus, tmp_path / "run", max_steps=2))
    assert written(api.load(tmp_path / "run", "int8")) == written(api.load(tmp_path / "run"))


def test_bfloat16_is_refused_in_one_line_where_the_processor_has_none(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(device, "has_bf16", lambda: False)
    assert device.dtype("auto") == torch.float32
    chosen = api.experiment("lstm-small", ["precision=bf16"])
    with pytest.raises(OptionError, match=r"no bfloat16: say fp32 or auto"):
        list(api.train(chosen, corpus, tmp_path / "run", max_steps=1))
    assert not (tmp_path / "run").exists()
