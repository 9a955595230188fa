"""ONNX, which ONNX Runtime computes on most machines and in browsers: a transformer with its cache, or one step of an
LSTM.

    transformer   input_ids (B, T), attention_mask (B, S + T), position_ids (B, T) int64,
                  past_key_values.LAYER.key and .value (B, heads, S, size) float32
                  -> logits (B, T, V), present.LAYER.key and .value (B, heads, S + T, size)
    LSTM          input_ids (B, 1) int64, hidden and cell (layers, B, size) float32
                  -> logits (B, V), next_hidden and next_cell (layers, B, size)

B rows have read S tokens and read T more; V tokens have a score. Before the first token S is 0, and a state is zeros.
The logits of an adaptive softmax are log-probabilities. In a transformer a shorter row begins with pads, whose mask is
0; positions count from its first real token. These are the names of the hub's ONNX folders, and so is onnx/model.onnx
(in 8 bits onnx/model_quantized.onnx), so that Transformers.js opens the folder.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from arasuji.errors import OptionError
from arasuji.exports import Format
from arasuji.exports._onnx_graph import save_in_8_bits, traced
from arasuji.exports._onnx_opening import program
from arasuji.models import LanguageModel

FILES = {"fp32": Path("onnx/model.onnx"), "int8": Path("onnx/model_quantized.onnx")}
"""The types, and the file of each. A graph of more than 2 GB has its weights in a file beside it."""
BESIDE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""What Transformers.js reads besides."""
ROWS = "batch_size"
"""The name of the dimension; Transformers.js looks for it."""
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def write(model: Path, out: Path, kind: str) -> None:
    """Write the transformers folder `model` as a graph, with its tokenizer and its configuration.

    Raises OptionError, one line, where a package is missing, or for an architecture that remembers more than keys and
    values.
    """
    _require_packages()
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False
    ).eval()
    past = _keys_and_values(network)
    names = [f"{layer}.{part}" for layer in range(len(past) // 2) for part in ("key", "value")]
    graph = traced(
        Cached(network),
        _reading(network, past, rows=2, new=4, read=3),
        _reading(network, past, rows=3, new=5, read=8),
        (
            {0: ROWS, 1: "sequence_length"},
            {0: ROWS, 1: "total_sequence_length"},
            {0: ROWS, 1: "sequence_length"},
            [{0: ROWS, 2: "past_sequence_length"} for _ in past],
        ),
        ["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names)],
        ["logits", *(f"present.{name}" for name in names)],
    )
    _save(graph, out, kind)
    for name in BESIDE:
        shutil.copyfile(model / name, out / name)


def write_step(model: LanguageModel, out: Path, kind: str) -> None:
    """Write one step of a model with a state of fixed size (`Family.one_step`) as a graph. The model is in float32, on
    the CPU, in evaluation mode.

    Raises OptionError, one line, where a package is missing.
    """
    _require_packages()
    ids = _random_tokens(5, 1, model.vocabulary_size)
    with torch.no_grad():
        _, after = model.step(ids, torch.ones_like(ids[:, 0]))
    state = after.tensors()
    graph = traced(
        Step(model, list(state)),
        (ids[:2], [tensor[:, :2] for tensor in state.values()]),
        (ids, list(state.values())),
        ({0: ROWS}, [{1: ROWS} for _ in state]),
        ["input_ids", *state],
        ["logits", *(f"next_{name}" for name in state)],
    )
    _save(graph, out, kind)


class Cached(nn.Module):
    """A `...ForCausalLM` of transformers, its cache as tensors: the key and the value of each layer in turn."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, past: list[Tensor]
    ) -> tuple[Tensor, ...]:
        from transformers import DynamicCache

        read = self.network(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=DynamicCache(list(zip(past[::2], past[1::2], strict=True))),
            use_cache=True,
        )
        return read.logits, *(part for layer in read.past_key_values.layers for part in (layer.keys, layer.values))


class Step(nn.Module):
    """One step of a model, its state as tensors; `names` are those of `State.tensors`."""

    def __init__(self, model: LanguageModel, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, input_ids: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        before = self.model.state_from(dict(zip(self.names, state, strict=True)))
        scores, after = self.model.step(input_ids, torch.ones_like(input_ids[:, 0]), before)
        return scores, *after.tensors().values()


def opening(out: Path) -> str:
    """See `Format`."""
    (file,) = (path.as_posix() for path in FILES.values() if (out / path).exists())
    return program(out, file)


def _require_packages() -> None:
    missing = [name for name in PACKAGES if not find_spec(name)]
    if missing:
        raise OptionError(f"ONNX needs {', '.join(missing)}: pip install 'arasuji[export]'")


def _keys_and_values(network: Any) -> list[Tensor]:
    """The key and the value of each layer after one token, (1, heads, 1, size)."""
    with torch.inference_mode():
        read = network(torch.zeros(1, 1, dtype=torch.int64), use_cache=True)
    layers = getattr(read.get("past_key_values"), "layers", [])
    parts = [getattr(layer, part, None) for layer in layers for part in ("keys", "values")]
    if not parts or any(part is None for part in parts):
        raise OptionError(
            f"the architecture {network.config.model_type} remembers more than keys and values, for which there is no "
            "usual form in ONNX: say --to hf"
        )
    return [part.clone() for part in parts if part is not None]


def _reading(network: Any, past: list[Tensor], rows: int, new: int, read: int) -> tuple[Any, ...]:
    """Arguments of `Cached`: rows that have read some tokens and read new ones."""
    ids = _random_tokens(rows, new, network.get_input_embeddings().num_embeddings)
    mask = torch.ones(rows, read + new, dtype=torch.int64)
    mask[0, :2] = 0  # the first row is shorter
    positions = torch.arange(read, read + new).expand(rows, new).clone()
    positions[0] -= 2
    generator = torch.Generator().manual_seed(0)
    shapes = [(rows, part.shape[1], read, part.shape[3]) for part in past]
    return ids, mask, positions, [torch.randn(shape, generator=generator) for shape in shapes]


def _random_tokens(rows: int, columns: int, vocabulary_size: int) -> Tensor:
    """The same each time."""
    return torch.randint(vocabulary_size, (rows, columns), generator=torch.Generator().manual_seed(0))


def _save(graph: Any, out: Path, kind: str) -> None:
    path = out / FILES[kind]
    path.parent.mkdir()
    if kind == "int8":
        save_in_8_bits(graph, path)
    else:
        graph.save(path)


FORMAT = Format(tuple(FILES), write, opening, write_step)
