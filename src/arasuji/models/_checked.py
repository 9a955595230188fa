"""A saved model is anyone's: its tensors are held to its configuration here, before memory is taken or a loop is run.

The loops of `int8.kernels` check no bounds, and transformers makes whatever a configuration says. So every shape, type
and range that they rely on is checked first, and what is read is bounded by the files that hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from arasuji.errors import BaseModelError, first_line
from arasuji.files import regular

Shape = tuple[int, ...]
LARGEST = 2**24
"""The largest whole number of a configuration: more than any vocabulary or context."""
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")


class Kind(NamedTuple):
    """What a tensor must be."""

    shape: Shape
    dtype: torch.dtype


class Matrix(NamedTuple):
    """A layer x W^T + b, W (rows, columns)."""

    name: str
    rows: int
    columns: int
    bias: bool


class Decoder(NamedTuple):
    """The tensors of a GPT-2 or a Llama, by transformers' names without its prefix."""

    embedding: str
    width: int
    vocabulary: int
    matrices: list[Matrix]
    vectors: dict[str, Shape]
    """Norms and positions: what is never in 8 bits."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file. Raises OSError (no regular file) and ValueError (damaged)."""
    with regular(path):
        pass
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from error


def shapes_in(folder: Path) -> dict[str, Shape]:
    """The shapes of all tensors in a folder's safetensors files, by their headers alone. Raises ValueError."""
    found: dict[str, Shape] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with regular(path, follow=True):
                pass
            with safe_open(path, "pt") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path.name}: {error}") from error
    return found


def check(tensors: Mapping[str, Tensor], wanted: Mapping[str, Kind]) -> dict[str, Tensor]:
    """The tensors, numbers with a point as float32, which compiled loops read. Raises ValueError unless they are those
    that are wanted, hold finite numbers, and scales above 0."""
    if different := sorted(tensors.keys() ^ wanted.keys()):
        raise ValueError(f"the tensor {different[0]} is {'missing' if different[0] in wanted else 'not wanted'}")
    for name, tensor in tensors.items():
        check_one(name, tensor, *wanted[name])
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def floats(shapes: Mapping[str, Shape]) -> dict[str, Kind]:
    """Tensors of numbers with a point."""
    return {name: Kind(shape, torch.float32) for name, shape in shapes.items()}


def in_8_bits(matrices: Iterable[Matrix]) -> dict[str, Kind]:
    """The tensors of such layers, their matrices in 8 bits."""
    wanted = {}
    for name, rows, columns, bias in matrices:
        wanted[f"{name}.weight"] = Kind((rows, columns), torch.int8)
        wanted |= floats({f"{name}.{part}": (rows,) for part in ("scale", *(["bias"] if bias else []))})
    return wanted


def check_one(name: str, tensor: Tensor, shape: Shape, dtype: torch.dtype) -> None:
    """The same of one tensor; of numbers with a point, any type will do where float32 is wanted and none is a scale."""
    fits = tensor.dtype == dtype or (dtype.is_floating_point and tensor.is_floating_point() and name[-6:] != ".scale")
    if tuple(tensor.shape) != shape or not fits:
        kinds = f"{tensor.dtype} {tuple(tensor.shape)}", f"{dtype} {shape}"
        raise ValueError(
            f"the tensor {name} is {kinds[0]}, and the configuration wants {kinds[1]}".replace("torch.", "")
        )
    if tensor.is_floating_point() and not math.isfinite(float(tensor.sum(dtype=torch.float32))):
        raise ValueError(f"the tensor {name} holds numbers that are not finite")
    if name.endswith(".scale") and tensor.numel() and float(tensor.min()) <= 0:
        raise ValueError(f"the scales {name} are not all above 0")
    if tensor.dtype == torch.int8 and tensor.numel() and tensor.numpy().min() == -128:
        raise ValueError(f"the tensor {name} holds -128, which no 8-bit weight is")


def check_config(content: Any, tensors: Mapping[str, Shape]) -> None:
    """Raise ValueError where a model's configuration, as JSON, has more layers than the weights beside it can hold.
    (`bases.check` has looked at its other numbers.)"""
    if not isinstance(content, dict):
        raise ValueError("the configuration holds no names")
    for key, value in _numbers(content):
        if key in LAYERS and not 0 <= value <= max(len(tensors), 1):
            raise ValueError(f"{key} = {value:,}, and there are {len(tensors):,} tensors")


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number of nested JSON, with the name it is below."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def check_floats(config: Any, shape: Any, tensors: Mapping[str, Shape]) -> None:
    """Raise ValueError unless the tensors of a GPT-2 or Llama, by their shapes, are those that its configuration wants;
    `shape` is the file that knows its blocks."""
    wanted: dict[str, Shape] = {}
    decoder: Decoder = shape.decoder(config)
    for name, rows, columns, bias in decoder.matrices:
        wanted[f"{name}.weight"] = (columns, rows) if shape.TRANSPOSED else (rows, columns)
        if bias:
            wanted[f"{name}.bias"] = (rows,)
    wanted |= decoder.vectors | {f"{decoder.embedding}.weight": (decoder.vocabulary, decoder.width)}
    bare = {name.removeprefix(f"{shape.PREFIX}."): of for name, of in tensors.items()}
    if not config.tie_word_embeddings:
        wanted["lm_head.weight"] = (decoder.vocabulary, decoder.width)
    for name, of in wanted.items():
        if name not in bare:
            raise ValueError(f"its weights lack {name}")
        if bare[name] != of:
            raise ValueError(f"the tensor {name} is {bare[name]}, and the configuration wants {of}")


def check_sizes(network: nn.Module, tensors: Mapping[str, Shape]) -> None:
    """Raise ValueError where another model, as transformers makes it (on the device "meta"), is larger than the weights
    that are there for it; a head may be stored once with the embedding."""
    held = sum(math.prod(of) for of in tensors.values())
    parts = [*network.parameters(), *network.buffers()]
    if sum(part.numel() for part in parts) > 2 * held + LARGEST:
        raise ValueError(f"the configuration wants more than the {held:,} numbers that its weights hold")


def refused(folder: Path, error: Exception) -> BaseModelError:
    """The one line about a folder that is not opened."""
    reason = first_line(error)
    return BaseModelError(f"{folder} is refused: {reason}")
