"""ONNX: ONNX Runtime gives the scores of the model, whatever was read before and in whatever rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import networks
import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from conftest import small_model
from shaped_models import shaped

from arasuji import models, tokenizers
from arasuji.errors import OptionError
from arasuji.exports import _readback, onnx

pytestmark = pytest.mark.slow

CLOSE = 1e-3
WORDS = ["<end>", "<unk>", "<pad>", *(f"word{i}" for i in range(197))]


LLAMA = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
MIXED = ["sliding_attention", "full_attention"]
SHAPES = {
    "GPT-2": transformers.GPT2Config(n_layer=2, n_head=4, n_embd=32, n_positions=256),
    "Llama": transformers.LlamaConfig(**LLAMA, rope_parameters={"rope_type": "default", "rope_theta": 500.0}),
    "Mistral": transformers.MistralConfig(**LLAMA, sliding_window=9),
    "Qwen 3": transformers.Qwen3Config(**LLAMA, head_dim=16),
    "Gemma 3": transformers.Gemma3TextConfig(**LLAMA, head_dim=16, sliding_window=9, layer_types=MIXED),
}
"""Windows are shorter than what is read."""
TRANSFORMERS_JS = "4.3.2"
SCRIPT = """
import { pipeline, env } from "@huggingface/transformers";
env.allowRemoteModels = false;
const write = await pipeline("text-generation", process.argv[2], { dtype: "fp32" });
const options = { max_new_tokens: 20, min_new_tokens: 20, do_sample: false, add_special_tokens: true };
console.log(JSON.stringify(await write("After years", options)));
"""


class Graph:
    """A graph of a transformer, with what it has read."""

    def __init__(self, folder):
        (file,) = (folder / "onnx").iterdir()
        self.session = onnxruntime.InferenceSession(file)
        self.past = {i.name: i.shape for i in self.session.get_inputs()[3:]}

    def read(self, ids, state=None, pads=None):
        """The scores (B, T, V) of rows that begin with so many pads, and the state."""
        ids, pads = np.asarray(ids), np.asarray([0] * len(ids) if pads is None else pads)
        read, tensors = state or (0, {n: np.zeros((len(ids), s[1], 0, s[3]), "f4") for n, s in self.past.items()})
        columns = np.arange(read + ids.shape[1])[None]
        told = {
            "input_ids": ids,
            "attention_mask": (columns >= pads[:, None]).astype(np.int64),
            "position_ids": (columns - pads[:, None]).clip(min=0)[:, read:],
        }
        scores, *after = self.session.run(None, told | tensors)
        return scores, (read + ids.shape[1], dict(zip(tensors, after, strict=True)))


@pytest.fixture(scope="module")
def gpt2(exported, tmp_path_factory):
    """A folder of a small GPT-2. Not to be changed."""
    out = tmp_path_factory.mktemp("onnx")
    onnx.write(exported[0], out, "fp32")
    return out


@pytest.fixture(scope="module")
def lstm(bpe, tmp_path_factory):
    """A small LSTM with an adaptive softmax and dropout, and the folder of its step."""
    model = small_model("lstm", bpe, dropout=0.5, layer_dropout=0.5, cutoffs=[50, 120]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # with opinions
    out = tmp_path_factory.mktemp("step")
    bpe.save(out)
    onnx.write_step(model, out, "fp32")
    return model, out


def opened(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.inference_mode()
def same_scores(folder, out):
    """Whether rows in three portions, their state carried on, have the scores of transformers."""
    network, graph = opened(folder), Graph(out)
    for rows in (1, 3):
        cache = state = None
        for width in (1, 7, 64):
            ids = torch.randint(network.config.vocab_size, (rows, width), generator=torch.Generator().manual_seed(0))
            read = network(ids, past_key_values=cache, use_cache=True)
            scores, state = graph.read(ids.numpy(), state)
            cache = read.past_key_values
            assert np.abs(scores - read.logits.numpy()).max() <= CLOSE


@torch.inference_mode()
def same_greedy_tokens(folder, out):
    """Whether the likeliest hundred tokens, one after the other, are those of transformers."""
    network, graph = opened(folder), Graph(out)
    ours, theirs, cache, state = [5, 6, 7], [5, 6, 7], None, None
    for place in [slice(0, 3), *(slice(i, i + 1) for i in range(3, 102))]:
        read = network(torch.tensor([ours[place]]), past_key_values=cache, use_cache=True)
        cache = read.past_key_values
        ours.append(int(read.logits[0, -1].argmax()))
        scores, state = graph.read([theirs[place]], state)
        theirs.append(int(scores[0, -1].argmax()))
    assert theirs == ours


def test_a_graph_has_the_scores_of_its_transformer_whatever_was_read_before(exported, gpt2):
    same_scores(exported[0], gpt2)


def test_a_graph_writes_the_likeliest_tokens_of_its_transformer(exported, gpt2):
    same_greedy_tokens(exported[0], gpt2)


def test_a_row_that_begins_with_pads_has_the_scores_that_it_has_alone(gpt2):
    graph = Graph(gpt2)
    alone, _ = graph.read([[5, 6, 7]])
    beside, state = graph.read([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]], pads=[2, 0])
    assert np.allclose(beside[0, 2:], alone[0], atol=1e-4)
    alone, _ = graph.read([[5, 6, 7, 8]])
    later, _ = graph.read([[8], [9]], state, pads=[2, 0])
    assert np.allclose(later[0, 0], alone[0, 3], atol=1e-4)


def test_a_folder_has_what_the_hubs_folders_have(gpt2):
    files = {str(path.relative_to(gpt2)) for path in gpt2.rglob("*") if path.is_file()}
    assert files == {"onnx/model.onnx", *onnx.BESIDE}
    session = Graph(gpt2).session
    names = [i.name for i in session.get_inputs()]
    assert names[:4] == ["input_ids", "attention_mask", "position_ids", "past_key_values.0.key"]
    assert [o.name for o in session.get_outputs()][:3] == ["logits", "present.0.key", "present.0.value"]


@torch.inference_mode()
def same_steps(model, out):
    (file,) = (out / "onnx").iterdir()
    session = onnxruntime.InferenceSession(file)
    shapes = {i.name: i.shape for i in session.get_inputs()[1:]}
    for rows in (1, 3):
        state, tensors = None, {name: np.zeros((s[0], rows, s[2]), "f4") for name, s in shapes.items()}
        ids = torch.arange(rows)[:, None]
        for _ in range(100):  # the likeliest tokens
            scores, state = model.step(ids, torch.ones(rows), state)
            found, *after = session.run(None, {"input_ids": ids.numpy(), **tensors})
            tensors = dict(zip(tensors, after, strict=True))
            assert np.abs(found - scores.numpy()).max() <= CLOSE
            assert found.argmax(-1).tolist() == scores.argmax(-1).tolist()
            ids = scores.argmax(-1, keepdim=True)


def test_a_step_of_an_lstm_has_its_scores_with_the_state_carried_on_and_nothing_dropped(lstm):
    same_steps(*lstm)


def test_a_step_names_its_state(lstm):
    session = onnxruntime.InferenceSession(lstm[1] / "onnx/model.onnx")
    assert [i.name for i in session.get_inputs()] == ["input_ids", "hidden", "cell"]
    assert [o.name for o in session.get_outputs()] == ["logits", "next_hidden", "next_cell"]


@pytest.mark.parametrize("which", ["transformer", "LSTM", "LSTM of words"])
def test_the_program_of_the_card_writes_a_text(which, gpt2, lstm, tmp_path):
    out = shutil.copytree(gpt2 if which == "transformer" else lstm[1], tmp_path / "out")
    if which == "LSTM of words":
        (out / "tokenizer.json").unlink()
        words = tokenizers.kind("word").Word([*WORDS, *(f"more{i}" for i in range(len(WORDS), 400))])
        words.save(out)
    ran = subprocess.run([sys.executable, "-c", onnx.opening(out)], cwd=out, capture_output=True, text=True)
    assert not ran.stderr
    assert ran.stdout.startswith("<end> <unk> <unk> " if which == "LSTM of words" else "After years")


def test_a_family_says_whether_one_step_of_it_can_be_written():
    assert models.family("lstm").one_step
    assert not any(models.family(name).one_step for name in ("ngram", "mixture", "transformer"))


@pytest.mark.packages
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_architectures_that_people_fine_tune_have_their_scores_and_tokens(name, bpe, tmp_path):
    model = shaped(SHAPES[name], bpe, tmp_path / "model")
    onnx.write(model, tmp_path, "fp32")
    same_scores(model, tmp_path)
    same_greedy_tokens(model, tmp_path)


@pytest.mark.packages
@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
def test_a_transformer_in_8_bits_is_smaller_and_prices_texts_alike(name, bpe, starter_texts, tmp_path):
    model = shaped(SHAPES[name], bpe, tmp_path / "model")
    nats = {}
    for kind in onnx.FILES:
        (tmp_path / kind).mkdir()
        onnx.write(model, tmp_path / kind, kind)
        ids = np.array([[bpe.end_id, *bpe.encode(starter_texts[0])][:64]])
        scores = torch.from_numpy(Graph(tmp_path / kind).read(ids)[0])[0, :-1].log_softmax(-1)
        nats[kind] = float(-scores.gather(1, torch.from_numpy(ids[0, 1:, None])).sum())
    assert nats["int8"] == pytest.approx(nats["fp32"], rel=0.015)
    sizes = [(tmp_path / kind / file).stat().st_size for kind, file in onnx.FILES.items()]
    assert sizes[1] < sizes[0]


@pytest.mark.packages
@pytest.mark.parametrize("options", [{}, {"tie_weights": True}, {"cutoffs": [50]}])
def test_lstms_with_other_outputs_have_their_scores_in_8_bits_too(options, bpe, tmp_path):
    model = small_model("lstm", bpe, dropout=0.1, **options).eval()
    onnx.write_step(model, tmp_path, "fp32")
    same_steps(model, tmp_path)
    (tmp_path / "int8").mkdir()
    onnx.write_step(model, tmp_path / "int8", "int8")
    state = {name: np.zeros((2, 1, 32), "f4") for name in ("hidden", "cell")}
    ids = np.array([[bpe.end_id]])
    whole, light = (
        onnxruntime.InferenceSession(folder / "onnx" / file).run(None, {"input_ids": ids, **state})[0]
        for folder, file in ((tmp_path, "model.onnx"), (tmp_path / "int8", "model_quantized.onnx"))
    )
    assert 0 < np.abs(whole - light).max() < 0.1


@pytest.mark.packages
def test_transformers_js_opens_the_folder_and_writes_the_same_text(exported, gpt2, tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    install = [npm, "install", "--ignore-scripts", "--prefix", tmp_path, f"@huggingface/transformers@{TRANSFORMERS_JS}"]
    subprocess.run(install, check=True, capture_output=True, timeout=600)
    (tmp_path / "write.mjs").write_text(SCRIPT)
    ran = subprocess.run(["node", "write.mjs", gpt2], cwd=tmp_path, capture_output=True, text=True, check=True)
    ids = transformers.AutoTokenizer.from_pretrained(exported[0])("After years", return_tensors="pt").input_ids
    written = opened(exported[0]).generate(ids, do_sample=False, max_new_tokens=20, min_new_tokens=20)[0]
    text = transformers.AutoTokenizer.from_pretrained(exported[0]).decode(written, skip_special_tokens=True)
    assert json.loads(ran.stdout)[0]["generated_text"] == text


def test_an_architecture_that_remembers_more_than_keys_and_values_is_refused(tmp_path):
    networks.lfm2().save_pretrained(tmp_path / "model")
    with pytest.raises(OptionError, match="lfm2 remembers more than keys and values"):
        onnx.write(tmp_path / "model", tmp_path, "fp32")


def test_other_numbers_than_those_of_the_model_are_refused():
    ours = torch.tensor([[1.0, -20.0]])
    _readback.require_same("ONNX Runtime", ours, ours + 0.01)
    for theirs in (ours + 0.1, ours * torch.nan):
        with pytest.raises(OptionError, match="ONNX Runtime computes other numbers than this model"):
            _readback.require_same("ONNX Runtime", ours, theirs)


def test_a_missing_package_is_one_line(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(OptionError, match=r"ONNX needs no_such_package: pip install 'arasuji\[export\]'"):
        onnx.write(exported[0], tmp_path, "fp32")


TOLD = """
from arasuji.exports import _onnx_graph
with _onnx_graph._quiet():
    import onnxruntime
"""


def test_an_export_sends_nothing_to_the_makers_of_onnx_runtime(tmp_path):
    chosen = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment = chosen | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", TOLD], check=True, env=environment)
    assert not [*tmp_path.iterdir()]  # not the file by which it counts its sessions
