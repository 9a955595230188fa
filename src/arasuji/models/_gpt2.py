"""GPT-2's blocks (Radford et al. 2019) over the weights of a transformers model, with fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arasuji.models._cache import Reading
from arasuji.models._layers import attention, dropout, linear


def serves(config: Any) -> bool:
    """Whether this file knows the model's every option."""
    return (
        config.model_type == "gpt2"
        and config.activation_function in ("gelu_new", "gelu_pytorch_tanh")
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
    )


def hidden(model: Any, ids: Tensor, reading: Reading | None = None) -> Tensor:
    """What the output layer reads, (B, T, D), of ids (B, T), which follow what `reading` has read.

    `model` is a transformers `GPT2Model`, or has its weights under the same names (see `_int8`).
    """
    heads = model.config.n_head
    places = model.wpe.weight[: ids.shape[1]] if reading is None else model.wpe(reading.positions)
    x = _dropped(model.drop, model.wte(ids) + places)
    for layer, block in enumerate(model.h):
        mixed = linear(block.attn.c_attn, _normed(block.ln_1, x))
        query, key, value = (part.unflatten(-1, (heads, -1)) for part in mixed.chunk(3, -1))
        if reading:
            read = reading.attend(layer, query, key, value)
        else:
            read = attention(query, key, value, block.attn.attn_dropout.p if model.training else 0.0)
        x = x + _dropped(block.attn.resid_dropout, linear(block.attn.c_proj, read))
        inner = F.gelu(linear(block.mlp.c_fc, _normed(block.ln_2, x)), approximate="tanh")
        x = x + _dropped(block.mlp.dropout, linear(block.mlp.c_proj, inner))
    return _normed(model.ln_f, x)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _dropped(layer: nn.Dropout, x: Tensor) -> Tensor:
    return dropout(x, layer.p, layer.training)
