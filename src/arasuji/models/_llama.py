"""The blocks of Llama (Touvron et al. 2023) and of its relatives Mistral, Qwen 2, Qwen 3 and Gemma 3, over the weights
of a transformers model, with fewer passes over memory."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arasuji.models._cache import Reading
from arasuji.models._checked import Decoder, Matrix, Shape
from arasuji.models._layers import attention, linear, product_type, rms_norm, rotated, swiglu

GEMMA = "gemma3_text"
TYPES = ("llama", "mistral", "qwen2", "qwen3", GEMMA)
ROPES = ("default", "linear", "llama3")
"""Rotary positions whose frequencies are the same for texts of every length."""
LAYERS, LAST, POSITIONS = "layers", "norm", None
"""Where transformers has the blocks, the last norm and the positions."""
PREFIX, TRANSPOSED = "model", False
"""What transformers' names begin with, and whether its matrices are stored transposed."""


def serves(config: Any) -> bool:
    """Whether this file knows the model's every option."""
    if config.model_type not in TYPES:
        return False
    activation = config.hidden_activation if config.model_type == GEMMA else config.hidden_act
    ropes = config.rope_parameters.values() if config.model_type == GEMMA else [config.rope_parameters]
    caps = (getattr(config, f"{name}_logit_softcapping", None) for name in ("attn", "final"))
    return (
        activation == ("gelu_pytorch_tanh" if config.model_type == GEMMA else "silu")
        and all(rope["rope_type"] in ROPES and rope.get("partial_rotary_factor", 1) == 1 for rope in ropes)
        and not any(caps)
        and not any(getattr(config, name, None) for name in ("logit_scale", "logits_scaling"))
        and not getattr(config, "use_bidirectional_attention", False)
    )


def decoder(config: Any) -> Decoder:
    """The tensors that a configuration wants. Raises ValueError where it is none of such a model."""
    width, inner, count, size = (
        config.hidden_size,
        config.intermediate_size,
        config.num_hidden_layers,
        head_size(config),
    )
    query_heads, kv_heads = heads(config)
    if min(width, inner, count, size, query_heads, kv_heads, config.vocab_size, config.max_position_embeddings) < 1:
        raise ValueError("a size of its configuration is less than 1")
    if query_heads % kv_heads or size % 2:
        raise ValueError(f"{query_heads} heads of {size} with {kv_heads} KV heads make no model")
    ropes = config.rope_parameters.values() if config.model_type == GEMMA else [config.rope_parameters]
    if not (0 < config.rms_norm_eps < 1 and all(1 <= rope["rope_theta"] < math.inf for rope in ropes)):
        raise ValueError("its rms_norm_eps or its rope_theta makes no model")
    if len(windows(config)) != count or any(window is not None and window < 1 for window in windows(config)):
        raise ValueError("its layer_types or its sliding_window make no model")
    if not 0 < query_scale(config) < math.inf:
        raise ValueError("its query_pre_attn_scalar makes no model")
    vectors: dict[str, Shape] = {}
    matrices = []
    for block in (f"layers.{i}" for i in range(count)):
        attn = {"q_proj": (query_heads * size, width), "k_proj": (kv_heads * size, width),
                "v_proj": (kv_heads * size, width), "o_proj": (width, query_heads * size)}  # fmt: skip
        mlp = {"gate_proj": (inner, width), "up_proj": (inner, width), "down_proj": (width, inner)}
        biased = set(attn) if getattr(config, "attention_bias", False) else set()
        if config.model_type == "qwen2":
            biased = {"q_proj", "k_proj", "v_proj"}
        in_mlp = bool(getattr(config, "mlp_bias", False))
        matrices += [Matrix(f"{block}.self_attn.{name}", *of, name in biased) for name, of in attn.items()]
        matrices += [Matrix(f"{block}.mlp.{name}", *of, in_mlp) for name, of in mlp.items()]
        norms = {name: (size if name.startswith("self_attn.") else width,) for name in _norms(config)}
        vectors |= {f"{block}.{name}.weight": of for name, of in norms.items()}
    vectors["norm.weight"] = (width,)
    return Decoder("embed_tokens", width, config.vocab_size, matrices, vectors)


def hidden(model: Any, ids: Tensor, reading: Reading | None = None) -> Tensor:
    """What the output layer reads, (B, T, D), of ids (B, T), which follow what `reading` has read.

    `model` is the transformers model without its output layer, such as a `LlamaModel`.
    """
    config = model.config
    dropped = config.attention_dropout if model.training else 0.0
    positions = torch.arange(ids.shape[1], device=ids.device) if reading is None else reading.positions
    x: Tensor = model.embed_tokens(ids)
    angles = {kind: rotations(positions, found) for kind, found in frequencies(model).items()}
    turns = {kind: tuple(part[..., None, :].to(product_type(x)) for part in parts) for kind, parts in angles.items()}
    kinds, widths = rope_kinds(config), windows(config)
    for number, layer in enumerate(model.layers):
        y = _normed(layer.input_layernorm, x, config)
        query, key, value = _qkv(layer.self_attn, y, config, *turns[kinds[number]])
        if reading:
            read = reading.attend(number, query, key, value, widths[number])
        else:
            read = attention(query, key, value, dropped, widths[number])
        x = x + _after(layer, "post_attention_layernorm", linear(layer.self_attn.o_proj, read), config)
        before_mlp = layer.pre_feedforward_layernorm if config.model_type == GEMMA else layer.post_attention_layernorm
        y = _normed(before_mlp, x, config)
        gate, up = linear(layer.mlp.gate_proj, y), linear(layer.mlp.up_proj, y)
        inner = F.gelu(gate, approximate="tanh") * up if config.model_type == GEMMA else swiglu(gate, up)
        x = x + _after(layer, "post_feedforward_layernorm", linear(layer.mlp.down_proj, inner), config)
    return _normed(model.norm, x, config)


def heads(config: Any) -> tuple[int, int]:
    """The numbers of query heads and of KV heads."""
    return config.num_attention_heads, config.num_key_value_heads


def head_size(config: Any) -> int:
    """The numbers of a head."""
    size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return size


def windows(config: Any) -> list[int | None]:
    """For each layer, how many tokens before and including itself a token reads; None for all of them."""
    if config.model_type in ("llama", "mistral"):  # a Llama that was a Mistral may still have the key, and ignores it
        window = config.sliding_window if config.model_type == "mistral" else None
        return [window] * config.num_hidden_layers
    return [config.sliding_window if kind == "sliding_attention" else None for kind in config.layer_types]


def query_scale(config: Any) -> float:
    """What queries are multiplied by, besides the usual 1 / sqrt(size)."""
    if config.model_type != GEMMA:
        return 1.0
    scalar: float = config.query_pre_attn_scalar
    return math.sqrt(config.head_dim / scalar) if scalar > 0 else math.nan


def rope_kinds(config: Any) -> list[str]:
    """For each layer, the kind of its rotations: Gemma's layers with a window have frequencies of their own."""
    return list(config.layer_types) if config.model_type == GEMMA else [""] * config.num_hidden_layers


def frequencies(model: Any) -> dict[str, Tensor]:
    """The angles by which a head's pairs are rotated from one position to the next, (size / 2,), by their kind."""
    rope = model.rotary_emb
    if model.config.model_type != GEMMA:
        return {"": rope.inv_freq}
    return {kind: getattr(rope, f"{kind}_inv_freq") for kind in sorted(set(model.config.layer_types))}


def rotations(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles by which the pairs of a head's numbers are rotated at each position,
    (..., size / 2) each (RoPE, Su et al. 2021)."""
    angles = positions[..., None] * frequencies
    return angles.cos(), angles.sin()


def norm_weight(norm: Any, config: Any) -> Tensor:
    """The weight of an RMS norm; Gemma's are stored as their distance from 1."""
    weight: Tensor = norm.weight
    return 1 + weight.float() if config.model_type == GEMMA else weight


def parts(config: Any) -> dict[str, str]:
    """A block's parts by their names in `int8.kernels.Blocks`."""
    named = {
        "first": "input_layernorm",
        "qkv": "self_attn.q_proj self_attn.k_proj self_attn.v_proj",
        "out": "self_attn.o_proj",
        "second": "post_attention_layernorm",
        "up": "mlp.gate_proj mlp.up_proj",
        "down": "mlp.down_proj",
    }
    if config.model_type in ("qwen3", GEMMA):
        named |= {"query": "self_attn.q_norm", "key": "self_attn.k_norm"}
    if config.model_type == GEMMA:
        named |= {
            "after_out": "post_attention_layernorm",
            "second": "pre_feedforward_layernorm",
            "after_down": "post_feedforward_layernorm",
        }
    return named


def traits(model: Any) -> dict[str, Any]:
    """What the blocks do with their parts, as fields of `int8.decoder.Shape`."""
    config, kinds = model.config, list(frequencies(model))
    gemma = config.model_type == GEMMA
    return {
        "activation": "geglu" if gemma else "swiglu",
        "epsilon": config.rms_norm_eps,
        "windows": windows(config),
        "rotations": [kinds.index(kind) for kind in rope_kinds(config)],
        "embedding_scale": float(model.embed_tokens.scalar_embed_scale) if gemma else 1.0,
    }


def _norms(config: Any) -> list[str]:
    """The names of a block's norms."""
    return [name for name in parts(config).values() if name.endswith("norm")]


def _normed(norm: Any, x: Tensor, config: Any) -> Tensor:
    return rms_norm(x, norm_weight(norm, config), config.rms_norm_eps)


def _after(layer: Any, name: str, y: Tensor, config: Any) -> Tensor:
    """What a part of a block adds: Gemma norms it."""
    return _normed(getattr(layer, name), y, config) if config.model_type == GEMMA else y


def _qkv(attn: Any, y: Tensor, config: Any, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries (B, T, H, size) and keys (B, T, K, size), and values (B, T, K, size)."""
    query, key, value = (
        linear(part, y).unflatten(-1, (-1, head_size(config))) for part in (attn.q_proj, attn.k_proj, attn.v_proj)
    )
    if hasattr(attn, "q_norm"):
        query, key = _normed(attn.q_norm, query, config), _normed(attn.k_norm, key, config)
    if (scale := query_scale(config)) != 1:
        query = query * scale
    return rotated(query, cos, sin), rotated(key, cos, sin), value
