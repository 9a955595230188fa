"""CTranslate2: the same tokens and the same prices; a model that it would compute in another way is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import ctranslate2 as engine
import networks
import numpy as np
import pytest
import torch
import transformers
from shaped_models import shaped

from arasuji.errors import OptionError
from arasuji.exports import ctranslate2, hf
from arasuji.files import write_json

LLAMA = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
THETA = {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}
MIXED = ["sliding_attention", "full_attention"]
SHAPES = {
    "Llama": transformers.LlamaConfig(**LLAMA, **THETA),
    "Llama with biases": transformers.LlamaConfig(**LLAMA, attention_bias=True, mlp_bias=True),
    "Mistral": transformers.MistralConfig(**LLAMA, **THETA, sliding_window=9),
    "Qwen 2": transformers.Qwen2Config(**LLAMA, **THETA),
    "Qwen 3": transformers.Qwen3Config(**LLAMA, **THETA, head_dim=16),
    "Gemma 3": transformers.Gemma3TextConfig(
        **LLAMA, head_dim=16, query_pre_attn_scalar=16, sliding_window=9, layer_types=MIXED
    ),
    "OPT": transformers.OPTConfig(
        hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256,
        word_embed_proj_dim=32,
    ),
}  # fmt: skip
"""Windows are shorter than what is written."""


def as_exported(config, bpe, folder):
    """A random model of this shape, in a folder as `hf` writes it."""
    shaped(config, bpe, folder)
    ids = {"bos_token_id": bpe.end_id, "eos_token_id": bpe.end_id, "pad_token_id": bpe.pad_id}
    write_json(folder / "config.json", hf.in_both_forms(json.loads((folder / "config.json").read_text())) | ids)
    return folder


def opened(model):
    return transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()


def words_of(out, ids):
    words = json.loads((out / "vocabulary.json").read_text("utf-8"))
    return [words[i] for i in ids]


@torch.inference_mode()
def same_greedy_tokens(model, out, end):
    """Whether the likeliest hundred tokens, none of them an end, are those of transformers."""
    network, ids, cache = opened(model), [end, 5, 6], None
    new = ids[:]
    for _ in range(100):
        read = network(torch.tensor([new]), past_key_values=cache, use_cache=True)
        cache, scores = read.past_key_values, read.logits[0, -1]
        scores[end] = -torch.inf
        new = [int(scores.argmax())]
        ids += new
    (found,) = engine.Generator(str(out)).generate_batch(
        [words_of(out, ids[:3])], min_length=100, max_length=100, sampling_topk=1, include_prompt_in_result=False
    )
    assert found.sequences_ids[0] == ids[3:]


def nats_of(out, ids):
    (found,) = engine.Generator(str(out)).score_batch([words_of(out, ids)])
    return -np.array(found.log_probs)


@torch.inference_mode()
def nats_of_transformers(model, ids):
    scores = opened(model)(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)
    return -scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].numpy()


@pytest.fixture(scope="module", params=ctranslate2.KINDS)
def converted(request, exported, tmp_path_factory):
    """The folder of a small GPT-2 in one of the types, and the type. Not to be changed."""
    out = tmp_path_factory.mktemp("ctranslate2")
    ctranslate2.write(exported[0], out, request.param)
    return out, request.param


def test_texts_have_the_prices_of_the_model_up_to_the_type_of_the_weights(converted, exported, bpe, starter_texts):
    out, kind = converted
    texts = [[bpe.end_id, *bpe.encode(text)[:200], bpe.end_id] for text in starter_texts[:6]]
    ours = np.concatenate([nats_of_transformers(exported[0], ids) for ids in texts])
    theirs = np.concatenate([nats_of(out, ids) for ids in texts])
    assert np.abs(theirs - ours).max() <= {"float32": 1e-3, "float16": 0.02, "int8": 0.5}[kind]
    assert theirs.sum() <= ours.sum() * {"float32": 1.00001, "float16": 1.001, "int8": 1.015}[kind]


def test_whole_weights_write_the_likeliest_tokens_of_the_model(converted, exported, bpe):
    out, kind = converted
    if kind == "float32":
        same_greedy_tokens(exported[0], out, bpe.end_id)


def test_a_type_of_fewer_bits_has_a_smaller_file(exported, tmp_path):
    sizes = []
    for kind in ("int8", "float16", "float32"):
        (tmp_path / kind).mkdir()
        ctranslate2.write(exported[0], tmp_path / kind, kind)
        sizes.append((tmp_path / kind / "model.bin").stat().st_size)
    assert sizes == sorted(set(sizes))


def test_the_folder_has_the_model_and_its_tokenizer_alone(converted):
    names = {"model.bin", "config.json", "vocabulary.json", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in converted[0].iterdir()} == names


def test_the_program_of_the_card_writes_a_text(converted):
    out, kind = converted
    if kind == "int8":
        ran = subprocess.run(
            [sys.executable, "-c", ctranslate2.opening(out)], cwd=out, capture_output=True, text=True, check=True
        )
        assert ran.stdout.startswith("After years")
        assert not ran.stderr


def test_rows_of_the_model_that_no_token_has_do_not_disturb(bpe, tmp_path):
    model = as_exported(
        transformers.GPT2Config(n_layer=1, n_head=2, n_embd=16, n_positions=64), bpe, tmp_path / "model"
    )
    network = opened(model)
    network.resize_token_embeddings(bpe.vocabulary_size + 8)
    network.save_pretrained(model)
    (tmp_path / "out").mkdir()
    ctranslate2.write(model, tmp_path / "out", "float32")
    ids = [bpe.end_id, 5, 6, 7]
    assert nats_of(tmp_path / "out", ids) == pytest.approx(nats_of_transformers(model, ids), abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"layer_norm_epsilon": 0.1}, {"scale_attn_by_inverse_layer_idx": True}],
    ids=str,
)
def test_an_option_that_the_converter_ignores_is_refused_and_nothing_stays(options, bpe, tmp_path):
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=64, **options)
    model = as_exported(config, bpe, tmp_path / "model")
    (tmp_path / "out").mkdir()
    with pytest.raises(OptionError, match="CTranslate2 computes other numbers than this model") as said:
        ctranslate2.write(model, tmp_path / "out", "int8")
    assert "\n" not in str(said.value)
    assert not list((tmp_path / "out").iterdir())


def test_an_architecture_that_the_converter_does_not_know_is_refused_in_one_line(bpe, tmp_path):
    network = networks.lfm2()
    network.config.eos_token_id = bpe.end_id
    network.save_pretrained(tmp_path / "model")
    bpe.save(tmp_path / "model")
    (tmp_path / "out").mkdir()
    with pytest.raises(OptionError, match=r"cannot take a lfm2 \(No conversion is registered[^(\n]*\): say --to hf$"):
        ctranslate2.write(tmp_path / "model", tmp_path / "out", "int8")


def test_a_missing_package_is_one_line(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(ctranslate2, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"CTranslate2 is not installed: pip install 'arasuji\[export\]'"):
        ctranslate2.write(exported[0], tmp_path, "int8")


@pytest.mark.packages
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_architectures_that_people_fine_tune_have_their_tokens_and_prices(name, bpe, starter_texts, tmp_path):
    model = as_exported(SHAPES[name], bpe, tmp_path / "model")
    for kind in ("float32", "int8"):
        (tmp_path / kind).mkdir()
        ctranslate2.write(model, tmp_path / kind, kind)
    same_greedy_tokens(model, tmp_path / "float32", bpe.end_id)
    window = getattr(SHAPES[name], "sliding_window", None) or 200
    ids = [bpe.end_id, *bpe.encode(starter_texts[0])][:window]
    ours = nats_of_transformers(model, ids)
    assert np.abs(nats_of(tmp_path / "float32", ids) - ours).max() <= 1e-3
    assert nats_of(tmp_path / "int8", ids).sum() <= ours.sum() * 1.015


@pytest.mark.packages
def test_a_window_that_the_converter_ignores_is_refused(bpe, tmp_path):
    config = transformers.Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=9, max_window_layers=1)
    model = as_exported(config, bpe, tmp_path / "model")
    with pytest.raises(OptionError, match="CTranslate2 ignores the sliding window"):
        ctranslate2.write(model, tmp_path, "int8")
