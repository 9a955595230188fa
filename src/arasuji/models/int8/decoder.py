"""A GPT-2, a Llama or a relative of it with 8-bit matrices, for writing on a CPU: how it is made from a transformers
model, kept in a folder, and opened without transformers, whose import takes seconds.

All new tokens go through the blocks in one compiled loop (`kernels.decoder`), whether they are the next one of each
text or whole prompts: a prompt that is read at once gives the same, to the last bit, as one read token by token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import save_file
from torch import Tensor

from arasuji import device
from arasuji.files import read_json
from arasuji.models import LanguageModel, Loss
from arasuji.models._cache import GROWTH, CacheState, rounded
from arasuji.models._checked import LARGEST, Matrix, check, floats, in_8_bits, read_tensors
from arasuji.models._head import cross_entropy, token_losses
from arasuji.models._llama import rotations
from arasuji.models.int8 import kernels, team
from arasuji.models.int8.matrix import NO_ROWS, Int8Matrix, Quantized, quantized, work

CONFIG = "int8.json"
REST = "int8.safetensors"
BLOCK = "block-{:03}.safetensors"
"""A file a block: a file that is open counts as memory, so they are small."""
PARTS = kernels.Blocks._fields
NORMS = ("first", "query", "key", "after_out", "second", "after_down")
NO_WINDOW = 2**31
"""The window of a layer that reads all tokens: more than there are."""


class Shape(BaseModel):
    """What the tensors of a folder must fit."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    vocabulary: int = Field(ge=1)
    context: int = Field(ge=2, le=LARGEST)
    """The most tokens of a row."""
    layers: int = Field(ge=1)
    width: int = Field(ge=1)
    """Size of a token's vector."""
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    """Heads of keys and values, each shared by `heads / kv_heads` query heads."""
    head_size: int = Field(ge=1)
    inner: int = Field(ge=1)
    """Size of a block's activations."""
    activation: Literal["gelu", "swiglu", "geglu"]
    """The last two have a gate, which is the first half of `up`."""
    centred: bool
    """Whether norms are layer norms; otherwise they are RMS norms."""
    epsilon: float = Field(gt=0, lt=1)
    windows: list[int | None] = []
    """For each layer how many of the last tokens a token reads, None for all; empty where all layers read all."""
    rotations: list[int] = []
    """For each layer the number of its frequencies; empty where positions are added to the embedding."""
    embedding_scale: float = Field(1, gt=0, lt=LARGEST)
    """Embeddings are multiplied by this as they are read."""
    norms: list[str]
    """Those of `NORMS` that a block has (see `kernels.Blocks`)."""
    tied: bool
    """The output layer is the embedding."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.heads % self.kv_heads or (self.rotations and self.head_size % 2):
            raise ValueError(f"{self.heads} heads of {self.head_size} with {self.kv_heads} KV heads make no model")
        if any(len(of_layers) not in (0, self.layers) for of_layers in (self.windows, self.rotations)):
            raise ValueError(f"its windows or its rotations are not those of {self.layers} layers")
        if any(window is not None and not 1 <= window <= LARGEST for window in self.windows):
            raise ValueError("a window is none that a layer can have")
        if set(self.rotations) != set(range(self.kinds)):
            raise ValueError("its rotations are not numbered from 0")
        norms = set(self.norms)
        if not {"first", "second"} <= norms <= set(NORMS) or len({"after_out", "after_down"} & norms) == 1:
            raise ValueError("its norms make no block")
        return self

    @property
    def kinds(self) -> int:
        """The number of kinds of rotations."""
        return len(set(self.rotations))

    @property
    def gated(self) -> bool:
        """Whether an activation has a gate."""
        return self.activation != "gelu"

    def norm_size(self, name: str) -> int:
        """How many numbers a norm has; 0 where there is none."""
        if name not in self.norms:
            return 0
        return self.head_size if name in ("query", "key") else self.width

    def traits(self) -> kernels.Traits:
        """As the loops read them."""
        windows = [NO_WINDOW if window is None else window for window in self.windows or [None] * self.layers]
        return kernels.Traits(
            self.centred, self.epsilon, self.activation == "swiglu", self.inner,
            np.array(windows), np.array(self.rotations or [0] * self.layers),
        )  # fmt: skip

    @property
    def matrices(self) -> dict[str, Matrix]:
        """A block's matrices."""
        queries = self.heads * self.head_size
        shapes = {
            "qkv": (queries + 2 * self.kv_heads * self.head_size, self.width),
            "out": (self.width, queries),
            "up": (self.inner * (2 if self.gated else 1), self.width),
            "down": (self.width, self.inner),
        }
        return {name: Matrix(name, *shape, bias=True) for name, shape in shapes.items()}


class Int8Decoder(LanguageModel):
    """See `LanguageModel` for the shapes."""

    def __init__(self, shape: Shape, rest: dict[str, Any], blocks: kernels.Blocks) -> None:
        super().__init__()
        self.shape, self.blocks, self.traits = shape, blocks, shape.traits()
        self.context_length, self.vocabulary_size = shape.context, shape.vocabulary
        self.embedding: Int8Matrix = rest["embedding"]
        self.head: Int8Matrix = rest["head"]
        self.positions: Tensor | None = rest["positions"]
        self.frequencies: Tensor | None = rest["frequencies"]
        self.last: tuple[Tensor, Tensor] = rest["last"]

    def forward(self, ids: Tensor, targets: Tensor, state: Any = None, loss: Loss | None = None) -> tuple[Tensor, None]:
        loss = loss or cross_entropy
        columns = torch.arange(ids.shape[1])
        lengths = ((targets >= 0) * (columns + 1)).amax(1).clamp_(min=1)  # pads after the last target are not read
        hidden = torch.zeros(*ids.shape, self.shape.width)
        hidden[columns < lengths[:, None]], _ = self._read(ids, lengths, state or self._empty(len(ids)), NO_ROWS)
        losses = token_losses(hidden, targets, lambda rows, *of: loss(self._scores(rows), *of), self.head.shape[0])
        return losses, None

    @device.one_thread()
    def step(self, ids: Tensor, lengths: Tensor, state: CacheState | None = None) -> tuple[Tensor, CacheState]:
        state = state or self._empty(len(ids))
        _, scores = self._read(ids, lengths, state, lengths.cumsum(0) - 1)
        return scores, state

    def _empty(self, rows: int) -> CacheState:
        return CacheState.empty(rows, self.shape.context, torch.device("cpu"), bits=True)

    def _read(self, ids: Tensor, lengths: Tensor, state: CacheState, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Read the first lengths[b] tokens of each row of ids (B, T), which follow those of the state: what the last
        norm reads of them, (n, D), row after row; and the scores (m, V) after those that are `wanted`, (m,)."""
        shape, columns = self.shape, torch.arange(ids.shape[1])
        real = columns < lengths[:, None]
        positions = (state.lengths[:, None] + columns)[real]
        slots = state.slots[:, None].expand_as(ids)[real]
        state.lengths = state.lengths + lengths
        needed = int(state.lengths.max())
        if needed > shape.context:  # compiled loops would write past the end of what is kept
            raise ValueError(f"{needed:,} tokens do not fit in a context of {shape.context:,}")
        if state.keys:
            state.make_room(needed)
        else:  # the layers' keys and values are one tensor, as if they were heads
            room = rounded(min(shape.context, needed * GROWTH))
            parts = shape.layers * 2 * shape.kv_heads
            state.keys = [torch.empty(len(ids), parts, room, shape.head_size, dtype=torch.int16)]
        x = self.embedding.rows(ids[real]).mul_(shape.embedding_scale)
        if self.positions is not None:
            x += self.positions[positions]
        cos = sin = np.empty((1, len(x), 0), np.float32)
        if self.frequencies is not None:
            cos, sin = (part.numpy() for part in rotations(positions, self.frequencies[:, None]))
        cache = state.keys[0].unflatten(1, (shape.layers, 2, shape.kv_heads)).numpy()
        scores = np.empty((len(wanted), shape.vocabulary), np.float32)
        last = tuple(part[None].numpy() for part in self.last)
        head = self.head.arrays
        output = kernels.Output(wanted.numpy(), head, *work(len(wanted), head[0].shape[1]), scores)
        team.run(
            kernels.decoder, kernels.PHASES * shape.layers + 2,
            x.numpy(), slots.numpy(), positions.numpy(), cos, sin, cache, self.blocks, self.traits,
            self._room(len(x)), last, output,
        )  # fmt: skip
        return x, torch.from_numpy(output.scores)

    def _room(self, rows: int) -> kernels.Room:
        blocks, matrices = self.blocks, self.shape.matrices
        normed, sizes = work(rows, blocks.qkv[0].shape[2])
        widths = matrices["qkv"].rows, matrices["out"].columns, matrices["up"].rows
        qkv, read, inner = (np.empty((rows, width), np.float32) for width in widths)
        read_levels, inner_levels = (work(rows, matrix[0].shape[2])[0] for matrix in (blocks.out, blocks.down))
        added = np.empty((rows, self.shape.width if "after_out" in self.shape.norms else 0), np.float32)
        return kernels.Room(sizes, normed, qkv, read, read_levels, inner, inner_levels, added)

    def _scores(self, hidden: Tensor) -> Tensor:
        """(n, D) -> (n, V)."""
        weight, bias = self.last
        if self.shape.centred:
            return self.head(F.layer_norm(hidden, weight.shape, weight, bias, self.shape.epsilon))
        return self.head(F.rms_norm(hidden, weight.shape, weight, self.shape.epsilon))

    def size(self) -> dict[str, int]:
        arrays = [array for part in self.blocks for array in part]
        tables = {id(table): table for table in (self.embedding, self.head)}.values()
        return {"parameters": sum(array.size for array in arrays) + sum(t.tiles.numel() for t in tables), "trained": 0}

    def save(self, folder: Path) -> None:
        raise TypeError("8-bit weights are made of a saved model, and not saved again")


def save(network: Any, family: Any, folder: Path) -> None:
    """Write a transformers model's weights, matrices in 8 bits; `family` is the file that knows its blocks."""
    config, body = network.config, network.base_model
    embedding, head = body.get_input_embeddings(), network.get_output_embeddings()
    blocks, last = body.get_submodule(family.LAYERS), body.get_submodule(family.LAST)
    heads, kv_heads = family.heads(config)
    names, traits = family.parts(config), family.traits(body)

    def vectors(norm: Any) -> dict[str, Tensor]:
        weight = family.norm_weight(norm, config).detach().float()
        shift = norm.bias.detach().float() if hasattr(norm, "bias") else torch.zeros_like(weight)
        return {"weight": weight, "bias": shift}

    parts: dict[str, dict[str, Tensor]] = {}
    for number, block in enumerate(blocks):
        modules = {part: [block.get_submodule(one) for one in name.split()] for part, name in names.items()}
        parts = {part: vectors(*of) if part in NORMS else _matrix_of(of) for part, of in modules.items()}
        if "query" in parts:
            parts["query"]["weight"] *= family.query_scale(config)
        save_file(_flat(parts), folder / BLOCK.format(number))
    rest = {"embedding": _matrix([embedding.weight]), "last": vectors(last)}
    tied = head.weight is embedding.weight and head.bias is None
    if not tied:
        rest["head"] = _matrix([head.weight], [] if head.bias is None else [head.bias])
    if family.POSITIONS:
        rest["positions"] = {"weight": body.get_submodule(family.POSITIONS).weight.detach().float()}
    if frequencies := list(family.frequencies(body).values()):
        rest["rotations"] = {"frequencies": torch.stack(frequencies).float()}
    save_file(_flat(rest), folder / REST)
    shape = Shape(
        vocabulary=len(head.weight),
        context=config.max_position_embeddings,
        layers=len(blocks),
        width=len(last.weight),
        heads=heads,
        kv_heads=kv_heads,
        head_size=parts["out"]["weight"].shape[1] // heads,
        inner=parts["down"]["weight"].shape[1],
        centred=hasattr(last, "bias"),
        norms=[part for part in NORMS if part in names],
        tied=tied,
        **traits,
    )
    (folder / CONFIG).write_text(shape.model_dump_json(indent=1) + "\n", "utf-8")


def _matrix_of(modules: list[Any]) -> dict[str, Tensor]:
    """The matrices of some layers that read the same rows, as one."""
    weights = [module.weight.t() if type(module).__name__ == "Conv1D" else module.weight for module in modules]
    return _matrix(weights, [module.bias for module in modules if module.bias is not None])


def _matrix(weights: list[Tensor], biases: list[Tensor] | None = None) -> dict[str, Tensor]:
    weight, scale = quantized(torch.cat(weights).detach())
    bias = torch.cat(biases).detach().float() if biases else torch.zeros(len(weight))
    return {"weight": weight, "scale": scale, "bias": bias}


def _flat(parts: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{part}.{name}": tensor.contiguous() for part, own in parts.items() for name, tensor in own.items()}


def load(folder: Path) -> Int8Decoder:
    """What `save` wrote. Raises ValueError where the tensors are not those of the shape that the folder states."""
    shape = Shape(**read_json(folder / CONFIG))
    paths = [folder / BLOCK.format(number) for number in range(len(list(folder.glob("block-*.safetensors"))))]
    if len(paths) != shape.layers:
        raise ValueError(f"there are {len(paths)} blocks, not {shape.layers:,}")
    tables = [Matrix(name, shape.vocabulary, shape.width, bias=True) for name in ("embedding", "head")]
    vectors: dict[str, tuple[int, ...]] = {"last.weight": (shape.width,), "last.bias": (shape.width,)}
    if shape.rotations:
        vectors["rotations.frequencies"] = shape.kinds, shape.head_size // 2
    else:
        vectors["positions.weight"] = shape.context, shape.width
    tensors = check(read_tensors(folder / REST), in_8_bits(tables[:1] if shape.tied else tables) | floats(vectors))
    rest: dict[str, Any] = {"last": _vectors_in(tensors, "last"), "positions": tensors.get("positions.weight")}
    rest["frequencies"] = tensors.get("rotations.frequencies")
    rest["embedding"] = _matrix_in(tensors, "embedding")
    rest["head"] = rest["embedding"] if shape.tied else _matrix_in(tensors, "head")
    norms = {f"{norm}.{part}": (shape.norm_size(norm),) for norm in shape.norms for part in ("weight", "bias")}
    wanted = in_8_bits(shape.matrices.values()) | floats(norms)
    parts: dict[str, tuple[Any, ...]] = {}
    for number, path in enumerate(paths):
        tensors = check(read_tensors(path), wanted)
        for part in PARTS:
            arrays = _norm_in(tensors, part, shape) if part in NORMS else _matrix_in(tensors, part).arrays
            if number == 0:  # what all layers have becomes one array
                parts[part] = tuple(np.empty((shape.layers, *array.shape), array.dtype) for array in arrays)
            for whole, array in zip(parts[part], arrays, strict=True):
                whole[number] = array
    return Int8Decoder(shape, rest, kernels.Blocks(**parts))


def _matrix_in(tensors: dict[str, Tensor], name: str) -> Int8Matrix:
    return Int8Matrix(Quantized(tensors[f"{name}.weight"], tensors[f"{name}.scale"]), tensors[f"{name}.bias"])


def _norm_in(tensors: dict[str, Tensor], name: str, shape: Shape) -> tuple[np.ndarray, ...]:
    """The weight and the shift of a norm, empty where there is none."""
    if name not in shape.norms:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return tuple(vector.numpy() for vector in _vectors_in(tensors, name))


def _vectors_in(tensors: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]
