"""A mixture's probabilities are those of its two models, in the shares that it says."""

from __future__ import annotations

import pytest
import torch
from conftest import small_model

from arasuji.corpus import Record
from arasuji.documents import documents_of
from arasuji.models import IGNORED
from arasuji.training.documents import Documents


@pytest.fixture
def mixture(bpe, starter_texts):
    """One whose n-gram model has counted some texts."""
    model = small_model("mixture", bpe, share=0.1)
    model.begin(Documents(documents_of([Record("", text) for text in starter_texts[:20]], bpe, ""), bpe.end_id))
    return model.eval()


def test_a_tenth_of_a_probability_is_the_ngram_models_and_the_rest_the_lstms(mixture, bpe, starter_texts):
    ids = torch.tensor([[bpe.end_id, *bpe.encode(starter_texts[3])[:30]]])
    targets = torch.tensor([[*ids[0, 1:].tolist(), IGNORED]])
    with torch.no_grad():
        nats = mixture(ids, targets)[0]
        neural, counted = mixture.lstm(ids, targets)[0], mixture.ngram(ids, targets)[0]
    expected = 0.9 * (-neural).exp() + 0.1 * (-counted).exp()
    torch.testing.assert_close((-nats[:, :-1]).exp(), expected[:, :-1])
    assert (neural - counted).abs().max() > 1
    scores, _ = mixture.step(ids, torch.tensor([ids.shape[1]]))
    probabilities = scores.softmax(-1)
    single = [model.step(ids, torch.tensor([ids.shape[1]]))[0].softmax(-1) for model in (mixture.lstm, mixture.ngram)]
    torch.testing.assert_close(probabilities, 0.9 * single[0] + 0.1 * single[1])


def test_the_lstm_learns_as_if_it_were_alone(mixture, bpe, starter_texts):
    ids = torch.tensor([[bpe.end_id, *bpe.encode(starter_texts[3])[:30]]])
    mixture.train()
    torch.testing.assert_close(mixture(ids[:, :-1], ids[:, 1:])[0], mixture.lstm(ids[:, :-1], ids[:, 1:])[0])
    assert mixture.learned().keys() == mixture.lstm.learned().keys()
