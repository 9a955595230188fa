"""Gradients worked out by hand against autograd, our blocks against transformers' and peft's own, dropout's chances."""

from __future__ import annotations

import math

import networks
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from arasuji.models import _gpt2, _llama
from arasuji.models._layers import attention, dropout, linear, rms_norm, rotated, swiglu
from arasuji.models.transformer import Transformer

EXACT = {"atol": 1e-10, "rtol": 1e-10}
anyones = settings(deadline=None, derandomize=True, max_examples=40)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def assert_same(ours, theirs, *inputs, **close):
    """Equal outputs, and equal gradients of any sum of them; neither what is read nor what comes back is written on,
    and a second backward pass finds what the first found."""
    given, reference = ([x.detach().clone().requires_grad_() for x in inputs] for _ in range(2))
    y, wanted = ours(*given), theirs(*reference)
    torch.testing.assert_close(y, wanted, **close)
    upstream = torch.randn_like(y)
    before = upstream.clone()
    found = torch.autograd.grad(y, given, upstream, retain_graph=True)
    again = torch.autograd.grad(y, given, upstream)
    for x, same, first, second, right in zip(
        inputs, given, found, again, torch.autograd.grad(wanted, reference, upstream), strict=True
    ):
        torch.testing.assert_close(first, right, **close)
        assert torch.equal(first, second)
        assert torch.equal(x, same)
    assert torch.equal(upstream, before)


def textbook_norm(x, weight, epsilon):
    return x / (x.pow(2).mean(-1, keepdim=True) + epsilon).sqrt() * weight


@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
def test_the_gradient_of_rms_norm_is_autograds_of_the_formula(epsilon):
    x, weight = normal(2, 5, 8).float(), normal(8).float()
    x[0, 0] = 0  # nothing but the epsilon keeps this row finite
    x[1] *= 100
    assert_same(
        lambda x, weight: rms_norm(x, weight, epsilon),
        lambda x, weight: textbook_norm(x, weight, epsilon),
        x, weight, atol=1e-4, rtol=1e-5,
    )  # fmt: skip


def test_rms_norm_of_bfloat16_is_rounded_once():
    x, weight = normal(3, 5, 32).bfloat16(), normal(32).bfloat16()
    wanted = textbook_norm(x.double(), weight.double(), 1e-6)
    torch.testing.assert_close(rms_norm(x, weight, 1e-6).double(), wanted, atol=0, rtol=1.01 * 2**-8)


def test_the_gradient_of_swiglu_is_autograds_of_the_formula():
    assert_same(swiglu, lambda gate, up: gate * torch.sigmoid(gate) * up, normal(3, 4, 6), normal(3, 4, 6), **EXACT)


def test_the_gradient_of_a_rotation_is_autograds_of_the_formula():
    angles = normal(7, 1, 3)

    def formula(x):
        points = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([points.real, points.imag], -1)

    assert_same(lambda x: rotated(x, angles.cos(), angles.sin()), formula, normal(2, 7, 4, 6), **EXACT)


def masked(query, key, value):
    """Attention as the paper writes it; each key is repeated for the heads that share it."""
    shared = query.shape[2] // key.shape[2]
    key, value = key.repeat_interleave(shared, 2), value.repeat_interleave(shared, 2)
    scores = torch.einsum("bihd,bjhd->bhij", query, key) / math.sqrt(query.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    shares = scores.masked_fill(future, -math.inf).softmax(-1)
    return torch.einsum("bhij,bjhd->bihd", shares, value).flatten(2)


def fused(query, key, value):
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True).transpose(1, 2).flatten(2)


@pytest.fixture(params=["two products", "torch's own"])
def _side(request, monkeypatch):
    monkeypatch.setattr("arasuji.models._layers.FLASH_LENGTH", 512 if request.param == "two products" else 4)


def attended(heads, few, length=9, size=6):
    return normal(2, length, heads, size), normal(2, length, few, size), normal(2, length, few, size)


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize(("heads", "few"), [(4, 4), (4, 2), (6, 1)])
def test_attention_equals_the_formula_and_torchs_own_and_so_do_its_gradients(heads, few):
    assert_same(attention, masked, *attended(heads, few), **EXACT)
    assert_same(attention, fused, *attended(heads, few), **EXACT)


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize("few", [1, 4])
def test_attention_in_bfloat16_is_within_two_hundredths(few):
    inputs = [x.bfloat16() for x in attended(4, few, length=40)]
    upstream = normal(2, 40, 24)
    found, wanted = ([x.to(kind).requires_grad_() for x in inputs] for kind in (torch.bfloat16, torch.float64))
    y, right = attention(*found), masked(*wanted)
    assert y.dtype == torch.bfloat16
    pairs = [(y, right)]
    pairs += zip(
        torch.autograd.grad(y, found, upstream.bfloat16()), torch.autograd.grad(right, wanted, upstream), strict=True
    )
    for rounded, exact in pairs:
        assert float((rounded.double() - exact).detach().norm()) < 0.02 * float(exact.detach().norm())


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize("now", [1, 5, 8])
def test_a_future_token_changes_nothing_earlier(now):
    inputs = attended(4, 2)
    before = attention(*inputs)
    for x in inputs:
        x[:, now:] = 30 * normal(*x[:, now:].shape)
    after = attention(*inputs)
    torch.testing.assert_close(after[:, :now], before[:, :now], **EXACT)
    assert not torch.isclose(after[:, now:], before[:, now:]).all(-1).any()


@pytest.mark.usefixtures("_side")
def test_attention_drops_its_share_and_its_gradient_is_that_of_the_same_mask():
    length = 200
    query = key = torch.zeros(1, length, 2, 4)  # token i attends alike to i + 1 tokens
    value = torch.ones(1, length, 2, 4).requires_grad_()
    torch.manual_seed(5)
    y = attention(query, key, value, 0.25)
    torch.manual_seed(5)
    assert torch.equal(y, attention(query, key, value, 0.25))
    assert not torch.equal(y, attention(query, key, value, 0.25))
    read = y.detach()[0, :, ::4]
    assert float(read[50:].mean()) == pytest.approx(1, abs=0.03)
    assert float(read[100:].std()) == pytest.approx(math.sqrt(0.25 / 0.75 / 150), rel=0.3)  # a mean over i tokens
    (by_value,) = torch.autograd.grad(y[0, -1, 0], value)
    lost = by_value[0, :, 0, 0] == 0
    assert int(lost.sum()) == pytest.approx(50, abs=5 * math.sqrt(200 * 0.25 * 0.75))
    assert float(by_value[0, :, 0, 0].detach().sum()) == pytest.approx(float(read[-1, 0]), rel=1e-5)


def lora(layer, dropped=0.0):
    """peft's LoRA layer of it, both matrices away from zero."""
    options = LoraConfig(
        r=3, lora_alpha=5, lora_dropout=dropped, target_modules=["inner"], fan_in_fan_out=isinstance(layer, Conv1D)
    )
    wrapped = inject_adapter_in_model(options, nn.ModuleDict({"inner": layer}))["inner"]
    nn.init.normal_(wrapped.lora_A["default"].weight)
    nn.init.normal_(wrapped.lora_B["default"].weight)
    return wrapped


LAYERS = {
    "linear": lambda: nn.Linear(6, 4),
    "linear without bias": lambda: nn.Linear(6, 4, bias=False),
    "conv1d": lambda: Conv1D(4, 6),
    "lora of linear": lambda: lora(nn.Linear(6, 4)),
    "lora of linear without bias": lambda: lora(nn.Linear(6, 4, bias=False)),
    "lora of conv1d": lambda: lora(Conv1D(4, 6)),
    "lora of linear, dropout in evaluation": lambda: lora(nn.Linear(6, 4), 0.4).eval(),
    "lora of conv1d, dropout in evaluation": lambda: lora(Conv1D(4, 6), 0.4).eval(),
    "lora of linear, dropout in training": lambda: lora(nn.Linear(6, 4), 0.4).train(),
    "lora of conv1d, dropout in training": lambda: lora(Conv1D(4, 6), 0.4).train(),
}


def gradients(forward, layer, x, upstream, seed):
    """The output, the gradient by the input, and that of each weight that is trained."""
    x = x.clone().requires_grad_()
    torch.manual_seed(seed)
    y = forward(x)
    trained = [p for p in layer.parameters() if p.requires_grad]
    return [y.detach(), *torch.autograd.grad(y, [x, *trained], upstream)]


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_linear_is_the_layers_own_forward_with_its_own_gradients(make):
    layer = make().double()
    for bias in (p for name, p in layer.named_parameters() if name.endswith("bias")):
        nn.init.normal_(bias)
    x, upstream = normal(2, 5, 6), normal(2, 5, 4)
    ours = gradients(lambda x: linear(layer, x), layer, x, upstream, 4)
    theirs = gradients(layer, layer, x, upstream, 4)
    for mine, own in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, own, **EXACT)


@pytest.mark.parametrize("make", [LAYERS["lora of linear"], LAYERS["lora of conv1d"]])
def test_a_lora_layer_in_bfloat16_is_within_a_hundredth_of_its_own_forward(make):
    layer, x, upstream = make(), normal(4, 50, 6).float(), normal(4, 50, 4)
    with torch.autocast("cpu", torch.bfloat16):
        ours = gradients(lambda x: linear(layer, x), layer, x, upstream.bfloat16(), 4)
    theirs = gradients(layer, layer, x, upstream.float(), 4)
    assert [t.dtype for t in ours] == [torch.bfloat16] + [torch.float32] * 3
    for mine, own in zip(ours, theirs, strict=True):
        assert float((mine - own).norm() / own.norm()) < 0.01


COUNT = 400_000


@pytest.fixture(params=[0.1, 0.3, 0.5, 0.9])
def share(request):
    return request.param


def test_the_share_that_is_dropped_is_the_one_asked_for_at_every_place_of_four(share):
    lost = (dropout(torch.ones(COUNT), share, True) == 0).float()
    error = math.sqrt(share * (1 - share) / COUNT)
    assert float(lost.mean()) == pytest.approx(share, abs=5 * error)
    for place in range(4):
        assert float(lost[place::4].mean()) == pytest.approx(share, abs=5 * 2 * error)


def test_what_is_kept_is_scaled_up_so_that_the_mean_is_kept(share):
    y = dropout(torch.ones(COUNT), share, True)
    assert torch.unique(y).tolist() == pytest.approx([0, 1 / (1 - share)], rel=2e-4)
    assert float(y.mean()) == pytest.approx(1, abs=5 * math.sqrt(share / (1 - share) / COUNT))


def test_neighbours_are_dropped_independently(share):
    lost = (dropout(torch.ones(COUNT), share, True) == 0).float()
    lost = (lost - lost.mean()) / lost.std()
    for lag in range(1, 9):
        assert abs(float((lost[lag:] * lost[:-lag]).mean())) < 5 / math.sqrt(COUNT)


@anyones
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.floats(0.01, 0.95),
    st.integers(0, 2**31),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_dropout_of_any_shape_keeps_or_drops_each_number_and_its_gradient(shape, share, seed, kind):
    x = (torch.rand(shape) + 1).to(kind).transpose(0, -1).requires_grad_()
    torch.manual_seed(seed)
    y = dropout(x, share, True)
    torch.manual_seed(seed)
    assert torch.equal(dropout(x, share, True), y)
    assert y.dtype == kind
    (by_x,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(by_x == 0, y == 0)
    scale = torch.where(y == 0, 0, 1 / (1 - share)).to(kind)
    close = {"atol": 0, "rtol": 0.01 if kind == torch.bfloat16 else 1e-3}
    torch.testing.assert_close(by_x, scale, **close)
    torch.testing.assert_close(y, x * scale, **close)


def test_dropout_differs_from_call_to_call_and_is_off_in_evaluation_and_for_a_share_of_nothing():
    x = torch.ones(1001)
    assert not torch.equal(dropout(x, 0.5, True), dropout(x, 0.5, True))
    assert torch.equal(dropout(x, 0.5, False), x)
    assert torch.equal(dropout(x, 0.0, True), x)


def gpt2(**options):
    shape = {"vocab_size": 61, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 4}
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(**(shape | none | options)))


def llama(**options):
    shape = {
        "vocab_size": 61, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 64,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**(shape | options)))


SOME = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]


def with_lora(network, parts):
    conv1d = network.config.model_type == "gpt2"
    return get_peft_model(network, LoraConfig(r=2, lora_alpha=4, target_modules=parts, fan_in_fan_out=conv1d))


def wild(network):
    """Every weight well away from where it began, so that no term of a gradient is near zero."""
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network


SERVED = {
    "gpt2": gpt2,
    "gpt2, tanh's other name": lambda: gpt2(activation_function="gelu_pytorch_tanh", layer_norm_epsilon=0.1),
    "gpt2, output of its own": lambda: gpt2(tie_word_embeddings=False),
    "llama": llama,
    "llama, grouped keys": lambda: llama(num_key_value_heads=2, rms_norm_eps=0.1),
    "llama, one key": lambda: llama(num_key_value_heads=1, tie_word_embeddings=True),
    "llama, biases": lambda: llama(attention_bias=True, mlp_bias=True, num_key_value_heads=2),
    "llama, heads of their own size": lambda: llama(head_dim=6, rope_theta=100.0),
    "llama, slower rotations": networks.llama3,
    "llama, stretched positions": lambda: llama(
        rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    ),
    "mistral, a window": networks.mistral,
    "qwen2, a window in one layer": networks.qwen2,
    "qwen3": networks.qwen3,
    "gemma3": networks.gemma3,
    "gpt2, lora": lambda: with_lora(gpt2(), ["c_attn", "c_proj", "c_fc"]),
    "llama, lora on some": lambda: with_lora(llama(num_key_value_heads=2), SOME),
    "llama, lora": lambda: with_lora(llama(num_key_value_heads=2, attention_bias=True), [*SOME, "k_proj", "gate_proj"]),
}
REFUSED = {
    "relu": lambda: gpt2(activation_function="relu"),
    "exact gelu": lambda: gpt2(activation_function="gelu"),
    "scaled by layer": lambda: gpt2(scale_attn_by_inverse_layer_idx=True),
    "not scaled": lambda: gpt2(scale_attn_weights=False),
    "positions that are stretched with the text": lambda: llama(
        rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    ),
    "gelu gate": lambda: llama(hidden_act="gelu"),
}


@pytest.fixture
def text():
    return torch.randint(0, 61, (3, 15))


def both_losses(network, ids):
    """Our nats, and those of transformers' own forward: (B, T) each."""
    ours, _ = Transformer(network)(ids[:, :-1], ids[:, 1:])
    scores = network(input_ids=ids[:, :-1]).logits
    return ours, F.cross_entropy(scores.transpose(1, 2), ids[:, 1:], reduction="none")


def assert_every_gradient_is_transformers(network, ids):
    weighted = torch.randn(ids.shape[0], ids.shape[1] - 1)
    trained = [p for p in network.parameters() if p.requires_grad]
    ours, theirs = both_losses(network, ids)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)
    pairs = [torch.autograd.grad((nats * weighted).sum(), trained) for nats in (ours, theirs)]
    for mine, own in zip(*pairs, strict=True):
        assert float((mine - own).norm()) <= 1e-4 * float(own.norm())


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize("make", SERVED.values(), ids=SERVED)
def test_every_gradient_of_a_model_is_that_of_transformers_own_forward(make, text):
    network = wild(make())
    config = network.config
    assert _gpt2.serves(config) or _llama.serves(config)
    assert_every_gradient_is_transformers(network.train(), text)


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_shape_with_other_options_goes_through_transformers_own_forward(make, text, monkeypatch):
    network = wild(make())

    def never(*_):
        raise AssertionError("a block of ours read a shape that it does not know")

    monkeypatch.setattr(_gpt2, "hidden", never)
    monkeypatch.setattr(_llama, "hidden", never)
    assert_every_gradient_is_transformers(network.eval(), text)


@pytest.mark.parametrize("make", SERVED.values(), ids=SERVED)
def test_nats_in_bfloat16_are_within_a_few_hundredths_of_those_in_float32(make):
    torch.manual_seed(0)
    model, ids = Transformer(make()), torch.randint(0, 61, (8, 33))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    exact = model(ids[:, :-1], ids[:, 1:])[0].detach()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(ids[:, :-1], ids[:, 1:])[0].detach()
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).abs().mean()) < 0.02
    assert float((rounded - exact).abs().max()) < 0.15
    assert abs(float((rounded - exact).mean())) < 0.004


DROPPING = {
    "gpt2, attention": lambda: gpt2(attn_pdrop=0.2),
    "gpt2, what a block adds": lambda: gpt2(resid_pdrop=0.2),
    "gpt2, embeddings": lambda: gpt2(embd_pdrop=0.2),
    "llama, attention": lambda: llama(attention_dropout=0.2, num_key_value_heads=2),
}


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize("make", DROPPING.values(), ids=DROPPING)
def test_training_really_drops_and_the_same_seed_repeats_it(make, text):
    model = Transformer(wild(make())).train()

    def read(seed):
        torch.manual_seed(seed)
        model.zero_grad()
        nats, _ = model(text[:, :-1], text[:, 1:])
        nats.sum().backward()
        return [nats.detach(), *(p.grad.clone() for p in model.parameters())]

    first, again, other = read(1), read(1), read(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.isclose(first[0], other[0]).all()
    ours, theirs = both_losses(model.eval().network, text)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("made", [DROPPING["gpt2, attention"], DROPPING["gpt2, what a block adds"]])
def test_the_gradient_of_a_pass_that_drops_is_that_of_its_own_mask(made, text):
    model = Transformer(wild(made()).double()).train()
    ids, targets = text[:1, :6], text[:1, 1:7]
    weight = model.network.transformer.h[0].attn.c_attn.weight
    direction = torch.randn_like(weight)

    def nats():
        torch.manual_seed(1)
        return model(ids, targets)[0].sum()

    (gradient,) = torch.autograd.grad(nats(), weight)
    with torch.no_grad():
        weight.add_(direction, alpha=5e-4)
        ahead = nats()
        weight.sub_(direction, alpha=1e-3)
        behind = nats()
    assert float((gradient * direction).sum()) == pytest.approx(float((ahead - behind) / 1e-3), rel=1e-3)
