"""A batch read in parts: every row once, no part too large, and the gradient of the batch read whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import small_model
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.models import IGNORED
from arasuji.training.batches import Batch
from arasuji.training.gradient import add_gradient

PAD = 1
lengths_of_rows = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def batch_of(lengths, seed=0, vocabulary=10**6):
    """Rows of random tokens; a row's last target counts, and every third of the others does not."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(lengths), max(lengths)
    ids, targets = (torch.randint(2, vocabulary, shape, generator=generator) for _ in range(2))
    targets[torch.rand(shape, generator=generator) < 1 / 3] = IGNORED
    for row, length in enumerate(lengths):
        ids[row, length:], targets[row, length:], targets[row, length - 1] = PAD, IGNORED, 0
    return Batch(ids, targets)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(lengths_of_rows, st.integers(1, 300))
def test_every_row_is_in_one_part_in_order_and_no_part_is_too_large(lengths, limit):
    batch = batch_of(lengths)
    parts = list(batch.parts(limit))
    assert sum(part.counted for part in parts) == batch.counted
    start = 0
    for part in parts:
        rows = len(part.ids)
        inside = lengths[start : start + rows]
        assert part.ids.shape == part.targets.shape == (rows, max(inside))
        assert rows == 1 or part.ids.numel() <= limit
        assert not part.stream
        assert not part.continues
        for row, length in enumerate(inside):
            assert torch.equal(part.ids[row, :length], batch.ids[start + row, :length])
            assert torch.equal(part.targets[row], batch.targets[start + row, : max(inside)])
        start += rows
        if start < len(lengths):  # and no smaller than an equal share, where the next row would still fit
            share = sum(lengths) / -(-sum(lengths) // limit)
            assert rows * max(inside) >= share or (rows + 1) * max(*inside, lengths[start]) > limit
    assert start == len(lengths)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(lengths_of_rows, st.integers(1, 5), st.booleans())
def test_processes_share_every_row_of_a_batch_evenly(lengths, count, stream):
    batch = replace(batch_of(lengths), stream=stream, continues=stream)
    shares = [batch.share(index, count) for index in range(count)]
    assert sum(share.counted for share in shares) == batch.counted
    sizes = [len(share.ids) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    for index, share in enumerate(shares):
        assert (share.stream, share.continues) == (stream, stream)
        for row, (ids, targets) in enumerate(zip(share.ids, share.targets, strict=True)):
            assert torch.equal(ids, batch.ids[index + row * count])
            assert torch.equal(targets, batch.targets[index + row * count])
        if not len(share.ids) and not stream:
            assert list(share.parts(100)) == []


@pytest.mark.parametrize("continues", [False, True])
def test_a_batch_of_a_stream_is_never_split(continues):
    ids = torch.randint(2, 99, (32, 30))
    batch = Batch(ids, ids, stream=True, continues=continues)
    (part,) = batch.parts(1)
    assert part is batch


def gradients(model, batch, counted, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arasuji.training.gradient.tokens_at_once", lambda frozen: limit)
        model.zero_grad()
        nats, _ = add_gradient(model, batch, counted, bf16=False)
    return [nats, *(p.grad.clone() for p in model.parameters())]


@pytest.mark.parametrize("family", ["lstm", "transformer"])
@pytest.mark.parametrize("limit", [1, 25, 60])
def test_a_batch_in_parts_has_the_nats_and_the_gradient_of_the_batch_read_whole(family, limit, bpe):
    model = small_model(family, bpe).train()
    batch = batch_of([3, 17, 9, 9, 1, 30, 2], vocabulary=bpe.vocabulary_size)
    assert len(list(batch.parts(limit))) > 2
    whole = gradients(model, batch, 50, batch.ids.numel())
    in_parts = gradients(model, batch, 50, limit)
    with torch.no_grad():
        nats, _ = model(batch.ids, batch.targets)
    torch.testing.assert_close(whole[0], nats.sum())
    for one, other in zip(whole, in_parts, strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-4)


def test_gradients_of_batches_add_up_and_are_shares_of_what_is_counted(bpe):
    model = small_model("lstm", bpe).train()
    batch = batch_of([5, 8], vocabulary=bpe.vocabulary_size)
    once = gradients(model, batch, 10, 8)
    add_gradient(model, batch, 5, bf16=False)
    for parameter, first in zip(model.parameters(), once[1:], strict=True):
        torch.testing.assert_close(parameter.grad, 3 * first, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_a_batch_in_which_nothing_counts_has_no_nats_and_no_gradient(family, bpe):
    model = small_model(family, bpe).train()
    ids = torch.full((3, 6), PAD)
    nats, _ = add_gradient(model, Batch(ids, torch.full_like(ids, IGNORED)), 1, bf16=False)
    assert float(nats) == 0
    assert all(p.grad is None for p in model.parameters())


def test_each_part_of_a_batch_gets_its_own_loss(bpe):
    """Twice the cross-entropy has twice the gradient, whichever parts the batch is read in."""
    model = small_model("lstm", bpe)
    ids = torch.randint(5, 60, (30, 60), generator=torch.Generator().manual_seed(1))
    batch = Batch(ids, ids.roll(-1, 1))
    parts = []

    def loss_of(part):
        parts.append(part)
        return lambda scores, wanted, places: 2 * F.cross_entropy(scores, wanted, reduction="none")

    gradients = []
    for of in (None, loss_of):
        model.zero_grad()
        add_gradient(model, batch, batch.counted, bf16=False, loss_of=of)
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert len(parts) > 1
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(2 * one, two, atol=1e-6, rtol=1e-4)
