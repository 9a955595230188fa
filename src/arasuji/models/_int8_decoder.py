"""A GPT-2 or Llama with 8-bit matrices: how it is made from a transformers model, kept in a folder and opened.

It has the weights under transformers' names, so that the same code reads it, and is opened without transformers, whose
import takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from arasuji.files import read_json, regular
from arasuji.models._checked import check_config, check_int8
from arasuji.models._int8 import Int8Embedding, Int8Linear, Quantized, quantized

CONFIG = "int8.json"
WEIGHTS = "int8-{:03}.safetensors"
FILE_BYTES = 2**24
"""A file of weights ends with the layer that makes it so large. An open file counts as memory, so they are small."""
HEAD = "lm_head"


class Network(nn.Module):
    """What `Transformer` wants of a transformers `...ForCausalLM`."""

    def __init__(self, body: Any, embedding: nn.Module, head: nn.Module, config: SimpleNamespace) -> None:
        super().__init__()
        self.base_model, self.embedding, self.head, self.config = body, embedding, head, config
        body.config = config

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def save(network: Any, joined: dict[str, tuple[str, ...]], folder: Path) -> None:
    """Write a transformers model's weights, matrices in 8 bits; `joined` names those that become one, which reads the
    same rows with one product."""
    body = network.base_model
    embedding, head = body.get_input_embeddings(), network.get_output_embeddings()
    tensors: dict[str, Tensor] = {}

    def keep(name: str, weight: Tensor, bias: Tensor | None) -> None:
        matrix = quantized(weight)
        tensors[f"{name}.weight"], tensors[f"{name}.scale"] = matrix
        if bias is not None:
            tensors[f"{name}.bias"] = bias.float().contiguous()

    parts = {part: (whole, i) for whole, parts in joined.items() for i, part in enumerate(parts)}
    with torch.no_grad():
        for name, module in body.named_modules():
            parent, _, own = name.rpartition(".")
            if own in parts:
                whole, place = parts[own]
                if place == 0:
                    siblings = [body.get_submodule(f"{parent}.{part}") for part in joined[whole]]
                    biases = [s.bias for s in siblings if s.bias is not None]
                    keep(
                        f"{parent}.{whole}",
                        torch.cat([s.weight for s in siblings]),
                        torch.cat(biases) if biases else None,
                    )
            elif type(module).__name__ in ("Linear", "Conv1D"):
                turned = type(module).__name__ == "Conv1D"  # GPT-2 keeps its matrices transposed
                keep(name, module.weight.t() if turned else module.weight, module.bias)
            elif module is embedding:
                keep(name, module.weight, None)
            else:
                own_parameters = module.named_parameters(recurse=False)
                tensors |= {f"{name}.{n}": p.detach().float().contiguous() for n, p in own_parameters}
        if head.weight is not embedding.weight or head.bias is not None:
            keep(HEAD, head.weight, head.bias)
    for number, part in enumerate(_parts(tensors)):
        save_file(part, folder / WEIGHTS.format(number))
    where = next(name for name, module in body.named_modules() if module is embedding)
    content = {
        "embedding": where,
        "tied": f"{HEAD}.weight" not in tensors,
        "config": {**network.config.to_dict(), "max_position_embeddings": network.config.max_position_embeddings},
    }
    (folder / CONFIG).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _parts(tensors: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors in files, those of a layer in one."""
    part: dict[str, Tensor] = {}
    for _, names in groupby(tensors, lambda name: name.rpartition(".")[0]):
        part |= {name: tensors[name] for name in names}
        if sum(tensor.nbytes for tensor in part.values()) >= FILE_BYTES:
            yield part
            part = {}
    if part:
        yield part


def load(folder: Path, shape_of: Callable[[Any], Any]) -> Network:
    """What `save` wrote. Raises ValueError where the tensors do not fit the configuration; `shape_of` gives the file
    that knows its blocks."""
    content = read_json(folder / CONFIG)
    config = SimpleNamespace(**content["config"])
    tensors: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for path in sorted(folder.glob("int8-*.safetensors")):
        with regular(path), safe_open(path, "pt") as file:
            for whole in file.keys():  # noqa: SIM118 (it is no dict)
                name, _, part = whole.rpartition(".")
                # A copy, since a file that is kept open may be replaced.
                tensors[whole] = parts.setdefault(name, {})[part] = file.get_tensor(whole).clone()
    check_config(content["config"], {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    shape = shape_of(config)
    if shape is None:
        raise ValueError(f"{config.model_type} has no 8-bit form")
    check_int8(config, shape, tensors, content["embedding"], content["tied"], HEAD)
    leaves: dict[str, Any] = {name: _leaf(of, name == content["embedding"]) for name, of in parts.items()}
    if content["tied"]:
        leaves[HEAD] = Int8Linear(leaves[content["embedding"]].matrix)
    head = leaves.pop(HEAD)
    return Network(_tree(leaves), leaves[content["embedding"]], head, config)


def _leaf(tensors: dict[str, Tensor], embedding: bool) -> nn.Module:
    """A layer."""
    if "scale" in tensors:
        matrix = Quantized(tensors["weight"], tensors["scale"])
        return Int8Embedding(matrix) if embedding else Int8Linear(matrix, tensors.get("bias"))
    if tensors["weight"].ndim > 1:
        return nn.Embedding.from_pretrained(tensors["weight"])
    leaf = nn.Module()
    for name, tensor in tensors.items():
        leaf.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
    return leaf


def _tree(leaves: dict[str, nn.Module]) -> nn.Module:
    """Modules by dotted names as one module; where the names are numbers, a list."""
    below: dict[str, dict[str, nn.Module]] = {}
    own: dict[str, nn.Module] = {}
    for name, leaf in leaves.items():
        first, _, rest = name.partition(".")
        if rest:
            below.setdefault(first, {})[rest] = leaf
        else:
            own[first] = leaf
    own |= {name: _tree(under) for name, under in below.items()}
    if all(name.isdigit() for name in own):
        return nn.ModuleList([own[name] for name in sorted(own, key=int)])
    tree = nn.Module()
    for name, module in own.items():
        tree.add_module(name, module)
    return tree
