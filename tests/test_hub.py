"""The Hugging Face hub: the client that people have asks a small hub of our own, on this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gpt2_shaped import TINY, make
from hub import NOWHERE, Hub, point_at, serving
from huggingface_hub import constants
from packages import Outcome, arasuji
from test_files import full_disk

from arasuji import api, bases
from arasuji.errors import BaseModelError, StorageError

NAME = "somebody/tiny"
SHARDS = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture(scope="module")
def shaped(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("base") / "tiny", **TINY)


@pytest.fixture(scope="module")
def sharded(shaped, tmp_path_factory) -> Path:
    """The same weights in two files and an index."""
    from transformers import AutoModelForCausalLM

    folder = Path(shutil.copytree(shaped, tmp_path_factory.mktemp("base") / "sharded"))
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(shaped).save_pretrained(folder, max_shard_size="1MB")
    assert {path.name for path in folder.glob("*.safetensors")} == set(SHARDS)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def hub(shaped, cache, monkeypatch):
    with serving() as hub:
        hub.models[NAME] = shaped
        point_at(monkeypatch, hub.address)
        yield hub


def get(name: str, hub: Hub, cache: Path, monkeypatch) -> Outcome:
    """`arasuji models get` in a process of its own."""
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HOME", str(cache.parent))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return arasuji("models", "get", name)


def refused(name: str = NAME) -> str:
    with pytest.raises(BaseModelError) as caught:
        bases.find(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def is_here(name: str = NAME) -> bool:
    return bases.is_cached(name)


def leftovers(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


def test_a_model_is_fetched_once_and_opens_afterwards_without_the_hub(hub, cache, shaped, monkeypatch):
    base = bases.KNOWN["gemma-3-270m"]
    hub.models[base.hub] = shaped
    done = get(base.name, hub, cache, monkeypatch)
    folder = Path(done.out.strip())
    assert (done.code, done.err) == (0, f"from hub ({base.hub})\nlicence: {base.terms}\n")
    assert {path.name for path in folder.iterdir()} == {path.name for path in shaped.iterdir()}
    point_at(monkeypatch, NOWHERE)
    assert bases.find(base.name) == (folder, f"hub cache ({base.hub})")
    assert bases.whereabouts(base) == "hub cache"
    assert api.evaluate(api.load(base.name), ["A lighthouse keeper."]).charge == 0


def test_a_connection_that_is_cut_in_the_middle_of_a_file_goes_on_from_there(hub, shaped, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB, more than this model has
    hub.cuts["model.safetensors"] = 1000
    bases.find(NAME)
    size = (shaped / "model.safetensors").stat().st_size
    parts = [(begin, count) for name, begin, count in hub.sent if name == "model.safetensors"]
    assert parts == [(0, 1000), (1000, size - 1000)]


def test_a_fetch_that_breaks_off_is_one_line_and_the_next_one_fetches_what_is_missing(hub, cache, sharded, monkeypatch):
    hub.models[NAME] = sharded
    hub.broken.add(SHARDS[1])
    complaint = get(NAME, hub, cache, monkeypatch).complaint
    assert "the connection to the Hugging Face hub broke off" in complaint
    assert "say the same again" in complaint
    assert not is_here()
    assert not leftovers(cache)
    hub.broken.clear()
    hub.sent.clear()
    bases.find(NAME)
    assert [name for name, _, _ in hub.sent] == [SHARDS[1]]
    assert is_here()


def test_a_snapshot_without_one_of_its_shards_is_not_whole(hub, sharded):
    hub.models[NAME] = sharded
    folder = bases.find(NAME)[0]
    (folder / SHARDS[1]).unlink()
    assert not is_here()
    with pytest.raises(BaseModelError, match="not on this machine"):
        bases.find(NAME, download=False)
    bases.find(NAME)
    assert is_here()


def test_a_full_disk_in_the_middle_of_a_fetch_is_one_line(hub, cache):
    with full_disk(1_000_000), pytest.raises(StorageError) as caught:
        bases.find(NAME)
    assert "\n" not in str(caught.value)
    assert "make room" in str(caught.value)
    assert not is_here()
    assert not leftovers(cache)
    assert bases.find(NAME)[1] == f"hub ({NAME})"


def with_pickles_only(folder: Path) -> str:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return "pytorch_model.bin is a pickle"


def with_code(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "mine.Mine"}}))
    return "names code to run"


def an_adapter(folder: Path) -> str:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    return "adapter"


@pytest.mark.parametrize("spoil", [with_pickles_only, with_code, an_adapter], ids=lambda function: function.__name__)
def test_what_must_not_be_opened_is_refused_before_its_weights_are_fetched(hub, shaped, tmp_path, spoil):
    hub.models[NAME] = Path(shutil.copytree(shaped, tmp_path / "spoilt"))
    hint = spoil(hub.models[NAME])
    assert hint in refused()
    assert hint in refused()  # and not taken for whole by the next call
    assert hub.bytes_of(".safetensors") == hub.bytes_of(".bin") == 0


def test_of_two_copies_of_the_weights_one_is_fetched(hub, shaped, tmp_path):
    hub.models[NAME] = Path(shutil.copytree(shaped, tmp_path / "double"))
    shutil.copyfile(shaped / "model.safetensors", hub.models[NAME] / "consolidated.safetensors")
    bases.find(NAME)
    assert hub.bytes_of(".safetensors") == (shaped / "model.safetensors").stat().st_size


@pytest.mark.parametrize("status", [401, 403], ids=["nobody", "somebody who has not accepted"])
def test_a_model_behind_terms_says_where_to_accept_them_and_how_to_say_who_one_is(hub, shaped, status):
    hub.models["google/gemma-3-270m"] = shaped
    hub.refusals["google/gemma-3-270m"] = (status, "GatedRepo")
    message = refused("gemma-3-270m")
    for words in ("https://huggingface.co/google/gemma-3-270m", "hf auth login", "HF_TOKEN", "smollm2-135m"):
        assert words in message


def test_a_token_that_the_hub_does_not_accept_is_said(hub, monkeypatch):
    hub.token = "mine"
    monkeypatch.setenv("HF_TOKEN", "another")
    assert "does not accept your token" in refused()
    monkeypatch.setenv("HF_TOKEN", "mine")
    assert bases.find(NAME)[1] == f"hub ({NAME})"


def test_an_unknown_name_is_refused_with_the_nearest_known_one(hub):
    message = refused("Qwen/Qwen3-0.6B-Bas")
    assert "did you mean 'Qwen/Qwen3-0.6B-Base'?" in message
    assert "hf auth login" in message  # a private model looks the same
    assert "did you mean" not in refused("nobody/nothing-like-it")


def test_a_model_that_was_renamed_is_fetched_and_its_new_name_is_said(hub):
    hub.renamed["somebody/old"] = NAME
    folder, found = bases.find("somebody/old")
    assert found == f"hub (somebody/old, now named {NAME})"
    assert (folder / "model.safetensors").is_file()
    assert is_here("somebody/old")
