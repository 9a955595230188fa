"""The n-gram model is a distribution, and what it learns does not depend on how it was cut into batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.models import IGNORED
from arasuji.models.ngram import Config, Ngram

texts = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=8), min_size=1, max_size=6)


def learnt(documents, order, batches=1):
    model = Ngram(Config(order=order), 7).train()
    for part in range(batches):
        for document in documents[part::batches]:
            model(torch.tensor([[0, *document]]), torch.tensor([[*document, 0]]))
    return model.eval()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(texts, st.integers(1, 4), st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_the_next_tokens_probabilities_sum_to_one(documents, order, prompt):
    scores, _ = learnt(documents, order).step(torch.tensor([prompt]), torch.tensor([len(prompt)]))
    assert float(scores.double().exp().sum()) == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(scores).all(), "no token is impossible"


def test_it_counts_whole_rows_only():
    model = Ngram(Config(order=3), 7).train()
    model(torch.tensor([[0, 1, 2], [0, 3, 0]]), torch.tensor([[1, 2, 0], [3, 0, IGNORED]]))
    model.eval()
    (after_end,) = model.step(torch.tensor([[0]]), torch.tensor([1]))[0].exp()
    assert after_end[1] == pytest.approx(float(after_end[3]))
    assert after_end[2] < after_end[1], "a row's last token does not stand before the next row's first"


def test_an_untrained_model_is_uniform():
    nats, _ = Ngram(Config(), 7).eval()(torch.tensor([[0, 3]]), torch.tensor([[3, 4]]))
    assert nats.tolist() == [pytest.approx([float(torch.tensor(7.0).log())] * 2)]
