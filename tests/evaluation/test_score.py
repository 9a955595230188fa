"""What the score of a text promises: what the model pays, whole, alone, and to the byte."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_models import TEXTS, Uniform, opinionated
from torchmetrics.functional.text import perplexity

from arasuji import models
from arasuji.documents import Document
from arasuji.evaluation import score as module
from arasuji.evaluation.score import Score, score
from arasuji.models import IGNORED
from arasuji.tokenizers import bpe as bpe_module
from arasuji.tokenizers import word


@pytest.fixture(params=models.families())
def model(request, bpe):
    return opinionated(request.param, bpe)


@torch.no_grad()
def test_nats_equal_the_loss_of_transformers(bpe, starter_texts):
    model = opinionated("transformer", bpe, context_length=512)
    texts = [*TEXTS, *starter_texts[:6]]
    scored = score(model, bpe, texts)
    for text, nats in zip(texts, scored.document_nll, strict=True):
        ids = torch.tensor([[bpe.end_id, *bpe.encode(text), bpe.end_id]])
        theirs = model.network(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        assert nats == pytest.approx(theirs, rel=1e-5, abs=1e-4)


@torch.no_grad()
def test_perplexity_agrees_with_torchmetrics(bpe, starter_texts):
    model = opinionated("transformer", bpe, context_length=512)
    text = starter_texts[0]
    row = torch.tensor([[bpe.end_id, *bpe.encode(text), bpe.end_id]])
    theirs = perplexity(model.network(input_ids=row[:, :-1]).logits.float(), row[:, 1:])
    scored = score(model, bpe, [text])
    assert math.exp(scored.document_nll[0] / scored.tokens) == pytest.approx(theirs.item(), rel=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("limit", [8, 9])
def test_a_text_beyond_the_context_is_scored_whole_by_windows_that_overlap_by_half(bpe, starter_texts, limit):
    """Position i of [end, tokens...] is read in the first window [s, s + limit), s a multiple of limit // 2, that
    holds it: so its target sees at least limit - limit // 2 tokens, or all there are."""
    model = opinionated("transformer", bpe, context_length=limit)
    text = starter_texts[0][:90]
    row = [bpe.end_id, *bpe.encode(text), bpe.end_id]
    ids, targets = row[:-1], row[1:]
    assert len(ids) > 3 * limit
    by_hand = 0.0
    for i, target in enumerate(targets):
        start = 0
        while start + limit <= i:
            start += limit // 2
        logits = model.network(input_ids=torch.tensor([ids[start : i + 1]])).logits[0, -1]
        by_hand -= logits.log_softmax(-1)[target].item()
        assert i + 1 - start >= min(i + 1, limit - limit // 2)
    scored = score(model, bpe, [text])
    assert scored.tokens == len(targets)
    assert scored.document_nll[0] == pytest.approx(by_hand, abs=1e-3)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(tokens=st.integers(0, 60), limit=st.none() | st.integers(1, 20), data=st.data())
def test_the_windows_count_every_target_once_in_its_place_after_shots_too(tokens, limit, data):
    shots = data.draw(st.integers(0, 9 if limit is None else limit // 2))
    row, counted = list(range(1, tokens + 1)), []
    for window in module._windows(Document([99] * shots + [0, *row, 0], shots + 1, shots), limit):
        assert len(window.ids) == len(window.targets) <= (limit or 99) - shots * window.after_shots
        places = zip(window.ids, window.targets, strict=True)
        assert all(target in (IGNORED, (i + 1) % (tokens + 1)) for i, target in places)
        counted += [target for target in window.targets if target != IGNORED]
    assert counted == [*row, 0]


def test_a_uniform_model_pays_the_logarithm_of_its_vocabulary_for_each_token_and_the_end(bpe):
    for limit in (None, 16):
        scored = score(Uniform(bpe.vocabulary_size, limit), bpe, TEXTS)
        tokens = sum(len(bpe.encode(text)) + 1 for text in TEXTS)
        size = sum(len(text.encode()) for text in TEXTS)
        assert scored.tokens == tokens
        assert sum(scored.bytes) == size
        assert scored.bits_per_byte == pytest.approx(math.log2(bpe.vocabulary_size) * tokens / size, rel=1e-6)


def test_a_uniform_model_of_bytes_pays_8_bits_for_each():
    letters = bpe_module.build(bpe_module.Config(), [])  # nothing is merged: a token is a byte
    scored = score(Uniform(256), letters, TEXTS)
    of_ends = 8 * len(TEXTS) / sum(scored.bytes)
    assert scored.bits_per_byte - of_ends == pytest.approx(8, rel=1e-6)


def test_a_text_costs_the_same_alone_and_among_others(model, bpe, starter_texts, monkeypatch):
    texts = [*TEXTS, *(text[:300] for text in starter_texts[:8])]
    alone = [score(model, bpe, [text]).document_nll[0] for text in texts]
    for size in (module.BATCH_TOKENS, 200):
        monkeypatch.setattr(module, "BATCH_TOKENS", size)
        assert score(model, bpe, texts).document_nll == pytest.approx(alone, abs=1e-3, rel=1e-5)
        assert score(model, bpe, texts[::-1]).document_nll == pytest.approx(alone[::-1], abs=1e-3, rel=1e-5)


def test_scoring_teaches_nothing_draws_nothing_and_leaves_the_mode_as_it_was(bpe):
    for family in models.families():
        options = {} if family == "ngram" else {"dropout": 0.5}
        model = opinionated(family, bpe, **options)
        first = score(model, bpe, TEXTS)
        for training in (True, False):
            model.train(training)
            state = torch.random.get_rng_state()
            assert score(model, bpe, TEXTS) == first
            assert model.training is training
            assert torch.equal(torch.random.get_rng_state(), state)


def test_the_bits_per_byte_of_an_ngram_model_equal_a_hand_calculation():
    """Interpolated Kneser-Ney by hand: bigrams, discount d = 1/2, the documents "a b" and "a a b".

    Vocabulary: end E, <unk>, <pad>, a, b: V = 5. Read: E a b E and E a a b E.
    Bigrams: Ea 2, ab 2, aa 1, bE 2.
    Shorter runs count the different tokens before them: a 2 (E, a), b 1 (a), E 1 (b) + 1 as a row begins with it;
    5 in all, 3 kinds, so what the discount frees goes to the uniform 1/5 with weight d * 3 / 5 = 0.3:
        p(a) = 1.5/5 + 0.3/5 = 0.36     p(b) = 0.5/5 + 0.3/5 = 0.16     p(E) = 1.5/5 + 0.3/5 = 0.36
    Bigrams with total c and k kinds after the context, the rest d * k / c given to the above:
        p(a|E) = 1.5/2 + 1/4 * 0.36 = 0.84          (c = 2, k = 1)
        p(b|a) = 1.5/3 + 1/3 * 0.16 = 0.55333...    (c = 3, k = 2)
        p(a|b) = 0     + 1/4 * 0.36 = 0.09          (c = 2, k = 1)
        p(E|a) = 0     + 1/3 * 0.36 = 0.12
    The text "a b a": 0.84 * 0.55333 * 0.09 * 0.12, in 5 bytes: 7.6384 bits, 1.5277 a byte.
    """
    tokenizer = word.build(word.Config(min_count=1), ["a b", "a a b"])
    ngram = models.family("ngram")
    model = ngram.build(ngram.Config(order=2, discount=0.5), tokenizer)
    model.train()
    for text in ("a b", "a a b"):
        row = torch.tensor([[tokenizer.end_id, *tokenizer.encode(text), tokenizer.end_id]])
        model(row[:, :-1], row[:, 1:])
    model.eval()
    scored = score(model, tokenizer, ["a b a"])
    by_hand = 0.84 * (1.5 / 3 + 0.16 / 3) * 0.09 * 0.12
    assert scored.document_nll[0] == pytest.approx(-math.log(by_hand), rel=1e-6)
    assert scored.tokens == 4
    assert scored.bits_per_byte == pytest.approx(-math.log2(by_hand) / 5, rel=1e-6)
    # and all that may follow "a" sums to one
    every = torch.arange(5)
    assert model.probabilities(torch.full((5, 1), 3), every).sum().item() == pytest.approx(1)


def made_up(count: int, seed: int = 0, groups=None) -> Score:
    generator = torch.Generator().manual_seed(seed)
    size = torch.randint(100, 900, (count,), generator=generator).tolist()
    rate = (0.9 + 0.2 * torch.randn(count, generator=generator)).tolist()
    nll = [[b * r] for b, r in zip(size, rate, strict=True)]
    return Score(nll, [[0.0]] * count, size, groups or [str(i) for i in range(count)])


def width(scored: Score) -> float:
    low, high = scored.interval()
    return high - low


def test_an_interval_holds_the_estimate_and_is_the_same_each_time():
    scored = made_up(60)
    low, high = scored.interval()
    assert low < scored.bits_per_byte < high
    assert scored.interval() == (low, high)
    assert scored.interval(seed=1) == pytest.approx((low, high), rel=0.01)


def test_an_interval_is_about_two_standard_errors_each_way():
    """Against the ratio's own formula (Cochran 1977, section 2.11), which knows nothing of resampling."""
    scored = made_up(400)
    ratio = sum(scored.document_nll) / sum(scored.bytes)
    rest = [n - ratio * b for n, b in zip(scored.document_nll, scored.bytes, strict=True)]
    error = math.sqrt(sum(r * r for r in rest)) / sum(scored.bytes) / math.log(2)
    assert width(scored) == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_an_interval_shrinks_with_the_root_of_the_groups():
    assert width(made_up(1600)) == pytest.approx(width(made_up(100)) / 4, rel=0.2)


def test_groups_and_not_documents_are_drawn():
    one = made_up(30)
    ten = Score(one.nll * 10, None, one.bytes * 10, one.groups * 10)  # each group has ten documents that are alike
    assert ten.interval() == pytest.approx(one.interval())
    apart = Score(ten.nll, None, ten.bytes, [str(i) for i in range(300)])
    assert width(apart) < width(ten) / 2


def test_documents_of_a_single_group_say_nothing_about_others():
    scored = made_up(5, groups=["one"] * 5)
    assert scored.interval() is None
    assert made_up(1).interval() is None


def test_an_interval_holds_the_estimate_when_the_tokenizer_is_charged():
    free = made_up(60)
    charged = Score(free.nll, [[0.2 * n] for n in free.document_nll], free.bytes, free.groups)
    low, high = charged.interval()
    assert low < charged.bits_per_byte < high
    assert charged.bits_per_byte == pytest.approx(1.2 * free.bits_per_byte)
    assert charged.charge == pytest.approx(0.2 * free.bits_per_byte)


def test_each_text_is_its_own_group_unless_groups_are_given(bpe):
    uniform = Uniform(9)
    assert len(set(score(uniform, bpe, TEXTS).groups)) == len(TEXTS)
    assert score(uniform, bpe, TEXTS, ["x"] * len(TEXTS)).groups == ["x"] * len(TEXTS)


def test_no_texts_and_empty_texts_are_borne(model, bpe):
    nothing = score(model, bpe, [])
    assert (nothing.document_nll, nothing.tokens, nothing.bits_per_byte) == ([], 0, 0)
    assert nothing.interval() is None
    empty = score(model, bpe, [""])
    assert empty.bytes == [0]
    assert empty.tokens == 1
    assert empty.document_nll[0] > 0  # to end at once is a choice too
    assert math.isfinite(empty.bits_per_byte)


def test_what_a_lossless_tokenizer_throws_away_is_nothing(bpe, starter_texts):
    assert score(Uniform(9), bpe, [*TEXTS, *starter_texts[:5]]).charge == 0.0


@pytest.mark.parametrize("texts", [["The Keeper of Zorblax sails."], ["So the keeper."], [""], []])
def test_the_charge_of_words_is_not_known_even_for_texts_that_come_back_as_they_were(texts):
    """Words drop case and spacing: that "So" was not "so" costs something too."""
    tokenizer = word.build(word.Config(min_count=1), ["so the keeper."])
    assert score(Uniform(9), tokenizer, texts).charge is None
