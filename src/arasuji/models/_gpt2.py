"""GPT-2's blocks (Radford et al. 2019) over the weights of a transformers model, with fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arasuji.models._cache import Reading
from arasuji.models._checked import Decoder, Matrix, Shape
from arasuji.models._layers import attention, dropout, linear

LAYERS, LAST, POSITIONS = "h", "ln_f", "wpe"
"""Where transformers has the blocks, the last norm and the positions."""
PREFIX, TRANSPOSED = "transformer", True
"""What transformers' names begin with, and whether its matrices are stored transposed."""


def serves(config: Any) -> bool:
    """Whether this file knows the model's every option."""
    return (
        config.model_type == "gpt2"
        and config.activation_function in ("gelu_new", "gelu_pytorch_tanh")
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
        and not any(getattr(config, name, None) for name in ("logit_scale", "logits_scaling"))
    )


def decoder(config: Any) -> Decoder:
    """The tensors that a configuration wants. Raises ValueError where it is none of such a model."""
    width, heads, count = config.n_embd, config.n_head, config.n_layer
    inner = 4 * width if config.n_inner is None else config.n_inner
    if min(width, heads, count, inner, config.n_positions, config.vocab_size) < 1 or width % heads:
        raise ValueError(f"n_head = {heads}, n_embd = {width} and n_layer = {count} make no model")
    if config.max_position_embeddings != config.n_positions or not 0 < config.layer_norm_epsilon < 1:
        raise ValueError("its positions or its layer_norm_epsilon make no model")
    vectors: dict[str, Shape] = {"wpe.weight": (config.n_positions, width)}
    matrices = []
    for block in (f"h.{i}" for i in range(count)):
        sizes = {"attn.c_attn": (3 * width, width), "attn.c_proj": (width, width), "mlp.c_fc": (inner, width),
                 "mlp.c_proj": (width, inner)}  # fmt: skip
        matrices += [Matrix(f"{block}.{name}", *size, True) for name, size in sizes.items()]
        vectors |= {f"{block}.{norm}.{part}": (width,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    vectors |= {f"ln_f.{part}": (width,) for part in ("weight", "bias")}
    return Decoder("wte", width, config.vocab_size, matrices, vectors)


def hidden(model: Any, ids: Tensor, reading: Reading | None = None) -> Tensor:
    """What the output layer reads, (B, T, D), of ids (B, T), which follow what `reading` has read.

    `model` is a transformers `GPT2Model`.
    """
    config, training = model.config, model.training
    positions = torch.arange(ids.shape[1], device=ids.device) if reading is None else reading.positions
    x = model.wte(ids) + model.wpe(positions)
    x = dropout(x, config.embd_pdrop, training)
    for layer, block in enumerate(model.h):
        qkv = linear(block.attn.c_attn, _normed(block.ln_1, x, config))
        query, key, value = (part.unflatten(-1, (config.n_head, -1)) for part in qkv.chunk(3, -1))
        if reading:
            read = reading.attend(layer, query, key, value)
        else:
            read = attention(query, key, value, config.attn_pdrop if training else 0.0)
        x = x + dropout(linear(block.attn.c_proj, read), config.resid_pdrop, training)
        up = F.gelu(linear(block.mlp.c_fc, _normed(block.ln_2, x, config)), approximate="tanh")
        x = x + dropout(linear(block.mlp.c_proj, up), config.resid_pdrop, training)
    return _normed(model.ln_f, x, config)


def heads(config: Any) -> tuple[int, int]:
    """The numbers of query heads and of KV heads."""
    return config.n_head, config.n_head


def parts(config: Any) -> dict[str, str]:
    """A block's parts by their names in `int8.kernels.Blocks`."""
    return {
        "first": "ln_1",
        "qkv": "attn.c_attn",
        "out": "attn.c_proj",
        "second": "ln_2",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    }


def traits(model: Any) -> dict[str, Any]:
    """Nothing is rotated: positions are added to the embedding."""
    return {"activation": "gelu", "epsilon": model.config.layer_norm_epsilon}


def frequencies(model: Any) -> dict[str, Tensor]:
    """None, likewise."""
    return {}


def norm_weight(norm: Any, config: Any) -> Tensor:
    """The weight of a layer norm."""
    weight: Tensor = norm.weight
    return weight


def _normed(norm: Any, x: Tensor, config: Any) -> Tensor:
    return torch.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, config.layer_norm_epsilon)
