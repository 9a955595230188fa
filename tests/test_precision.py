"""In what precision a model is opened: 8-bit weights are kept in the cache, and made anew when the run's change."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tiny_presets import small

from arasuji import api, device
from arasuji.corpus import prepare
from arasuji.errors import BaseModelError, OptionError, RunError
from arasuji.models import transformer
from arasuji.models.int8.decoder import Int8Decoder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    from importlib import resources

    return prepare([resources.files("arasuji.data") / "starter.jsonl"], tmp_path_factory.mktemp("corpus") / "c")


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Where 8-bit weights are kept."""
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "int8"


def manifest_in(kept):
    (path,) = kept.glob("*/manifest.json")
    return path


@pytest.fixture
def run(corpus, tmp_path):
    list(api.train_events(small("gpt2-mini"), corpus, tmp_path / "run", max_steps=2))
    return tmp_path / "run"


def in_int8(trained) -> bool:
    return isinstance(trained.model, Int8Decoder)


def written(trained) -> list[str]:
    sampling = trained.sampling.model_copy(update={"max_length": 8, "num_beams": 1, "min_length": 0})
    return [sample.text for sample in api.generate(trained, ["After years", ""], n=3, sampling=sampling)]


def test_8_bit_weights_are_made_once_and_write_the_same_again(run, kept):
    first = api.load(run, "int8")
    assert in_int8(first)
    made = manifest_in(kept).stat().st_mtime_ns
    again = api.load(run, "int8")
    assert manifest_in(kept).stat().st_mtime_ns == made
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
def test_damaged_8_bit_weights_are_made_again(run, kept, damage):
    expected = written(api.load(run, "int8"))
    path = manifest_in(kept).with_name(damage)
    path.write_bytes(b"nothing")
    assert written(api.load(run, "int8")) == expected
    assert path.read_bytes() != b"nothing"


def test_a_run_is_only_read_by_who_writes_with_it(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    api.load(run, "int8")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_copy_with_the_same_sizes_and_times_is_verified_before_it_is_believed(run):
    """As an archive of somebody else's that is unpacked over a run."""
    api.load(run, "int8")
    weights = run / "best" / "model.safetensors"
    at = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(at.st_atime_ns, at.st_mtime_ns))
    with pytest.raises(RunError, match="damaged"):
        api.load(run, "int8")


def test_8_bit_weights_of_runs_that_are_gone_go_too(run, kept, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    api.load(run, "int8")
    shutil.rmtree(run)
    api.load(tmp_path / "other", "int8")
    assert manifest_in(kept).parent.name.startswith("other-")


def test_where_nothing_may_be_kept_a_run_is_opened_all_the_same(run, kept):
    kept.parent.write_text("a file, where a folder would have to be made")
    trained = api.load(run, "int8")
    assert in_int8(trained)
    assert written(trained)


MAKES = """
import sys, time
from dataclasses import replace
from arasuji import api
from arasuji.models import transformer
def counted(folder, target):
    print("made", flush=True)
    time.sleep(1)
    transformer.quantize(folder, target)
transformer.FAMILY = replace(transformer.FAMILY, quantize=counted)
api.load(sys.argv[1], "int8")
"""


@pytest.mark.slow
def test_of_two_processes_that_open_a_run_at_once_one_makes_the_8_bit_weights(run):
    command = [sys.executable, "-c", MAKES, str(run)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate()[0] for process in both) == ["", "made\n"]
    assert [process.returncode for process in both] == [0, 0]


def torch_asks():
    torch.empty(2**50)


def python_asks():
    bytearray(2**60)


def the_system_refuses():
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def a_library_passes_it_on():
    try:
        torch_asks()
    except RuntimeError as error:
        raise BaseModelError("cannot open it") from error


@pytest.mark.parametrize(
    "fails", [torch_asks, python_asks, the_system_refuses, a_library_passes_it_on], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_too_little_memory_is_said_to_be_that_and_not_a_damaged_run(run, monkeypatch, fails, precision):
    family = replace(transformer.FAMILY, load=lambda folder, precision: fails())
    monkeypatch.setattr(transformer, "FAMILY", family)
    with pytest.raises(RunError, match=r"memory was not enough to open [^\n]*best: close other programs"):
        api.load(run, precision)


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
