"""What the bits by characters promise: nothing is lost, nothing is counted twice, and spans are the tokens' own."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_models import TEXTS, Uniform, opinionated, training_of

from arasuji.evaluation.answer import CalibrationBin
from arasuji.evaluation.calibration import calibration, error
from arasuji.evaluation.charge import Charge
from arasuji.evaluation.score import score
from arasuji.evaluation.where import bits_of_characters, by_frequency, by_position, pieces
from arasuji.tokenizers import word


@pytest.fixture(scope="module")
def words():
    return word.build(word.Config(min_count=1), TEXTS)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_the_spans_of_a_lossless_tokenizer_meet_and_cover_the_text(bpe, text):
    spans = bpe.spans(text)
    assert len(spans) == len(bpe.encode(text))
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(a[1] == b[0] for a, b in pairwise(spans))


@settings(deadline=None, max_examples=300, derandomize=True)
@given(text=st.text(alphabet="aAb B.,'\"\n(«ßİſΣ`", max_size=30))
def test_the_spans_of_words_hold_the_words_in_order_and_leave_out_white_space_alone(words, text):
    spans, done = words.spans(text), 0
    for shown, (start, end) in zip(word.words_of(text), spans, strict=True):
        assert done <= start <= end
        assert not text[done:start].strip()
        small = text[start:end].lower().replace("σ", "ς")  # which one it is depends on what stands around it
        assert small == shown.replace("σ", "ς") or shown in ("``", "''")
        done = end
    assert not text[done:].strip()


@pytest.mark.parametrize("tokens", ["bpe", "words"])
def test_all_bits_of_a_score_are_those_of_its_characters_and_its_end(request, tokens):
    tokenizer = request.getfixturevalue(tokens)
    charge = None if tokenizer.lossless else Charge(tokenizer, TEXTS)
    scored = score(opinionated("lstm", tokenizer), tokenizer, TEXTS, charge=charge)
    bits = bits_of_characters(scored, tokenizer, TEXTS)
    assert [len(row) for row in bits] == [len(text) + 1 for text in TEXTS]
    for row, nats in zip(bits, scored.document_nll, strict=True):
        assert row.sum() * math.log(2) == pytest.approx(nats)
    for text in TEXTS:
        assert "".join(text[start:end] for start, end in pieces(tokenizer, text)) == text


def test_a_uniform_model_costs_the_same_everywhere():
    """Of one byte a token, so a byte costs log2 V bits wherever it stands."""

    class Bytes:
        vocabulary_size, start_id, end_id, pad_id, lossless = 257, 256, 256, 256, True

        def encode(self, text):
            return list(text.encode())

        def encode_batch(self, texts):
            return map(self.encode, texts)

        def decode(self, ids):
            return bytes(ids).decode("utf-8", "replace")

        def spans(self, text):
            return [(i, i + 1) for i in range(len(text))]

    texts = ["a" * 300, "b" * 40]
    scored = score(Uniform(256), Bytes(), texts)
    assert [n / math.log(2) / (len(t) + 1) for n, t in zip(scored.document_nll, texts, strict=True)] == pytest.approx(
        [8, 8]
    )
    bits = bits_of_characters(scored, Bytes(), texts)
    assert dict(by_position(bits, texts)) == pytest.approx({0: 8, 25: 8, 50: 8, 100: 8, 200: 8})


def test_the_bits_of_words_are_by_how_often_training_had_them(bpe):
    text = "The sea, the zorblax!"
    training = training_of(*["the sea"] * 12, "the lamp").words
    scored = score(Uniform(9), bpe, [text])
    bits = bits_of_characters(scored, bpe, [text])
    found = {least: (paid, words) for least, paid, words in by_frequency(bits, [text], training)}
    assert {least: words for least, (_, words) in found.items()} == {0: 1, 10: 3}
    whole = bits[0][: text.index("!")].sum()
    assert sum(paid * words for paid, words in found.values()) == pytest.approx(whole)


def test_a_model_that_is_as_confident_as_it_is_accurate_has_no_error():
    assert error([CalibrationBin(0.3, 0.3, 10), CalibrationBin(0.9, 0.9, 5)]) == 0
    assert error([CalibrationBin(0.5, 0.3, 30), CalibrationBin(0.9, 1.0, 10)]) == pytest.approx(0.175)
    assert error([]) == 0


@pytest.mark.parametrize("family", ["lstm", "transformer", "ngram"])
def test_calibration_is_that_of_the_whole_distribution(bpe, family):
    """Each token's likeliest rival by hand, from a row read alone, over texts of different lengths."""
    model = opinionated(family, bpe)
    texts = [text for text in TEXTS if text]
    sure, right = [], []
    with torch.no_grad():
        for text in texts:
            ids = [bpe.end_id, *bpe.encode(text)]
            for i in range(1, len(ids)):
                row = torch.tensor([ids[:i]])
                shares = model.step(row, torch.tensor([i]))[0][0].float().softmax(-1)
                sure.append(shares.max().item())
                right.append(int(shares.argmax()) == ids[i])
    bins = calibration(model, bpe, texts)
    assert sum(b.tokens for b in bins) == len(sure)
    assert sum(b.confidence * b.tokens for b in bins) == pytest.approx(sum(sure), rel=1e-3)
    assert sum(b.accuracy * b.tokens for b in bins) == pytest.approx(sum(right), abs=1)
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)
