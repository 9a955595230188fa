"""GGUF files, judged by llama.cpp: the same tokens, the same prices, the same greedy texts."""

from __future__ import annotations

import json
import subprocess
import sys

import gguf
import numpy as np
import pytest
import tokenizers as hf
import torch
import transformers
from judged_by_llama_cpp import LlamaCpp, texts_of_many_scripts
from transformers.convert_slow_tokenizer import generate_merges

from arasuji.errors import OptionError
from arasuji.exports import _gguf_vocabulary, format_of
from arasuji.tokenizers.bpe import END, PAD
from arasuji.tokenizers.pretrained import Pretrained

CONTEXT = 96
LLAMA_SHAPED = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": CONTEXT,
}
LLAMA_3_ROPE = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 32}  # fmt: skip
GPT2_SHAPED = {"n_layer": 2, "n_head": 4, "n_embd": 64, "n_positions": CONTEXT}
GEMMA_SHAPED = LLAMA_SHAPED | {"query_pre_attn_scalar": 32, "num_hidden_layers": 3}
SHAPES = {
    "GPT-2": transformers.GPT2Config(**GPT2_SHAPED),
    "GPT-2 with a head of its own": transformers.GPT2Config(**GPT2_SHAPED, n_inner=32, tie_word_embeddings=False),
    "Llama": transformers.LlamaConfig(**LLAMA_SHAPED, tie_word_embeddings=True),
    "Llama with biases": transformers.LlamaConfig(**LLAMA_SHAPED, attention_bias=True, mlp_bias=True),
    "Llama 3": transformers.LlamaConfig(**LLAMA_SHAPED, rope_parameters=LLAMA_3_ROPE),
    "Mistral": transformers.MistralConfig(**LLAMA_SHAPED, sliding_window=80),
    "Qwen 2": transformers.Qwen2Config(**{n: v for n, v in LLAMA_SHAPED.items() if n != "head_dim"}),
    "Qwen 3": transformers.Qwen3Config(**LLAMA_SHAPED),
    "Gemma 3": transformers.Gemma3TextConfig(**GEMMA_SHAPED, sliding_window=16, sliding_window_pattern=6),
    "Gemma 3 whose second layer sees all": transformers.Gemma3TextConfig(
        **GEMMA_SHAPED, sliding_window=16, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
}
"""One small configuration of everything that can be written."""


def saved(config, tokenizer, folder):
    """A model of this shape with strong opinions and this tokenizer, in a folder; returns what transformers opens."""
    torch.manual_seed(0)
    config.vocab_size = tokenizer.vocabulary_size
    config.bos_token_id = config.eos_token_id = tokenizer.end_id
    config.pad_token_id = tokenizer.pad_id
    network = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(1 if "norm" in name or "ln_" in name else 0, 0.2)
    network.save_pretrained(folder)
    tokenizer.save(folder)
    return network.eval()


def written(model, out, kind):
    """The GGUF file of a folder."""
    out.mkdir(exist_ok=True)
    format_of("gguf").write(model, out, kind)
    (file,) = out.glob(f"*{kind}.gguf")
    return file


@pytest.fixture(scope="module")
def rows(bpe, starter_texts):
    """Two texts between end tokens, cut short."""
    return [[bpe.end_id, *bpe.encode(text)[:40], bpe.end_id] for text in starter_texts[:2]]


def nats_of(network, rows):
    """-ln p of each token after the first, by transformers in float32, all rows one after the other."""
    with torch.inference_mode():
        scores = [network(torch.tensor([row])).logits[0, :-1].log_softmax(-1) for row in rows]
    return torch.cat([-scores[i][range(len(row) - 1), row[1:]] for i, row in enumerate(rows)])


@pytest.mark.parametrize("shape", SHAPES)
def test_llama_cpp_finds_texts_as_likely_as_transformers_and_writes_the_same_greedy_one(shape, bpe, rows, tmp_path):
    network = saved(SHAPES[shape], bpe, tmp_path / "hf")
    judge = LlamaCpp(written(tmp_path / "hf", tmp_path, "f32"), CONTEXT, exact=True)
    ours, theirs = nats_of(network, rows), torch.tensor([nats for row in judge.nats(rows) for nats in row])
    assert abs(theirs.sum() / ours.sum() - 1) < 0.0005
    assert (theirs - ours).abs().max() < 0.05  # llama.cpp looks GELU up in a table of 16-bit numbers
    ids, checked = rows[0][:5], 0
    with torch.inference_mode():
        for _ in range(50):
            (first, second), (token, _) = network(torch.tensor([ids])).logits[0, -1].topk(2)
            if first - second > 0.05:  # else the two are as good as tied
                assert judge.greedy(ids) == token
                checked += 1
            ids.append(int(token))
    assert checked > 40


@pytest.mark.parametrize(("kind", "most"), [("f16", 0.001), ("bf16", 0.005), ("q8_0", 0.01)])
@pytest.mark.parametrize("shape", ["GPT-2", "Llama"])
def test_fewer_bits_change_the_bits_per_byte_by_little(shape, kind, most, bpe, rows, tmp_path):
    ours = nats_of(saved(SHAPES[shape], bpe, tmp_path / "hf"), rows).sum()
    theirs = sum(map(sum, LlamaCpp(written(tmp_path / "hf", tmp_path, kind), CONTEXT).nats(rows)))
    assert 0 < abs(theirs / ours - 1) < most


def cut(*patterns):
    """A byte-level pre-tokenizer that cuts by these patterns."""
    cuts = [hf.pre_tokenizers.Split(hf.Regex(pattern), "isolated") for pattern in patterns]
    return hf.pre_tokenizers.Sequence([*cuts, hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


GPT_2 = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
VOCABULARIES = {
    "gpt-2": GPT_2,
    "smollm": hf.pre_tokenizers.Sequence([hf.pre_tokenizers.Digits(individual_digits=True), GPT_2]),
    "llama-bpe": cut(_gguf_vocabulary.LLAMA_3),
    "dbrx": cut(_gguf_vocabulary.LLAMA_3),
    "qwen2": cut(_gguf_vocabulary.QWEN_2),
    "in the manner of SentencePiece": None,
}


def learnt(texts, way):
    """A small BPE that was learnt from these texts, as transformers has it."""
    spaced = VOCABULARIES[way] is None
    inner = hf.Tokenizer(hf.models.BPE(ignore_merges=way == "llama-bpe"))
    special, byte_tokens = [END, PAD, "<unk>"], [f"<0x{byte:02X}>" for byte in range(256)]
    if spaced:
        inner.normalizer = hf.normalizers.Replace(" ", "▁")
    else:
        inner.pre_tokenizer, inner.decoder = VOCABULARIES[way], hf.decoders.ByteLevel()
    alphabet = [] if spaced else hf.pre_tokenizers.ByteLevel.alphabet()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=900, special_tokens=special + byte_tokens * spaced, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    if spaced:  # SentencePiece has a merge for whatever two tokens make a third one
        vocabulary = inner.get_vocab()
        merges = generate_merges(vocabulary, [(token, -float(i)) for token, i in vocabulary.items()])
        inner.model = hf.models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
        inner.add_special_tokens(special)
    inner.add_tokens(["[scene]"])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)


@pytest.mark.parametrize("way", VOCABULARIES)
def test_llama_cpp_makes_the_same_tokens_of_500_texts_in_many_scripts(way, starter_texts, tmp_path):
    tokenizer = Pretrained(learnt(starter_texts[:100], way))
    saved(transformers.GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8), tokenizer, tmp_path / "hf")
    file = written(tmp_path / "hf", tmp_path, "f16")
    judge = LlamaCpp(file, CONTEXT)
    texts = [*texts_of_many_scripts(450), *starter_texts[-50:]]
    assert [judge.ids(text) for text in texts] == list(tokenizer.encode_batch(texts))
    assert judge.ids("The", whole=True) == [tokenizer.end_id, *tokenizer.encode("The")]
    if VOCABULARIES[way]:
        assert field(file, "tokenizer.ggml.pre") == way


def field(file, name):
    return gguf.GGUFReader(file).fields[name].contents()


def test_the_file_says_what_the_card_and_the_tokenizer_say(bpe, tmp_path):
    saved(SHAPES["Mistral"], bpe, tmp_path / "hf")
    (tmp_path / "hf/README.md").write_text("---\nlicense: apache-2.0\nmodel_name: Harbour\n---\n# Harbour\n")
    (tmp_path / "hf/chat_template.jinja").write_text("{{ messages[0].content }}")
    file = written(tmp_path / "hf", tmp_path, "q8_0")
    assert field(file, "general.name") == "Harbour"
    assert field(file, "general.license") == "apache-2.0"
    assert field(file, "general.file_type") == gguf.LlamaFileType.MOSTLY_Q8_0
    assert field(file, "tokenizer.chat_template") == "{{ messages[0].content }}"
    assert field(file, "tokenizer.ggml.bos_token_id") == field(file, "tokenizer.ggml.eos_token_id") == bpe.end_id
    assert field(file, "llama.context_length") == 80  # no longer than Mistral's window, which llama.cpp does not have


def test_what_a_tokenizer_puts_before_a_text_stands_before_it_in_llama_cpp(bpe, tmp_path):
    saved(SHAPES["GPT-2"], bpe, tmp_path / "hf")
    path = tmp_path / "hf/tokenizer.json"
    inner = hf.Tokenizer.from_file(str(path))
    inner.post_processor = hf.processors.TemplateProcessing(f"{PAD} $A", special_tokens=[(PAD, bpe.pad_id)])
    inner.save(str(path))
    judge = LlamaCpp(written(tmp_path / "hf", tmp_path, "f16"), CONTEXT)
    assert judge.ids("The", whole=True) == [bpe.pad_id, *bpe.encode("The")]


def test_matrices_have_the_type_that_was_asked_for_and_vectors_32_bits(bpe, tmp_path):
    network = saved(SHAPES["GPT-2"], bpe, tmp_path / "hf")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(written(tmp_path / "hf", tmp_path, "q8_0")).tensors}
    types = {name: tensor.tensor_type.name for name, tensor in tensors.items()}
    assert types.pop("position_embd.weight") == "F32"
    assert {types[name] for name in types if name.endswith(".bias") or "norm" in name} == {"F32"}
    assert {types[name] for name in types if name.endswith(".weight") and "norm" not in name} == {"Q8_0"}
    assert "output.weight" not in types  # it is the embedding
    kept = gguf.dequantize(tensors["blk.1.ffn_up.weight"].data, gguf.GGMLQuantizationType.Q8_0)
    ours = network.transformer.h[1].mlp.c_fc.weight.detach().numpy().T
    assert np.abs(kept - ours).max() < np.abs(ours).max() / 127


def test_rows_that_are_no_multiple_of_32_numbers_are_f16(bpe, tmp_path):
    saved(transformers.GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8), bpe, tmp_path / "hf")
    file = written(tmp_path / "hf", tmp_path, "q8_0")
    types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}
    assert types["token_embd.weight"] == "F16"
    assert types["blk.0.ffn_down.weight"] == "Q8_0"


def test_the_program_of_the_card_opens_the_file_and_writes_a_text(bpe, tmp_path):
    saved(SHAPES["GPT-2"], bpe, tmp_path / "hf")
    out = written(tmp_path / "hf", tmp_path / "out", "q8_0").parent
    program = format_of("gguf").opening(out)
    assert len(program.splitlines()) == 2
    ended = subprocess.run([sys.executable, "-c", program], cwd=out, capture_output=True, check=True, timeout=60)
    assert ended.stdout.strip()


REFUSED = {
    "this model is a gpt_neo": transformers.GPTNeoConfig(
        hidden_size=8, num_layers=1, num_heads=1, attention_types=[[["global"], 1]]
    ),
    "activation_function = gelu_new, and this model has relu": transformers.GPT2Config(
        **GPT2_SHAPED, activation_function="relu"
    ),
    "rope_type = default, and this model has linear": transformers.Qwen3Config(
        **LLAMA_SHAPED, rope_parameters={"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0}
    ),
    "layer_types = ": transformers.Gemma3TextConfig(
        **GEMMA_SHAPED, layer_types=["full_attention", "sliding_attention", "sliding_attention"]
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_llama_cpp_would_compute_in_another_way_is_refused_in_a_line(said, bpe, tmp_path):
    saved(REFUSED[said], bpe, tmp_path / "hf")
    refused(tmp_path, said)


def refused(folder, said):
    """The line that refuses to write folder/hf, and that nothing is left behind."""
    with pytest.raises(OptionError) as caught:
        written(folder / "hf", folder / "out", "f16")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any((folder / "out").iterdir())


def test_a_tokenizer_that_llama_cpp_does_not_know_is_refused_in_a_line(bpe, tmp_path):
    saved(SHAPES["GPT-2"], bpe, tmp_path / "hf")
    path = tmp_path / "hf/tokenizer.json"
    inner = hf.Tokenizer.from_file(str(path))
    for pre_tokenizer in (cut(r"\s"), hf.pre_tokenizers.ByteLevel(add_prefix_space=True)):
        inner.pre_tokenizer = pre_tokenizer
        inner.save(str(path))
        refused(tmp_path, "cuts texts into words in a way that llama.cpp has no name for")


def test_a_vocabulary_without_all_its_merges_is_refused_in_a_line(starter_texts, tmp_path):
    tokenizer = Pretrained(learnt(starter_texts[:20], "in the manner of SentencePiece"))
    saved(SHAPES["GPT-2"], tokenizer, tmp_path / "hf")
    path = tmp_path / "hf/tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["merges"].pop()
    path.write_text(json.dumps(content))
    refused(tmp_path, "has no merge for")


def test_a_full_disk_leaves_no_file_that_looks_whole(bpe, tmp_path):
    resource = pytest.importorskip("resource")
    saved(SHAPES["Llama"], bpe, tmp_path / "hf")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"\w"):
            written(tmp_path / "hf", tmp_path / "out", "f16")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "out").glob("*.gguf"))
