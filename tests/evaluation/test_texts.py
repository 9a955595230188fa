"""What the measures of written texts promise: bad texts at the bottom of the measures that are meant to catch them."""

from __future__ import annotations

import random

import pytest
from scored_models import training_of

from arasuji.corpus import Record
from arasuji.corpus.script import words_of
from arasuji.evaluation.answer import ScoredDocuments
from arasuji.evaluation.compare import _likelihood, pairs_of
from arasuji.evaluation.report import ComparedModel
from arasuji.evaluation.task import PROMPT_WORDS, prompt_of, rest_of
from arasuji.evaluation.texts import Texts, copies, least, measured, most_of_all

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


def found(own, groups):
    """The measures of texts of some prompts."""
    texts = Texts(own, groups)
    return measured(texts, WORDS, least(texts, WORDS))


def test_real_texts_are_varied_and_repeated_ones_are_not(real, others):
    measures = found(others, real.groups)
    assert measures.long_enough == 1
    assert measures.distinct_2 > 0.9
    assert measures.repetition < 0.02
    assert found([" ".join(text.split()[:5] * 20) for text in others], real.groups).repetition > 0.8
    same = found([others[0]] * 60, real.groups)
    assert same.self_bleu == pytest.approx(1)
    assert same.distinct_2 < 0.05


def test_training_text_word_for_word_is_found_whatever_else_is_good_about_it(real, others, texts):
    training = training_of(*texts[60:])
    verbatim, fresh = copies([Texts(others, real.groups), real], WORDS, training)
    assert verbatim.longest_words == max(len(words_of(text)) for text in others)
    assert verbatim.share_8gram == verbatim.share_13gram == verbatim.copying_texts == verbatim.containment == 1
    assert fresh.copying_texts == 0
    assert fresh.share_8gram < 0.01


def test_empty_text_is_not_measured_by_what_it_lacks(real):
    measures = found([""] * 60, real.groups)
    assert (measures.long_enough, measures.words, measures.texts) == (0, 0, 0)
    assert all(getattr(measures, name) is None for name in ("distinct_2", "self_bleu", "repetition"))


def test_a_model_that_mostly_writes_nothing_is_not_measured_by_its_few_good_texts(real, others):
    assert least(Texts([*others[:29], *[""] * 31], real.groups), WORDS) == 0
    assert least(Texts([*others[:31], *[""] * 29], real.groups), WORDS) == 31


def test_each_round_is_measured_alone_and_the_range_is_given(real, others, texts):
    measures = found([*others, *[texts[0]] * 60], real.groups)
    low, high = measures.distinct_2_range
    assert low < 0.05 < 0.9 < high
    assert measures.distinct_2 == pytest.approx((low + high) / 2)
    assert measures.texts == 120


def test_sets_are_compared_by_as_many_texts(real, others):
    """Or one of few texts would be the more varied."""
    few, made = (Texts(own, real.groups) for own in ([*others[:30], *[""] * 30], others))
    assert most_of_all([made, few, Texts([""] * 60, real.groups)], WORDS) == 30 == most_of_all([few], WORDS)
    alone, beside = measured(made, WORDS, 60), measured(made, WORDS, 30)
    assert (alone.texts, beside.texts) == (60, 30)
    assert beside.distinct_1 > alone.distinct_1


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


def test_a_prompt_ends_with_a_word_and_in_a_script_without_spaces_with_a_character():
    record = Record("", "The lamp-keeper's daughter, who never came home, waits.")
    assert prompt_of(record).split()[-1] in record.text.split()
    assert prompt_of(record) + rest_of(record) == record.text
    japanese = Record("", "灯台守の娘は帰らない。港の灯りは二度消えた。")
    assert prompt_of(japanese) == japanese.text[:PROMPT_WORDS]
    assert rest_of(japanese)
