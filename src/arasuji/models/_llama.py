"""Llama's blocks (Touvron et al. 2023) over the weights of a transformers model, with fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arasuji.models._cache import Reading
from arasuji.models._layers import attention, linear, product_type, rms_norm, rotated, swiglu

JOINED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Matrices that read the same rows, by the name that they have as one."""
LAYERS, LAST, POSITIONS = "layers", "norm", None
BLOCK = (
    "input_layernorm",
    "self_attn.qkv_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_up_proj",
    "mlp.down_proj",
)
"""The parts of a block, in the order of their use, where matrices are joined."""


def serves(config: Any) -> bool:
    """Whether this file knows the model's every option."""
    return (
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] == "default"
    )


def hidden(model: Any, ids: Tensor, reading: Reading | None = None) -> Tensor:
    """What the output layer reads, (B, T, D), of ids (B, T), which follow what `reading` has read.

    `model` is a transformers `LlamaModel`.
    """
    config = model.config
    dropped = config.attention_dropout if model.training else 0.0
    positions = torch.arange(ids.shape[1], device=ids.device) if reading is None else reading.positions
    x: Tensor = model.embed_tokens(ids)
    angles = rotations(positions, config.head_dim, rope_theta(config))
    cos, sin = (part[..., None, :].to(product_type(x)) for part in angles)
    for number, layer in enumerate(model.layers):
        y = rms_norm(x, layer.input_layernorm.weight, config.rms_norm_eps)
        query, key, value = _projected(layer.self_attn, y, config, cos, sin)
        read = reading.attend(number, query, key, value) if reading else attention(query, key, value, dropped)
        x = x + linear(layer.self_attn.o_proj, read)
        y = rms_norm(x, layer.post_attention_layernorm.weight, config.rms_norm_eps)
        x = x + linear(layer.mlp.down_proj, swiglu(linear(layer.mlp.gate_proj, y), linear(layer.mlp.up_proj, y)))
    return rms_norm(x, model.norm.weight, config.rms_norm_eps)


def heads(config: Any) -> tuple[int, int]:
    """How many queries there are, and how many keys that they share."""
    return config.num_attention_heads, config.num_key_value_heads


def rope_theta(config: Any) -> float:
    """The base of the angles that positions turn queries and keys by."""
    theta: float = config.rope_parameters["rope_theta"]
    return theta


def rotations(positions: Tensor, size: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles that a position turns the pairs of a head's `size` numbers by, (..., size / 2) each
    (RoPE, Su et al. 2021)."""
    places = torch.arange(0, size, 2, device=positions.device) / size
    angles = positions[..., None] * (1.0 / theta**places)
    return angles.cos(), angles.sin()


def _projected(attend: Any, y: Tensor, config: Any, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (B, T, H, size) and keys (B, T, K, size), turned to their positions, and values (B, T, K, size)."""
    query, key, value = (
        linear(part, y).unflatten(-1, (-1, config.head_dim)) for part in (attend.q_proj, attend.k_proj, attend.v_proj)
    )
    return rotated(query, cos, sin), rotated(key, cos, sin), value
