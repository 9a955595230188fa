"""The output layer's loss against torch's own cross entropy and adaptive softmax, for any gradient from above."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from arasuji.errors import OptionError
from arasuji.models import IGNORED, lstm
from arasuji.models._head import AdaptiveSoftmax, linear_cross_entropy, token_losses

CLOSE = {"atol": 1e-5, "rtol": 1e-4}
anyones = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 2**31)
amounts = st.one_of(st.just(0.0), st.floats(-3, 3), st.sampled_from([1e-6, -1e-6, 1e-12, 1e4]))
"""What a row's nats may weigh in a loss."""


def leaves(*tensors):
    return [t.detach().clone().requires_grad_() for t in tensors]


def drawn(n, width, vocabulary):
    """Rows, their targets, weight, bias."""
    wanted = torch.randint(0, vocabulary, (n,))
    return torch.randn(n, width), wanted, torch.randn(vocabulary, width), torch.randn(vocabulary)


def cross_entropy(rows, wanted, weight, bias=None):
    return F.cross_entropy(F.linear(rows, weight, bias), wanted, reduction="none")


def assert_near(found, wanted, share):
    """The difference is at most this share of what is wanted, measured over the whole tensor."""
    assert found.shape == wanted.shape
    assert float((found - wanted).detach().norm()) <= share * float(wanted.detach().norm()) + 1e-30


@anyones
@given(st.lists(amounts, min_size=1, max_size=12), st.integers(1, 9), st.integers(2, 30), st.booleans(), seeds)
def test_nats_and_gradients_are_those_of_cross_entropy_for_any_gradient_from_above(
    upstream, width, vocabulary, biased, seed
):
    torch.manual_seed(seed)
    rows, wanted, weight, bias = drawn(len(upstream), width, vocabulary)
    inputs = (rows, weight, bias) if biased else (rows, weight)
    given_, exact = leaves(*inputs), leaves(*(t.double() for t in inputs))
    nats, right = linear_cross_entropy(given_[0], wanted, *given_[1:]), cross_entropy(exact[0], wanted, *exact[1:])
    torch.testing.assert_close(nats.double(), right, **CLOSE)
    above = torch.tensor(upstream)
    found = torch.autograd.grad(nats, given_, above, retain_graph=True)
    for first, again, reference in zip(
        found, torch.autograd.grad(nats, given_, above), torch.autograd.grad(right, exact, above.double()), strict=True
    ):
        # Two scores may nearly cancel in a small gradient: the sizes of what is added up are the measure.
        torch.testing.assert_close(first.double(), reference, atol=2e-5 * float(above.abs().max()), rtol=1e-4)
        assert torch.equal(first, again)
    assert torch.equal(above, torch.tensor(upstream))


@anyones
@given(st.lists(amounts, min_size=20, max_size=40), seeds)
def test_in_bfloat16_nats_are_within_a_tenth_and_gradients_within_a_fiftieth(upstream, seed):
    torch.manual_seed(seed)
    rows, wanted, weight, bias = drawn(len(upstream), 16, 50)
    weight /= 4  # scores of about one, as a model's are
    found, exact = leaves(rows, weight, bias), leaves(rows, weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        nats = linear_cross_entropy(found[0], wanted, *found[1:])
    right = cross_entropy(exact[0], wanted, *exact[1:])
    assert nats.dtype == torch.float32
    torch.testing.assert_close(nats, right, atol=0.1, rtol=0)
    above = torch.tensor(upstream)
    pairs = zip(torch.autograd.grad(nats, found, above), torch.autograd.grad(right, exact, above), strict=True)
    for mine, reference in pairs:
        assert mine.dtype == torch.float32
        assert_near(mine, reference, 0.02)


@pytest.mark.parametrize("trained", [0, 1, 2])
def test_what_is_frozen_gets_no_gradient_and_the_others_get_theirs(trained):
    rows, wanted, weight, bias = drawn(5, 4, 9)
    inputs = [rows, weight, bias]
    inputs[trained].requires_grad_()
    above = torch.randn(5)
    linear_cross_entropy(rows, wanted, weight, bias).backward(above)
    found = inputs[trained].grad
    assert [t.grad is not None for t in inputs] == [i == trained for i in range(3)]
    (reference,) = torch.autograd.grad(cross_entropy(rows, wanted, weight, bias), inputs[trained], above)
    torch.testing.assert_close(found, reference, **CLOSE)


def test_a_target_whose_chance_is_too_small_for_a_float_costs_much_but_not_infinity():
    rows, wanted, weight, bias = drawn(3, 4, 9)
    bias[wanted[1]] -= 1000
    wanted[0] = wanted[2] = (wanted[1] + 1) % 9
    inputs = leaves(rows, weight, bias)
    nats = linear_cross_entropy(inputs[0], wanted, *inputs[1:])
    assert 80 < float(nats[1].detach()) < float("inf")
    (right,) = torch.autograd.grad(cross_entropy(rows, wanted, weight, inputs[2]).sum(), inputs[2])
    found = torch.autograd.grad(nats.sum(), inputs)
    assert all(bool(gradient.isfinite().all()) for gradient in found)
    torch.testing.assert_close(found[2], right, **CLOSE)


@pytest.mark.parametrize("bf16", [False, True])
def test_the_value_is_the_same_without_gradients(bf16):
    torch.manual_seed(1)
    rows, wanted, weight, bias = drawn(50, 8, 30)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        nats = linear_cross_entropy(rows, wanted, *leaves(weight, bias))
        with torch.no_grad():
            alone = linear_cross_entropy(rows, wanted, weight, bias)
    assert nats.requires_grad
    assert not alone.requires_grad
    assert nats.dtype == alone.dtype == torch.float32
    torch.testing.assert_close(nats.detach(), alone, atol=0.02 if bf16 else 1e-5, rtol=0)


@anyones
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 400), seeds)
def test_counted_places_cost_their_cross_entropy_and_ignored_ones_nothing_whatever_the_chunk(mask, chunk, seed):
    torch.manual_seed(seed)
    counted = torch.tensor(mask)
    hidden, targets = torch.randn(*counted.shape, 5), torch.randint(0, 11, counted.shape)
    targets[~counted] = IGNORED
    found, exact = leaves(hidden, torch.randn(11, 5)), None
    exact = leaves(*found)
    above = torch.randn(counted.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arasuji.models._head.CHUNK_SCORES", chunk)
        nats = token_losses(
            found[0], targets, lambda rows, wanted, places: linear_cross_entropy(rows, wanted, found[1]), 11
        )
        loss = (nats * above).sum() + found[0].sum()  # a loss that has a gradient even where nothing is counted
        loss.backward()
    right = F.cross_entropy((exact[0] @ exact[1].t()).transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    ((right * above).sum() + exact[0].sum()).backward()
    torch.testing.assert_close(nats, right, **CLOSE)
    assert not bool(nats[~counted].any())
    assert bool((found[0].grad[~counted] == 1).all())
    torch.testing.assert_close(found[0].grad, exact[0].grad, **CLOSE)
    if bool(counted.any()):
        torch.testing.assert_close(found[1].grad, exact[1].grad, **CLOSE)
    else:
        assert found[1].grad is None


@pytest.mark.parametrize(("training", "limit"), [(True, 35), (False, 4 * 35)])
def test_no_chunk_holds_more_scores_than_it_may(training, limit, monkeypatch):
    monkeypatch.setattr("arasuji.models._head.CHUNK_SCORES", limit)
    sizes = []

    def price(rows, wanted, places):
        sizes.append(len(rows))
        return rows.sum(1)

    with torch.set_grad_enabled(training):
        token_losses(torch.randn(2, 4, 5), torch.zeros(2, 4, dtype=torch.int64), price, 11)
    assert sizes == [3, 3, 2]


@st.composite
def vocabularies(draw):
    """A size, where its clusters begin, and the targets of a batch, which may leave clusters empty."""
    size = draw(st.integers(3, 40))
    cutoffs = draw(st.lists(st.integers(1, size - 1), min_size=1, max_size=3, unique=True).map(sorted))
    wanted = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=12))
    return size, cutoffs, torch.tensor(wanted)


def adaptive(size, cutoffs, seed):
    torch.manual_seed(seed)
    layer = AdaptiveSoftmax(64, size, cutoffs, head_bias=True)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layer


@anyones
@given(vocabularies(), seeds)
def test_an_adaptive_softmax_costs_what_torchs_own_does_and_has_its_gradients(vocabulary, seed):
    size, cutoffs, wanted = vocabulary
    layer = adaptive(size, cutoffs, seed)
    rows, above = torch.randn(len(wanted), 64), torch.randn(len(wanted))
    found, exact = leaves(rows, rows)
    inputs = list(layer.parameters())
    nats = layer.cross_entropy(found, wanted)
    right = -nn.AdaptiveLogSoftmaxWithLoss.forward(layer, exact, wanted).output
    torch.testing.assert_close(nats, right, **CLOSE)
    torch.testing.assert_close(nats, -layer.log_prob(rows).gather(1, wanted[:, None])[:, 0], **CLOSE)
    mine = torch.autograd.grad(nats, [found, *inputs], above, materialize_grads=True, allow_unused=True)
    theirs = torch.autograd.grad(right, [exact, *inputs], above, materialize_grads=True, allow_unused=True)
    for gradient, reference in zip(mine, theirs, strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(layer.cross_entropy(rows, wanted), nats, **CLOSE)


@anyones
@given(vocabularies(), seeds)
def test_the_chances_of_all_tokens_sum_to_one(vocabulary, seed):
    size, cutoffs, _ = vocabulary
    layer = adaptive(size, cutoffs, seed)
    nats = layer.cross_entropy(torch.randn(64).expand(size, 64), torch.arange(size))
    assert float((-nats.detach()).exp().sum()) == pytest.approx(1, abs=1e-5)


def test_an_adaptive_softmax_in_bfloat16_is_within_a_fiftieth_of_float32():
    layer, rows, wanted = adaptive(40, [8, 20], 1), *leaves(torch.randn(60, 64)), torch.randint(0, 40, (60,))
    inputs = [rows, *layer.parameters()]
    exact = layer.cross_entropy(rows, wanted)
    with torch.autocast("cpu", torch.bfloat16):
        nats = layer.cross_entropy(rows, wanted)
    assert nats.dtype == torch.float32
    assert_near(nats, exact, 0.02)
    for mine, right in zip(
        torch.autograd.grad(nats.sum(), inputs), torch.autograd.grad(exact.sum(), inputs), strict=True
    ):
        assert_near(mine, right, 0.02)


def small(vocabulary=30, **options):
    torch.manual_seed(2)
    return lstm.Lstm(lstm.Config(embedding=8, hidden=16, layers=1, dropout=0.0, **options), vocabulary).eval()


@torch.no_grad()
@pytest.mark.parametrize("cutoffs", [[30], [30, 31], [1000]])
def test_cutoffs_beyond_the_vocabulary_are_the_full_softmax(cutoffs):
    ids = torch.randint(0, 30, (2, 7))
    ours, full = small(cutoffs=cutoffs), small()
    assert [*ours.state_dict()] == [*full.state_dict()]
    assert torch.equal(ours(ids, ids)[0], full(ids, ids)[0])


@torch.no_grad()
@pytest.mark.parametrize("cutoffs", [[29], [5, 12], [5, 12, 1000]])
def test_the_loss_of_an_lstm_with_cutoffs_is_that_of_the_scores_it_writes_from(cutoffs):
    model, ids = small(cutoffs=cutoffs), torch.randint(0, 30, (2, 7))
    assert isinstance(model.linear, AdaptiveSoftmax)
    targets = torch.arange(14).reshape(2, 7) * 2 + 1  # of every cluster
    nats, _ = model(ids, targets)
    state = None
    for t in range(7):
        scores, state = model.step(ids[:, t : t + 1], torch.ones(2, dtype=torch.int64), state)
        torch.testing.assert_close(F.cross_entropy(scores, targets[:, t], reduction="none"), nats[:, t], **CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {"cutoffs": [5, 5]},
        {"cutoffs": [9, 5]},
        {"cutoffs": [1000, 5]},
        {"cutoffs": [5], "tie_weights": True, "embedding": 16},
    ],
)
def test_cutoffs_that_do_not_rise_or_stand_beside_tied_weights_are_refused(options):
    with pytest.raises(OptionError, match="cutoffs must rise"):
        lstm.Lstm(lstm.Config(**({"embedding": 8, "hidden": 16} | options)), 30)


@torch.no_grad()
def test_an_lstm_with_cutoffs_opens_with_the_scores_it_was_saved_with(tmp_path):
    model = small(cutoffs=[5, 12])
    model.save(tmp_path)
    opened = lstm.load(tmp_path)
    ids, lengths = torch.randint(0, 30, (2, 7)), torch.tensor([7, 4])
    assert torch.equal(opened.step(ids, lengths)[0], model.step(ids, lengths)[0])
    assert torch.equal(opened(ids, ids)[0], model(ids, ids)[0])
