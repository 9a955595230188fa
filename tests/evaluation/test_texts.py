"""What the measures of written texts promise: bad texts at the bottom of the measures that are meant to catch them."""

from __future__ import annotations

import random

import pytest
from scored_models import training_of

from arasuji.corpus.script import words_of
from arasuji.evaluation.answer import ScoredDocuments
from arasuji.evaluation.compare import _likelihood, pairs_of
from arasuji.evaluation.report import ComparedModel
from arasuji.evaluation.texts import Texts, copies, measured

WORDS = 40


@pytest.fixture(scope="module")
def texts(starter_texts):
    return [text for text in starter_texts if len(words_of(text)) >= WORDS]


@pytest.fixture(scope="module")
def real(texts):
    return Texts(texts[:60], [f"story {i}" for i in range(60)])


@pytest.fixture(scope="module")
def others(texts):
    """As real, and nobody's continuation."""
    return texts[60:120]


@pytest.fixture(autouse=True)
def without_mauve(monkeypatch):
    """It has tests of its own, and reads with a pretrained model."""
    monkeypatch.setattr("arasuji.evaluation.texts.mauve", lambda own, real: None)


def found(own, real, times=1):
    """The measures of texts that go on from the same prompts as the real ones."""
    return next(measured([(Texts(list(own) * times, real.groups), real)], WORDS))


def test_real_texts_beside_other_real_ones_are_at_the_top(real, others):
    measures = found(others, real)
    assert measures.long_enough == 1
    assert measures.classifier.low < 0.5 < measures.classifier.high
    assert measures.distinct_2 > 0.9
    assert measures.repetition < 0.02


def test_shuffled_words_are_told_from_real_texts(texts):
    real = Texts(texts[:200], [f"story {i}" for i in range(200)])
    shuffled = [
        " ".join(random.Random(i).sample(text.split(), len(text.split()))) for i, text in enumerate(texts[200:400])
    ]
    assert found(shuffled, real).classifier.low > 0.6


def test_repeated_text_is_told_from_real_text_and_repeats_and_is_not_varied(real, others):
    measures = found([" ".join(text.split()[:5] * 20) for text in others], real)
    assert measures.classifier.low > 0.7
    assert measures.repetition > 0.8
    same = found([others[0]] * 60, real)
    assert same.self_bleu == pytest.approx(1)
    assert same.distinct_2 < 0.05


def test_training_text_word_for_word_is_found_whatever_else_is_good_about_it(real, others, texts):
    training = training_of(*texts[60:])
    verbatim, fresh = copies([Texts(others, real.groups), real], WORDS, training)
    assert verbatim.longest_words == max(len(words_of(text)) for text in others)
    assert verbatim.share_8gram == verbatim.share_13gram == verbatim.copying_texts == verbatim.containment == 1
    assert fresh.copying_texts == 0
    assert fresh.share_8gram < 0.01


def test_empty_text_is_not_judged_by_what_it_lacks(real):
    measures = found([""] * 60, real)
    assert (measures.long_enough, measures.words) == (0, 0)
    assert all(getattr(measures, name) is None for name in ("classifier", "distinct_2", "self_bleu", "repetition"))


def test_a_model_that_mostly_writes_nothing_is_not_judged_by_its_few_good_texts(real, others):
    assert found([*others[:29], *[""] * 31], real).classifier is None
    assert found([*others[:31], *[""] * 29], real).classifier is not None


def test_each_round_is_measured_alone_and_the_range_is_given(real, others, texts):
    made = Texts([*others, *[texts[0]] * 60], real.groups)
    measures = next(measured([(made, real)], WORDS))
    low, high = measures.distinct_2_range
    assert low < 0.05 < 0.9 < high
    assert measures.distinct_2 == pytest.approx((low + high) / 2)
    assert measures.texts == 120


def test_texts_of_several_times_are_told_from_as_many_real_ones_none_of_them_twice(texts):
    """A classifier that has met a real text three times takes all others for written ones."""
    rng, words = random.Random(0), [word for text in texts for word in text.split()]

    def spoilt(text: str) -> str:
        return " ".join(word if rng.random() < 0.5 else rng.choice(words) for word in text.split())

    real = Texts(texts[:300], [f"story {i}" for i in range(300)])
    written = Texts([spoilt(text) for _ in range(3) for text in texts[300:400]], [f"story {i}" for i in range(100)])
    assert next(measured([(written, real)], WORDS)).classifier.low > 0.6
    alike = Texts([*texts[:100]] * 3, [f"other {i}" for i in range(100)])
    assert next(measured([(alike, Texts(texts[100:400], real.groups))], WORDS)).classifier.low < 0.55


def test_sets_are_compared_by_as_many_texts(real, others):
    """Or one of few texts would be the more varied, and the harder to tell."""
    few = Texts([*others[:30], *[""] * 30], real.groups)
    made = Texts(others, real.groups)
    alone, beside = next(measured([(made, real)], WORDS)), next(measured([(made, real), (few, real)], WORDS))
    assert (alone.texts, beside.texts) == (60, 30)
    assert beside.distinct_1 > alone.distinct_1
    assert beside.classifier.high - beside.classifier.low > alone.classifier.high - alone.classifier.low


def test_what_is_copied_is_measured_on_texts_of_one_length(real, texts):
    """A longer text has more of everything; only the longest run is that of the whole text."""
    training = training_of(*texts[60:])
    tails = Texts([f"{text} {texts[100]}" for text in real.texts], real.groups)
    longer, fresh = copies([tails, real], WORDS, training)
    assert longer.share_8gram == fresh.share_8gram
    assert longer.longest_words >= len(words_of(texts[100])) > fresh.longest_words


def test_too_few_long_texts_have_no_shares(real, texts):
    (few,) = copies([Texts([*texts[60:80], *["short"] * 40], real.groups)], WORDS, training_of(*texts))
    assert few.share_8gram is None
    assert few.longest_words > WORDS


def scored(name, nll, charged=True, groups=None):
    documents = ScoredDocuments(
        nll=nll,
        charges=[0.0] * len(nll) if charged else None,
        bytes=[100] * len(nll),
        groups=groups or [str(i) for i in range(len(nll))],
        tokens=25 * len(nll),
    )
    return ComparedModel.model_construct(name=name, **dict(_likelihood(documents)), documents=documents)


def test_a_pair_names_the_better_one_first_and_says_when_nothing_is_shown():
    noise = random.Random(0)
    good = [80 + noise.gauss(0, 5) for _ in range(200)]
    alike = [nll + noise.gauss(0, 5) for nll in good]
    bad = [nll + 10 + noise.gauss(0, 5) for nll in good]
    pairs = {(p.a, p.b): p for p in pairs_of([scored("bad", bad), scored("good", good), scored("alike", alike)])}
    close = next(pair for names, pair in pairs.items() if set(names) == {"good", "alike"})
    assert close.verdict == "no difference shown"
    assert close.low < 0 < close.high
    worse = pairs["good", "bad"]
    assert worse.verdict == "better"
    assert worse.low < worse.difference < worse.high < 0


def test_few_groups_say_nothing():
    (pair,) = pairs_of([scored("good", [1.0] * 19), scored("bad", [2.0] * 19)])
    assert pair.verdict == "too few texts"


@pytest.mark.parametrize("count", [1, 30])
def test_documents_of_one_group_have_no_interval(count):
    models = [scored(name, [nll] * count, groups=["one story"] * count) for name, nll in (("good", 1.0), ("bad", 2.0))]
    (pair,) = pairs_of(models)
    assert [(part.low, part.high) for part in (*models, pair)] == [(None, None)] * 3
    assert pair.verdict == "too few texts"


def test_nothing_is_better_than_a_lower_bound():
    (pair,) = pairs_of([scored("free", [1.0] * 30), scored("bound", [0.5] * 30, charged=False)])
    assert pair.verdict == "not comparable"
