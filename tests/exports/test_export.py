"""Exports: what is written opens elsewhere and is the same model; what cannot be written is said in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
import torch
from leftovers import work_on
from shaped_models import SMALL, shaped

from arasuji import api
from arasuji.arguments import path
from arasuji.cli import app
from arasuji.errors import OptionError, RunError
from arasuji.exports import FORMATS, hf

VERSION_4 = ("transformers==4.57.6", "huggingface-hub<1", "tokenizers<0.23")
TEXTS = ("The old keeper lights the lamp.", "A letter 🌊 from the sea; 海からの手紙。", "So.")
PROMPTS = ("After years", "When the night", "This is", "In the", "A young", "During the war", "The", "")


def nats_of_run(run, text):
    """What the run pays for each token of a text, and for its end."""
    return api.evaluate(api.load(run, "fp32"), [text]).nll[0]


def nats_of_folder(folder, text):
    """The same by transformers, with nothing but what the folder says."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([[*tokenizer(text).input_ids, tokenizer.eos_token_id]])
    with torch.no_grad():
        scores = network(ids).logits[0, :-1].log_softmax(-1)
    return (-scores.gather(1, ids[0, 1:, None]))[:, 0].tolist()


def test_transformers_scores_the_exported_folder_as_the_run_is_scored(mini, exported):
    for text in TEXTS:
        assert nats_of_folder(exported[0], text) == pytest.approx(nats_of_run(mini, text), abs=1e-4)


def test_the_tokenizer_of_the_folder_puts_one_end_token_before_a_text_and_nothing_after_it(mini, exported):
    from transformers import AutoTokenizer

    ours, theirs = api.load(mini).tokenizer, AutoTokenizer.from_pretrained(exported[0])
    for text in (*TEXTS, ""):
        assert theirs(text).input_ids == [ours.end_id, *ours.encode(text)]
        assert set(theirs(text)) == {"input_ids", "attention_mask"}  # GPT-2 would add token types to its input
        assert theirs.decode(theirs(text).input_ids, skip_special_tokens=True) == text
    assert json.loads((exported[0] / "tokenizer_config.json").read_text())["tokenizer_class"] == hf.TOKENIZER_CLASS


def test_a_base_that_begins_texts_with_another_token_than_it_ends_them_does_so_in_an_export(bpe, tmp_path):
    from transformers import AutoTokenizer, GPT2Config

    elsewhere = shaped(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=64), bpe, tmp_path / "elsewhere")
    content = tokenizers.Tokenizer.from_file(str(elsewhere / "tokenizer.json"))
    content.post_processor = tokenizers.processors.TemplateProcessing("<|pad|> $A", special_tokens=[("<|pad|>", 1)])
    content.save(str(elsewhere / "tokenizer.json"))
    run = api.import_model(elsewhere, tmp_path / "run")
    card = api.export(run, tmp_path / "out")
    assert (card.start, card.end) == ((1, "<|pad|>"), (0, "<|endoftext|>"))
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("So.").input_ids == [1, *bpe.encode("So.")]
    assert nats_of_folder(tmp_path / "out", "So.") == pytest.approx(nats_of_run(run, "So."), abs=1e-4)
    again = api.import_model(tmp_path / "out", tmp_path / "again")
    assert nats_of_run(again, "So.") == nats_of_run(run, "So.")


def test_the_weights_are_those_of_the_run_bit_for_bit(mini, exported):
    assert (exported[0] / "model.safetensors").read_bytes() == (path(mini) / "best/model.safetensors").read_bytes()


def test_the_lines_in_the_card_open_the_folder_and_write_a_text(exported, monkeypatch, capsys):
    folder, card = exported
    monkeypatch.chdir(folder)
    assert card.opening.strip() in (folder / "README.md").read_text()
    exec(card.opening, {})
    assert capsys.readouterr().out.startswith("After years")


def test_transformers_writes_with_the_settings_of_the_run(exported):
    settings = json.loads((exported[0] / "generation_config.json").read_text())
    assert settings["do_sample"] is True
    assert (settings["temperature"], settings["top_p"], settings["max_new_tokens"]) == (0.7, 0.95, 12)
    assert settings["eos_token_id"] == settings["bos_token_id"] == exported[1].end[0]


LLAMA_3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 64}  # fmt: skip


@pytest.mark.parametrize(
    ("rope", "read_by_version_4"),
    [
        ({"rope_type": "default", "rope_theta": 1e5}, {"rope_theta": 1e5, "rope_scaling": None}),
        (LLAMA_3, {"rope_theta": 5e5, "rope_scaling": {k: v for k, v in LLAMA_3.items() if k != "rope_theta"}}),
        (
            {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25},
            {"rope_theta": 1e4, "rope_scaling": None, "partial_rotary_factor": 0.25},
        ),
        (
            {
                "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
            {
                "rope_theta": 1e6,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
                "rope_local_base_freq": 1e4,
            },
        ),
    ],
    ids=["plain", "Llama 3", "part of each head", "two kinds of layers"],
)
def test_rotary_positions_stand_in_the_forms_of_both_versions(rope, read_by_version_4):
    made = hf.in_both_forms({"model_type": "some", "rope_parameters": rope})
    assert made == {"model_type": "some", "rope_parameters": rope, **read_by_version_4}


# What cannot be exported


@pytest.fixture(scope="module")
def ngram(corpus, tmp_path_factory):
    return api.train("ngram", corpus, tmp_path_factory.mktemp("runs") / "ngram", settings=("size=300", "epochs=1"))


@pytest.fixture(scope="module")
def lstm(corpus, tmp_path_factory):
    small = (*SMALL, "embedding=16", "hidden=16", "layers=1")
    return api.train("lstm-small", corpus, tmp_path_factory.mktemp("runs") / "lstm", max_steps=1, settings=small)


@pytest.mark.parametrize("to", FORMATS)
def test_a_table_of_n_grams_is_refused_and_leaves_nothing_behind(to, ngram, tmp_path):
    with pytest.raises(OptionError, match="no other program"):
        api.export(ngram, tmp_path / "out", to)
    assert list(tmp_path.iterdir()) == []


def test_an_lstm_is_refused_where_only_transformers_fit_and_the_line_names_the_format_that_takes_it(lstm, tmp_path):
    with pytest.raises(OptionError, match="--to onnx"):
        api.export(lstm, tmp_path / "out", "gguf")


WORDS = """
description = "a transformer over words"
family = "transformer"
tokenizer = { name = "word", min_count = 20 }
model = { layers = 1, heads = 1, width = 8, context_length = 32 }
train = { validation_documents = 4, max_length = 32 }
"""


def test_a_transformer_over_words_is_refused_since_no_other_program_has_its_rules(corpus, tmp_path):
    (tmp_path / "words.toml").write_text(WORDS)
    run = api.train(tmp_path / "words.toml", corpus, tmp_path / "run", max_steps=1)
    with pytest.raises(OptionError, match="splits texts into words"):
        api.export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_arguments_are_refused_in_one_line_before_anything_is_opened(mini, exported, tmp_path):
    for refused, said in (
        ({"to": "ggufs"}, "did you mean 'gguf'"),
        ({"type": "q8_0"}, "leave --type out"),
        ({"to": "gguf", "type": "q8"}, "did you mean 'q8_0'"),
    ):
        with pytest.raises(OptionError, match=said):
            api.export(mini, tmp_path / "out", **refused)
    for run, out, said in (
        (mini, exported[0], "exists already"),
        (tmp_path / "none", tmp_path / "out", "no run"),
        (exported[0], tmp_path / "out", "no run"),
    ):
        with pytest.raises(RunError, match=said):
            api.export(run, out)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_folder_is_not_followed(mini, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="exists already"):
        api.export(mini, tmp_path / "link")


def test_where_a_run_was_killed_as_it_replaced_its_model_the_whole_one_is_exported(mini, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(mini.path, run)
    (run / "best").rename(work_on(run / "best", "old"))
    api.export(run, tmp_path / "out")
    of_run, exported = (
        path.read_bytes() for path in (mini.path / "best/model.safetensors", tmp_path / "out/model.safetensors")
    )
    assert of_run == exported


def test_the_verb_prints_one_object(mini, tmp_path, capsys):
    app(["export", str(mini.path), "--to", "hf", "--out", str(tmp_path / "out"), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "hf"
    assert found["likelihood"]["bits_per_byte"] > 0
    assert found["corpus"]["hash"]


# Other versions


@pytest.fixture(scope="session")
def version_4(tmp_path_factory) -> Path:
    """transformers 4.57 in a folder of its own; torch stays the one that is installed."""
    site = tmp_path_factory.mktemp("version4")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *VERSION_4]
    subprocess.run(pip, check=True, timeout=280)
    return site


SCORED = """
import json, sys, torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
found = {"version": transformers.__version__}
for folder in sys.argv[1].split(";"):
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    nats, written = [], []
    for text in json.loads(sys.argv[2]):
        ids = torch.tensor([[*tokenizer(text).input_ids, tokenizer.eos_token_id]])
        with torch.no_grad():
            scores = network(ids).logits[0, :-1].log_softmax(-1)
        nats += (-scores.gather(1, ids[0, 1:, None]))[:, 0].tolist()
    for prompt in json.loads(sys.argv[3]):
        asked = tokenizer(prompt, return_tensors="pt")
        out = network.generate(**asked, do_sample=False, max_new_tokens=100, min_new_tokens=100)
        written.append(out[0].tolist())
    found[folder] = {"nats": nats, "written": written}
print(json.dumps(found))
"""


def judged(folders, site=None):
    """What a version of transformers finds in the folders, in a process of its own."""
    known = os.environ.get("PYTHONPATH", "")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, [str(site or ""), known])))
    asked = [";".join(map(str, folders)), json.dumps(TEXTS), json.dumps(PROMPTS)]
    command = [sys.executable, "-c", SCORED, *asked]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def shapes():
    from transformers import Gemma3TextConfig, GPT2Config, GPTNeoXConfig, LlamaConfig, PhiConfig, Qwen3Config

    llama = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
    }
    phi = {name: value for name, value in llama.items() if name != "head_dim"}
    pattern = ["sliding_attention", "full_attention"]
    return {
        "gpt2": GPT2Config(n_layer=2, n_head=4, n_embd=64, n_positions=256),
        "llama": LlamaConfig(**llama, tie_word_embeddings=True, rope_parameters={"rope_theta": 1e5}),
        "llama3": LlamaConfig(**llama, rope_parameters=LLAMA_3),
        "qwen3": Qwen3Config(**llama, rope_parameters={"rope_theta": 1e6}),
        "gemma3": Gemma3TextConfig(**llama, sliding_window=32, layer_types=pattern, query_pre_attn_scalar=16),
        "gpt_neox": GPTNeoXConfig(**{n: v for n, v in phi.items() if n != "num_key_value_heads"}),
        "phi": PhiConfig(**phi),
    }


@pytest.mark.packages
def test_both_versions_of_transformers_find_the_same_model_in_exported_folders(version_4, bpe, mini, tmp_path):
    folders = [tmp_path / "mini"]
    api.export(mini, folders[0])
    for name, config in shapes().items():
        run = api.import_model(shaped(config, bpe, tmp_path / f"{name}-elsewhere"), tmp_path / f"{name}-run")
        folders.append(tmp_path / name)
        api.export(run, folders[-1])
        ours = [nats for text in TEXTS for nats in nats_of_run(run, text)]
        assert [nats for text in TEXTS for nats in nats_of_folder(folders[-1], text)] == pytest.approx(ours, abs=1e-4)
    new, old = judged(folders), judged(folders, version_4)
    assert new["version"].startswith("5.")
    assert old["version"].startswith("4.57")
    for folder in map(str, folders):
        assert old[folder]["nats"] == pytest.approx(new[folder]["nats"], abs=1e-4), folder
        assert old[folder]["written"] == new[folder]["written"], folder
