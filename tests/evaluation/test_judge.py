"""What the judge promises: real texts pass, disturbed ones do not, and nothing is learnt by heart."""

from __future__ import annotations

import random

import gpt2_shaped
import numpy as np
import pytest
from disturbed import foreign_sentence, shuffled_words

from arasuji import bases
from arasuji.corpus.script import words_of
from arasuji.evaluation.bootstrap import area_interval
from arasuji.evaluation.judge import FOLDS, accuracy_of, cross_judged, judge, of_rows, of_words
from arasuji.evaluation.reader import NUMBERS, Reader
from arasuji.evaluation.texts import Texts

pytestmark = pytest.mark.slow

COUNT, WORDS = 40, 40


@pytest.fixture(scope="module")
def reader():
    return Reader("smollm2-135m")


@pytest.fixture(scope="module")
def long(starter_texts):
    return [text for text in starter_texts if len(words_of(text)) >= WORDS + 15][: 2 * COUNT]


@pytest.fixture(scope="module")
def real(long):
    return Texts(long[:COUNT], [f"real {i}" for i in range(COUNT)])


def written(texts):
    return Texts(texts, [f"other {i}" for i in range(len(texts))])


@pytest.fixture(scope="module")
def judged(long, real, reader):
    """Real texts and what was made of them, beside other real ones."""
    others = long[COUNT:]
    sets = (others, foreign_sentence(others, random.Random(0)), shuffled_words(others, random.Random(0)))
    return [judge(written(texts), real, WORDS, reader) for texts in sets]


def test_what_is_more_disturbed_is_told_more_surely(judged):
    plain, one_sentence, words = judged
    assert plain.low < 0.5 < plain.high
    assert plain.auroc < one_sentence.auroc < words.auroc
    assert words.low > 0.9


def test_it_sees_what_words_do_not_show(judged):
    """Shuffled words are the same words."""
    assert judged[-1].words_high < judged[-1].low


def test_the_sentence_that_gives_a_text_away_is_shown(long, real, tmp_path, monkeypatch):
    monkeypatch.setattr(bases, "home", lambda: tmp_path)
    reader = Reader(str(gpt2_shaped.make(tmp_path / "base", **gpt2_shaped.TINY | {"positions": 128})))
    found = judge(written([f"Zq zq zq zq zq zq! {text}" for text in long[COUNT:]]), real, WORDS, reader)
    assert found.low > 0.7
    assert [one.text[one.start : one.end] for one in found.telling] == ["Zq zq zq zq zq zq! "] * 10


def test_the_same_texts_give_the_same_figures(judged, long, real, reader):
    assert judge(written(long[COUNT:]), real, WORDS, reader) == judged[0]


def test_too_few_texts_or_groups_are_not_judged(long, real, reader):
    assert judge(Texts([], []), real, WORDS, reader) is None
    assert judge(written(long[COUNT:]), Texts([], []), WORDS, reader) is None
    assert judge(written(long[COUNT:]), real, WORDS, reader, 0) is None
    assert judge(written(long[:19]), real, WORDS, reader) is None
    assert judge(written([""] * COUNT), real, WORDS, reader) is None
    assert judge(Texts(long[COUNT:], ["one story"] * COUNT), real, WORDS, reader) is None


def rows(groups, shift=0.0):
    """Two kinds of rows as a reading has them; the second lies `shift` off in one number."""
    rng = np.random.default_rng(0)
    made = rng.normal(size=(len(groups), 2 * 8 + len(NUMBERS)))
    truth = np.arange(len(groups)) < len(groups) // 2
    made[truth, -1] += shift
    return made, truth, np.array(groups)


def test_labels_at_random_are_a_coin():
    made, truth, groups = rows([f"{i}" for i in range(400)], shift=3)
    null = []
    for seed in range(20):
        mixed = np.random.default_rng(seed).permutation(truth)
        null.append(np.mean((cross_judged(of_rows(made), made, mixed, groups)[0] > 0) == mixed))
    assert 0.47 < np.mean(null) < 0.53
    assert accuracy_of(cross_judged(of_rows(made), made, truth, groups)[0], truth, groups).low > 0.85


def test_texts_of_one_group_are_never_learnt_from_and_judged():
    """Ten stories in ten versions each: known by heart they could be told apart, unknown they cannot."""
    rng = random.Random(0)
    stories = [" ".join(rng.sample([f"w{i}" for i in range(400)], 30)) for _ in range(20)]
    texts = np.array([stories[i % 10] for i in range(100)] + [stories[10 + i % 10] for i in range(100)], object)
    truth = np.arange(200) < 100
    together, alone = np.array([str(i % 10) for i in range(200)]), np.array([str(i) for i in range(200)])
    assert accuracy_of(cross_judged(of_words(), texts, truth, together)[0], truth, together).accuracy < 0.75
    assert accuracy_of(cross_judged(of_words(), texts, truth, alone)[0], truth, alone).accuracy == 1


def test_a_text_is_judged_by_one_that_has_not_met_it():
    made, truth, groups = rows([f"{i % 50}" for i in range(200)])
    _, judges = cross_judged(of_rows(made), made, truth, groups)
    assert len({id(one) for one in judges}) == FOLDS
    for group in set(groups.tolist()):
        assert len({id(judges[i]) for i in np.flatnonzero(groups == group)}) == 1


def test_the_interval_of_the_area_holds_it_and_follows_the_groups():
    rng = np.random.default_rng(0)
    truth = np.arange(200) < 100
    scores = rng.normal(size=200) + truth
    won = np.mean(scores[truth][:, None] > scores[~truth])
    low, high = area_interval(scores, truth, [f"{i}" for i in range(200)])
    assert low < won < high
    grouped_low, grouped_high = area_interval(np.repeat(scores, 3), np.repeat(truth, 3), np.repeat(np.arange(200), 3))
    assert (grouped_low, grouped_high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert area_interval([0.0] * 4, [True, False] * 2, ["a", "b", "c", "d"]) == (0.5, 0.5)
    assert area_interval([1.0, 0.0], [True, False], ["a", "a"]) is None
