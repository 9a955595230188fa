"""What decoders are built of, with gradients worked out by hand where that saves passes over memory: on a CPU the
matrix products are near the chip's limit, and what lies between them decides the speed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

FLASH_LENGTH = 512
"""From this number of tokens on, torch's fused attention is faster on a CPU than two plain products."""
LEVELS = 2**16
"""The probability of dropout is rounded to a multiple of 1 / 2^16."""


def product_type(like: Tensor) -> torch.dtype:
    """The type that matrix products are taken in: autocast's where it is on, else the tensor's own."""
    kind = like.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype


def linear(layer: Any, x: Tensor) -> Tensor:
    """A `Linear`, a `Conv1D` (GPT-2's, whose matrix lies transposed), or peft's LoRA layer of either."""
    base = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    transposed = type(base).__name__ == "Conv1D"
    weight: Tensor = base.weight.t() if transposed else base.weight
    bias: Tensor | None = base.bias
    if base is layer:
        return F.linear(x, weight, bias)
    (name,) = layer.active_adapters
    low, high = layer.lora_A[name].weight, layer.lora_B[name].weight
    y: Tensor = _LowRank.apply(x, layer.lora_dropout[name](x), weight, bias, low, high, layer.scaling[name])
    return y


class _LowRank(Function):
    """x W^T + b + s (x' A^T) B^T with W and b frozen (LoRA, Hu et al. 2021), the small products added in place.

    x, x' (..., D) (x' is x after dropout), W (E, D), A (r, D), B (E, r).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dropped: Tensor, weight: Tensor, bias: Tensor | None, low: Tensor, high: Tensor, s: float
    ) -> Tensor:
        kind = product_type(x)
        ctx.one_input, ctx.scale, ctx.types = dropped is x, s, (x.dtype, dropped.dtype, low.dtype, high.dtype)
        rows = x.reshape(-1, x.shape[-1]).to(kind)
        given = rows if dropped is x else dropped.reshape(rows.shape).to(kind)
        weight, low, high = weight.to(kind), low.to(kind), (high * s).to(kind)
        between = given @ low.t()
        ctx.save_for_backward(given, weight, low, high, between)
        y = F.linear(rows, weight, None if bias is None else bias.to(kind)).addmm_(between, high.t())
        return y.view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        given, weight, low, high, between = ctx.saved_tensors
        x_type, dropped_type, low_type, high_type = ctx.types
        by = upstream[0].reshape(-1, len(weight)).to(given.dtype)
        shape = *upstream[0].shape[:-1], weight.shape[1]
        by_between = by @ high
        by_low = (by_between.t() @ given).to(low_type)
        by_high = (by.t() @ between).to(high_type) * ctx.scale
        if not ctx.needs_input_grad[0]:  # the first block reads frozen embeddings
            return None, None, None, None, by_low, by_high, None
        by_x, by_dropped = by @ weight, None
        if ctx.one_input:
            by_x.addmm_(by_between, low)
        else:
            by_dropped = (by_between @ low).view(shape).to(dropped_type)
        return by_x.view(shape).to(x_type), by_dropped, None, None, by_low, by_high, None


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Some of the numbers put to zero, the others scaled up (Srivastava et al. 2014).

    A CPU draws one number of 64 bits for four of them: drawing one for each takes a twentieth of GPT-2's training.
    """
    if not training or share == 0 or x.device.type != "cpu":
        return F.dropout(x, share, training)
    return _scaled(x, _kept(x, share), share)


def _kept(like: Tensor, share: float) -> Tensor:
    """Which numbers stay, as booleans of the same shape; 16 bits decide on each."""
    drawn = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    return (drawn[: like.numel()] >= _limit(share) - LEVELS // 2).view(like.shape)


def _scaled(x: Tensor, kept: Tensor, share: float) -> Tensor:
    return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - _limit(share)))


def _limit(share: float) -> int:
    return round(share * LEVELS)


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019), computed in float32."""
    if not torch.is_grad_enabled():
        return F.rms_norm(x.to(weight.dtype), weight.shape, weight, epsilon).to(x.dtype)
    y: Tensor = _RmsNorm.apply(x, weight, epsilon)
    return y


class _RmsNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).mul_(weight).to(product_type(x))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        normalized, by = x * inverse, upstream[0].float()
        by_weight = (
            (by * normalized).sum(tuple(range(x.ndim - 1))).to(weight.dtype) if ctx.needs_input_grad[1] else None
        )
        by = by * weight
        along = (by * normalized).mean(-1, keepdim=True)
        return by.sub_(normalized.mul_(along)).mul_(inverse).to(x.dtype), by_weight, None


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up (Shazeer 2020); silu is computed again for the gradient instead of being kept."""
    if not torch.is_grad_enabled():
        return F.silu(gate).mul_(up)
    y: Tensor = _SwiGlu.apply(gate, up)
    return y


class _SwiGlu(Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(upstream[0] * up, gate), F.silu(gate).mul_(upstream[0])


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embeddings (RoPE, Su et al. 2021): number i of a head's first half and number i of its second
    half are rotated by an angle of the position. x (B, T, H, size); cos and sin (T, 1, size / 2), or a pair for each
    row, (B, T, 1, size / 2)."""
    if not torch.is_grad_enabled():
        return _rotated(x, cos, sin)
    y: Tensor = _Rotation.apply(x, cos, sin)
    return y


class _Rotation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(upstream[0], cos, -sin), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    y = torch.empty_like(x)
    torch.mul(first, cos, out=y[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=y[..., half:]).addcmul_(first, sin)
    return y


def attention(query: Tensor, key: Tensor, value: Tensor, dropped: float = 0.0, window: int | None = None) -> Tensor:
    """Causal attention (Vaswani et al. 2017); query (B, T, H, size), key and value (B, T, K, size), where H is a
    multiple of K (Ainslie et al. 2023); `dropped` is the share of attention that is put to zero. With a `window`, a
    token reads so many of the last tokens, itself included (Beltagy et al. 2020). Returns (B, T, H * size)."""
    rows, length, heads, size = query.shape
    kv_heads = key.shape[2]
    query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    narrow = window is not None and window < length
    if narrow or length > FLASH_LENGTH or query.device.type != "cpu":
        mask = in_window(length, window, query.device) if narrow else None
        read = F.scaled_dot_product_attention(
            query, key, value, mask, dropped, is_causal=not narrow, enable_gqa=heads > kv_heads
        )
        return read.transpose(1, 2).reshape(rows, length, heads * size)
    # The query heads that share a KV head lie one below the other, so that there is one product for all of them.
    below = query.reshape(rows * kv_heads, -1, size)
    read = _Attention.apply(below, key.reshape(-1, length, size), value.reshape(-1, length, size), dropped)
    return read.view(rows, heads, length, size).transpose(1, 2).reshape(rows, length, heads * size)


def in_window(length: int, window: int | None, device: torch.device) -> Tensor:
    """Which tokens (T,) each of `length` tokens reads, (T, T) booleans: none that follow, and with a `window` so many
    of the last ones."""
    mask = torch.ones(length, length, dtype=torch.bool, device=device).tril_()
    return mask if window is None else mask.triu_(1 - window)


class _Attention(Function):
    """query (n, q T, size), key and value (n, T, size): q heads read each key. What is kept for the gradient is each
    position's shares of attention, T^2 numbers in half precision a head: little, while texts are short."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, dropped: float) -> Tensor:
        kind, length = product_type(query), key.shape[1]
        ctx.scale, ctx.type = query.shape[-1] ** -0.5, query.dtype
        query, key, value = (query * ctx.scale).to(kind), key.to(kind), value.to(kind)
        future = torch.full((length, length), -math.inf, dtype=kind).triu(1).repeat(query.shape[1] // length, 1)
        scores = torch.baddbmm(future, query, key.transpose(1, 2))
        shares = torch.softmax(scores, -1, out=scores)
        kept = None if dropped == 0 else _kept(shares, dropped)
        ctx.save_for_backward(query, key, value, shares, kept)
        ctx.dropped = dropped
        return (shares if kept is None else _scaled(shares, kept, dropped)) @ value

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, shares, kept = ctx.saved_tensors
        by = upstream[0].to(shares.dtype)
        by_shares = by @ value.transpose(1, 2)
        if kept is None:
            by_value = shares.transpose(1, 2) @ by
        else:
            by_value = _scaled(shares, kept, ctx.dropped).transpose(1, 2) @ by
            by_shares = _scaled(by_shares, kept, ctx.dropped)
        by_scores = torch._softmax_backward_data(by_shares, shares, -1, shares.dtype)
        by_query = (by_scores @ key).mul_(ctx.scale)
        by_key = by_scores.transpose(1, 2) @ query
        return by_query.to(ctx.type), by_key.to(ctx.type), by_value.to(ctx.type), None
