"""Llama's blocks (Touvron et al. 2023) over the weights of a transformers model, with fewer passes over memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from arasuji.models._cache import Reading
from arasuji.models._checked import Decoder, Matrix, Shape
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
PREFIX, TRANSPOSED = "model", False
"""What transformers' names begin with, and whether its matrices are stored transposed."""


def serves(config: Any) -> bool:
    """Whether this file knows the model's every option."""
    return (
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] == "default"
    )


def decoder(config: Any) -> Decoder:
    """The tensors that a configuration wants. Raises ValueError where it is none of such a model."""
    width, inner, count, size = config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.head_dim
    query_heads, kv_heads = heads(config)
    if min(width, inner, count, size, query_heads, kv_heads, config.vocab_size, config.max_position_embeddings) < 1:
        raise ValueError("a size of its configuration is less than 1")
    if query_heads % kv_heads or size % 2:
        raise ValueError(f"{query_heads} heads of {size} with {kv_heads} KV heads make no model")
    if not (0 < config.rms_norm_eps < 1 and 1 <= config.rope_parameters["rope_theta"] < math.inf):
        raise ValueError("its rms_norm_eps or its rope_theta makes no model")
    vectors: dict[str, Shape] = {}
    matrices = []
    for block in (f"layers.{i}" for i in range(count)):
        attn = {"q_proj": (query_heads * size, width), "k_proj": (kv_heads * size, width),
                "v_proj": (kv_heads * size, width), "o_proj": (width, query_heads * size)}  # fmt: skip
        mlp = {"gate_proj": (inner, width), "up_proj": (inner, width), "down_proj": (width, inner)}
        matrices += [Matrix(f"{block}.self_attn.{n}", *of, bool(config.attention_bias)) for n, of in attn.items()]
        matrices += [Matrix(f"{block}.mlp.{n}", *of, bool(config.mlp_bias)) for n, of in mlp.items()]
        vectors |= {f"{block}.{norm}.weight": (width,) for norm in ("input_layernorm", "post_attention_layernorm")}
    vectors["norm.weight"] = (width,)
    return Decoder("embed_tokens", width, config.vocab_size, matrices, vectors)


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
        query, key, value = _qkv(layer.self_attn, y, config, cos, sin)
        read = reading.attend(number, query, key, value) if reading else attention(query, key, value, dropped)
        x = x + linear(layer.self_attn.o_proj, read)
        y = rms_norm(x, layer.post_attention_layernorm.weight, config.rms_norm_eps)
        x = x + linear(layer.mlp.down_proj, swiglu(linear(layer.mlp.gate_proj, y), linear(layer.mlp.up_proj, y)))
    return rms_norm(x, model.norm.weight, config.rms_norm_eps)


def heads(config: Any) -> tuple[int, int]:
    """The numbers of query heads and of KV heads."""
    return config.num_attention_heads, config.num_key_value_heads


def rope_theta(config: Any) -> float:
    """The base of the angles by which queries and keys are rotated."""
    theta: float = config.rope_parameters["rope_theta"]
    return theta


def rotations(positions: Tensor, size: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles by which the pairs of a head's `size` numbers are rotated at each position,
    (..., size / 2) each (RoPE, Su et al. 2021)."""
    places = torch.arange(0, size, 2, device=positions.device) / size
    angles = positions[..., None] * (1.0 / theta**places)
    return angles.cos(), angles.sin()


def _qkv(attn: Any, y: Tensor, config: Any, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries (B, T, H, size) and keys (B, T, K, size), and values (B, T, K, size)."""
    query, key, value = (
        linear(part, y).unflatten(-1, (-1, config.head_dim)) for part in (attn.q_proj, attn.k_proj, attn.v_proj)
    )
    return rotated(query, cos, sin), rotated(key, cos, sin), value
