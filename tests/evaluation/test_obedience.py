"""Obedience: a genre is found in texts that were asked for it, and not in others, as often as it is in real ones."""

from __future__ import annotations

import numpy as np
import pytest

from arasuji.evaluation import bootstrap
from arasuji.evaluation.genres import Labelled
from arasuji.evaluation.obedience import LEAST_TEXTS, obedience
from arasuji.evaluation.reader import NUMBERS, Reading

GENRES = ["Comedy", "Drama", "Mecha"]
WORDS = 12
MANY = dict.fromkeys([*GENRES, "Unseen"], LEAST_TEXTS)


class Seer:
    """Reads only how often the words of the genres stand in a text; "unseen" is hidden from it."""

    name = "seer"

    def read(self, texts, progress=None):
        noise = np.random.default_rng(len(texts)).normal(size=(len(texts), 20))
        for i, text in enumerate(texts):
            noise[i, : len(GENRES)] += [6 * text.split().count(genre.lower()) for genre in GENRES]
        return Reading(noise.astype(np.float32), np.zeros((len(texts), len(NUMBERS)), np.float32))


def drawn(count, seed, shown=1.0, groups=None):
    """Texts of random genres, which most of them show."""
    rng = np.random.default_rng(seed)
    genres = [[name for name in MANY if rng.random() < 0.3] or ["Other"] for _ in range(count)]
    texts = [" ".join(["plain", *(name.lower() for name in own if rng.random() < shown)]) for own in genres]
    return Labelled(texts, genres, groups or [f"story {seed}.{i}" for i in range(count)])


TRAIN, REAL = drawn(300, 0), drawn(200, 1)


def measured(*written, counts=MANY, **changed):
    given = {"real": REAL, "train": TRAIN, "words": WORDS, "reader": Seer()} | changed
    return obedience(written, counts=counts, **given)


def test_texts_that_show_what_was_asked_for_obey_as_real_ones_do():
    found = measured(drawn(150, 2))
    (obeyed,) = found.written
    assert [genre.name for genre in found.genres] == GENRES
    assert all(genre.auroc > 0.95 for genre in found.genres)
    assert found.real.lift > 0.9
    assert found.real.of_real is None
    assert obeyed.lift > 0.9
    assert obeyed.low <= obeyed.lift <= obeyed.high
    assert obeyed.of_real_low <= obeyed.of_real <= obeyed.of_real_high
    assert obeyed.of_real == pytest.approx(1, abs=0.1)
    for one in obeyed.genres:
        assert one.lift == pytest.approx(one.found - one.found_in_others)
        assert one.low <= one.lift <= one.high


def test_texts_that_show_the_genre_half_as_often_have_half_the_lift():
    (half,) = measured(drawn(400, 3, shown=0.5)).written
    assert half.of_real == pytest.approx(0.5, abs=0.12)


def test_texts_that_show_other_genres_than_those_asked_for_have_no_lift():
    other = drawn(400, 4)
    (disobeying,) = measured(Labelled(drawn(400, 5).texts, other.genres, other.groups)).written
    assert disobeying.lift == pytest.approx(0, abs=0.1)
    assert disobeying.low < 0.05


def test_empty_texts_obey_nothing_and_are_not_left_out():
    asked = drawn(100, 6)
    (empty,) = measured(Labelled([""] * 100, asked.genres, asked.groups)).written
    assert empty.texts == 100
    assert empty.lift == pytest.approx(0, abs=0.05)


def test_a_genre_counts_where_it_is_found_in_real_texts_and_enough_training_texts_hold_it():
    found = measured(drawn(150, 2), counts=MANY | {"Drama": LEAST_TEXTS - 1})
    assert [genre.name for genre in found.genres] == ["Comedy", "Mecha"]
    assert len(found.real.genres) == len(found.written[0].genres) == 2
    assert measured(drawn(150, 2), counts={"Unseen": LEAST_TEXTS}) is None


def test_a_single_genre_is_measured_too():
    found = measured(drawn(150, 2), counts={"Mecha": LEAST_TEXTS})
    assert [genre.name for genre in found.genres] == ["Mecha"]
    assert found.written[0].lift > 0.9


def test_a_genre_that_was_asked_of_no_text_or_of_each_does_not_count():
    asked = drawn(150, 2)
    without = Labelled(
        asked.texts, [["Comedy", *(g for g in own if g == "Mecha")] for own in asked.genres], asked.groups
    )
    assert [genre.name for genre in measured(without).genres] == ["Mecha"]


def test_only_the_first_words_are_read():
    late = drawn(150, 7)
    texts = [f"{'plain ' * WORDS}{text}" for text in late.texts]
    (obeyed,) = measured(Labelled(texts, late.genres, late.groups)).written
    assert obeyed.lift == pytest.approx(0, abs=0.05)


def test_texts_of_one_group_have_no_interval():
    (alone,) = measured(drawn(150, 2, groups=["one story"] * 150)).written
    assert alone.lift > 0.9
    assert (alone.low, alone.high, alone.of_real_low, alone.of_real_high) == (None,) * 4
    assert alone.genres[0].low is None


def test_training_texts_of_too_few_groups_are_not_learnt_from():
    assert measured(drawn(150, 2), train=drawn(300, 0, groups=["one story"] * 300)) is None


def test_the_same_texts_give_the_same_figures():
    assert measured(drawn(150, 2)) == measured(drawn(150, 2))


def test_resampled_shares_lie_about_the_shares_and_follow_the_groups():
    rng = np.random.default_rng(0)
    found, held = rng.random((200, 2)) < 0.4, rng.random((200, 2)) < 0.3
    groups = [f"{i}" for i in range(200)]
    shares = bootstrap.shares(found, held, groups)
    assert shares.shape == (2, bootstrap.RESAMPLES, 2)
    assert shares[0].mean(0) == pytest.approx([found[held[:, i], i].mean() for i in range(2)], abs=0.01)
    assert shares[1].mean(0) == pytest.approx([found[~held[:, i], i].mean() for i in range(2)], abs=0.01)
    again = bootstrap.shares(np.repeat(found, 3, 0), np.repeat(held, 3, 0), np.repeat(groups, 3).tolist())
    assert again.std(1) == pytest.approx(shares.std(1), rel=0.05)
    assert bootstrap.shares(found, held, ["one story"] * 200) is None
