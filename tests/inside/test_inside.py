"""What is shown of the inside of a model is what the model computes, and every picture is an SVG that opens."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import torch
from conftest import small_model
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import models
from arasuji.config import SamplingConfig
from arasuji.errors import OptionError
from arasuji.inside import attention, memory, pictures, reading, reset
from arasuji.inside.reading import START, Reading
from arasuji.runs import TrainedModel

TEXT = "The robot took the cup because it was thirsty."


@pytest.fixture
def opened(bpe, starter_texts):
    """A small model of a family, opened; one that counts has counted some texts."""

    def of(family: str) -> TrainedModel:
        model = small_model(family, bpe)
        if family == "ngram":
            for text in (TEXT, *starter_texts[:5]):
                row = torch.tensor([[bpe.end_id, *bpe.encode(text), bpe.end_id]])
                model(row[:, :-1], row[:, 1:])
        return TrainedModel(family, model.eval(), bpe, SamplingConfig(), {})

    return of


def test_a_text_is_read_token_by_token(opened):
    trained = opened("lstm")
    read = reading(trained, TEXT)
    assert read.texts[0] == START
    assert "".join(read.texts[1:]) == TEXT
    more = reading(trained, "", written=read.ids[1:])
    assert (more.ids, more.texts) == (read.ids, read.texts)
    with pytest.raises(OptionError, match="none of"):
        reading(trained, TEXT, written=[10**6])
    with pytest.raises(OptionError, match="can be looked into"):
        reading(trained, TEXT * 100)


def test_attention_is_of_the_past_alone_by_head_by_layer_and_in_the_mean(opened):
    found = attention(opened("transformer"), TEXT)
    count = len(found.reading.ids)
    layers, heads = found.weights.shape[:2]
    for token in (0, 3, count - 1):
        mean = found.of(token)
        assert mean.sum() == pytest.approx(1, abs=1e-4)
        assert (mean[token + 1 :] == 0).all()
        by_head = torch.stack([found.of(token, layer, head) for layer in range(layers) for head in range(heads)])
        torch.testing.assert_close(by_head.mean(0), mean)
        torch.testing.assert_close(found.grid(token, 0).mean(), mean[0])


def test_the_cell_that_moved_most_moved_most(opened):
    found = memory(opened("mixture"), TEXT)
    (cell, change), *_ = found.most_moved(4)
    values = found.cell(cell)
    assert float(values[4] - values[3]) == pytest.approx(change, abs=1e-6)
    assert (found.gates.cell[-1, 4] - found.gates.cell[-1, 3]).abs().max() == pytest.approx(abs(change), abs=1e-6)


@pytest.mark.parametrize("family", ["lstm", "mixture", "ngram"])
def test_a_reset_model_reads_what_follows_as_if_it_were_all(opened, family):
    trained = opened(family)
    read = reading(trained, TEXT)
    found = reset(trained, read, 4)
    with torch.no_grad():
        scores, _ = trained.model.step(torch.tensor([read.ids[4:5]]), torch.tensor([1]))
    assert found.after[0][0] == int(scores[0].argmax())
    assert found.after[0][1] == pytest.approx(float(scores[0].softmax(-1).max()), rel=1e-4)
    assert len(found.bits) == len(found.bits_without) == len(read.ids) - 5
    assert found.lost == pytest.approx(sum(found.bits_without) - sum(found.bits))
    with pytest.raises(OptionError, match="before one of the tokens"):
        reset(trained, read, len(read.ids))


def test_5_grams_forget_a_reset_after_4_tokens(opened):
    trained = opened("ngram")
    read = reading(trained, TEXT)
    found = reset(trained, read, 2)
    assert found.differences[3:] == pytest.approx([0] * (len(found.differences) - 3), abs=1e-6)
    assert found.agree_after is not None
    assert 2 <= found.agree_after <= 4


@pytest.mark.parametrize("family", models.families())
def test_a_model_without_a_part_says_so_in_a_sentence(opened, family):
    trained = opened(family)
    if family != "transformer":
        with pytest.raises(OptionError, match="shows no attention"):
            attention(trained, TEXT)
    if family in ("transformer", "ngram"):
        with pytest.raises(OptionError, match="shows no gates"):
            memory(trained, TEXT)
    if family == "transformer":
        with pytest.raises(OptionError, match="keeps all that it reads"):
            reset(trained, reading(trained, TEXT), 3)


def test_the_pictures_show_every_token(opened):
    for found in (attention(opened("transformer"), TEXT), memory(opened("lstm"), TEXT)):
        drawn = ElementTree.fromstring(found._repr_svg_())
        words = [element.text or "" for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
        for text in found.reading.texts:
            assert text.strip() in words


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=30), st.data())
def test_any_text_makes_a_picture_that_opens(texts, data):
    read = Reading([0, *range(len(texts))], [START, *texts], 1)
    count = len(read.texts)
    shares = [1 / count] * count
    for drawn in (
        pictures.attention(read, data.draw(st.integers(0, count - 1)), shares),
        pictures.memory(read, {"forget": shares, "input": shares, "cell": shares}),
    ):
        words = list(ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text"))
        assert len(words) > count  # one for each token, and the sentence below
