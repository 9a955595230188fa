"""What an LSTM drops in training, and how its output layer begins."""

from __future__ import annotations

import pytest
import torch

from arasuji.documents import Document
from arasuji.errors import OptionError
from arasuji.models import lstm
from arasuji.training.documents import Documents


class Vocabulary:
    vocabulary_size, end_id, pad_id = 53, 0, 1


def made(**options) -> lstm.Lstm:
    torch.manual_seed(0)
    return lstm.build(lstm.Config(**{"embedding": 12, "hidden": 16, "layers": 2, "dropout": 0.0} | options), Vocabulary)


IDS = torch.arange(2, 26).reshape(3, 8)
REGULARIZED = {
    "dropout": 0.5,
    "layer_dropout": 0.5,
    "input_dropout": 0.5,
    "embedding_dropout": 0.5,
    "recurrent_dropout": 0.5,
    "locked_dropout": True,
}


@torch.no_grad()
def test_layers_read_one_by_one_equal_torchs_lstm():
    model = made(**REGULARIZED).eval()
    outputs, state = model._read(model._embedded(IDS), None)
    wanted, (hidden, cell) = model.lstm(model.embedding(IDS))
    torch.testing.assert_close(outputs, wanted)
    torch.testing.assert_close((state.hidden, state.cell), (hidden, cell))


@pytest.mark.parametrize("option", sorted(REGULARIZED.keys() - {"locked_dropout"}))
def test_each_dropout_acts_in_training_alone(option):
    model = made(**{option: 0.5})
    with torch.no_grad():
        first, second = (model.train()(IDS, IDS)[0] for _ in range(2))
        assert not torch.equal(first, second)
        assert torch.equal(model.eval()(IDS, IDS)[0], model(IDS, IDS)[0])
        assert torch.equal(model(IDS, IDS)[0], made().eval()(IDS, IDS)[0])


def test_locked_dropout_drops_the_same_numbers_at_each_token_of_a_row():
    rows = made(locked_dropout=True).train()._dropped(torch.ones(5, 7, 64), 0.5)
    assert torch.equal(rows, rows[:, :1].expand(-1, 7, -1))
    assert not torch.equal(rows[0], rows[1])
    assert set(rows.unique().tolist()) == {0.0, 2.0}


def test_embedding_dropout_takes_a_token_away_from_the_whole_batch():
    model = made(embedding_dropout=0.5).train()
    rows = model._embedded(torch.tensor([[5, 6, 7, 8] * 8, [8, 7, 6, 5] * 8]))
    for row in (rows[0], rows[1].flip(0)):
        assert torch.equal(row.reshape(8, 4, -1), rows[0, :4].expand(8, -1, -1))


@torch.no_grad()
def test_tied_weights_of_another_size_than_hidden_read_a_projection(tmp_path):
    model = made(tie_weights=True).eval()
    outputs, _ = model._read(model._embedded(IDS), None)
    wanted = outputs[:, -1] @ model.projection.weight.T @ model.embedding.weight.T + model.linear.bias
    torch.testing.assert_close(model.step(IDS, torch.full((3,), 8))[0], wanted)
    model.save(tmp_path)
    torch.testing.assert_close(lstm.load(tmp_path)(IDS, IDS)[0], model(IDS, IDS)[0])


@torch.no_grad()
def test_a_bias_of_frequencies_predicts_them_before_training():
    model = made(unigram_bias=True).eval()
    model.begin(Documents([Document([0, *[i] * 100 * i, 0], 1) for i in range(2, 53)], start_id=0))
    for weight in (model.linear.weight, *model.lstm.parameters()):
        weight.zero_()
    found = model.step(IDS, torch.full((3,), 8))[0].softmax(-1)
    shares = torch.tensor([51, 0, *(100 * i for i in range(2, 53))])  # 51 documents end
    torch.testing.assert_close(found[0], shares / shares.sum(), atol=1e-4, rtol=1e-4)


def test_a_bias_of_frequencies_is_refused_beside_an_adaptive_softmax():
    with pytest.raises(OptionError, match="unigram_bias has no place beside cutoffs"):
        made(unigram_bias=True, cutoffs=[20])


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"tie_weights": True}, {"layers": 1, "cutoffs": [10]}])
def test_the_gates_give_the_state_that_a_step_gives(options):
    model = made(**options).eval()
    row = IDS.flatten()
    found = model.gates(row)
    for length in (1, 5, len(row)):
        _, state = model.step(row[None, :length], torch.tensor([length]))
        torch.testing.assert_close(found.cell[:, length - 1], state.cell[:, 0])
        torch.testing.assert_close(found.output[:, length - 1] * found.cell[:, length - 1].tanh(), state.hidden[:, 0])
    earlier = torch.cat([torch.zeros_like(found.cell[:, :1]), found.cell[:, :-1]], 1)
    added = found.cell - found.forget * earlier
    assert (added.abs() <= found.input + 1e-6).all()
