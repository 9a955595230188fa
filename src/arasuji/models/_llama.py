"""Llama's blocks (Touvron et al. 2023) over the weights of a transformers model, with fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arasuji.models._cache import Reading
from arasuji.models._layers import attention, linear, product_type, rms_norm, rotated, swiglu


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
    size = model.layers[0].self_attn.head_dim
    dropped = model.config.attention_dropout if model.training else 0.0
    x = model.embed_tokens(ids)
    positions = torch.arange(ids.shape[1], device=ids.device) if reading is None else reading.positions
    angles = positions[..., None, None] * model.rotary_emb.inv_freq.float()
    cos, sin = angles.cos().to(product_type(x)), angles.sin().to(product_type(x))
    for number, layer in enumerate(model.layers):
        attend, mlp = layer.self_attn, layer.mlp
        y = rms_norm(x, layer.input_layernorm.weight, layer.input_layernorm.variance_epsilon)
        query, key, value = (
            linear(part, y).unflatten(-1, (-1, size)) for part in (attend.q_proj, attend.k_proj, attend.v_proj)
        )
        query, key = rotated(query, cos, sin), rotated(key, cos, sin)
        read = reading.attend(number, query, key, value) if reading else attention(query, key, value, dropped)
        x = x + linear(attend.o_proj, read)
        y = rms_norm(x, layer.post_attention_layernorm.weight, layer.post_attention_layernorm.variance_epsilon)
        x = x + linear(mlp.down_proj, swiglu(linear(mlp.gate_proj, y), linear(mlp.up_proj, y)))
    return rms_norm(x, model.norm.weight, model.norm.variance_epsilon)
