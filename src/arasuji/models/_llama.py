"""Llama's blocks (Touvron et al. 2023) over the weights of a transformers model, with fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arasuji.models._cache import Reading
from arasuji.models._layers import attention, linear, product_type, rms_norm, rotated, swiglu

JOINED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Matrices that read the same rows, by the name that they have as one."""


def serves(config: Any) -> bool:
    """Whether this file knows the model's every option."""
    return (
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] == "default"
    )


def hidden(model: Any, ids: Tensor, reading: Reading | None = None) -> Tensor:
    """What the output layer reads, (B, T, D), of ids (B, T), which follow what `reading` has read.

    `model` is a transformers `LlamaModel`, or has its weights under the same names (see `_int8`).
    """
    config = model.config
    dropped = config.attention_dropout if model.training else 0.0
    x = model.embed_tokens(ids)
    positions = torch.arange(ids.shape[1], device=ids.device) if reading is None else reading.positions
    angles = positions[..., None, None] * _turns(config, ids.device)
    cos, sin = angles.cos().to(product_type(x)), angles.sin().to(product_type(x))
    for number, layer in enumerate(model.layers):
        y = rms_norm(x, layer.input_layernorm.weight, config.rms_norm_eps)
        query, key, value = _projected(layer.self_attn, y, config, cos, sin)
        read = reading.attend(number, query, key, value) if reading else attention(query, key, value, dropped)
        x = x + linear(layer.self_attn.o_proj, read)
        y = rms_norm(x, layer.post_attention_layernorm.weight, config.rms_norm_eps)
        x = x + linear(layer.mlp.down_proj, swiglu(*_widened(layer.mlp, y)))
    return rms_norm(x, model.norm.weight, config.rms_norm_eps)


def _turns(config: Any, device: torch.device) -> Tensor:
    """Angles by which a position turns each pair of numbers of a head: (size / 2,)."""
    places = torch.arange(0, config.head_dim, 2, device=device) / config.head_dim
    turns: Tensor = 1.0 / config.rope_parameters["rope_theta"] ** places
    return turns


def _projected(attend: Any, y: Tensor, config: Any, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (B, T, H, size) and keys (B, T, K, size), turned to their positions, and values (B, T, K, size)."""
    size = config.head_dim
    if hasattr(attend, "qkv_proj"):
        heads, few = config.num_attention_heads, config.num_key_value_heads
        mixed = linear(attend.qkv_proj, y).unflatten(-1, (-1, size))
        query, key = rotated(mixed[:, :, : heads + few], cos, sin).split([heads, few], 2)
        return query, key, mixed[:, :, heads + few :]
    query, key, value = (
        linear(part, y).unflatten(-1, (-1, size)) for part in (attend.q_proj, attend.k_proj, attend.v_proj)
    )
    return rotated(query, cos, sin), rotated(key, cos, sin), value


def _widened(mlp: Any, y: Tensor) -> Any:
    """The gate and what it opens for."""
    if hasattr(mlp, "gate_up_proj"):
        return linear(mlp.gate_up_proj, y).chunk(2, -1)
    return linear(mlp.gate_proj, y), linear(mlp.up_proj, y)
