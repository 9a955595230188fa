"""Each figure of an inspection, counted by hand on a few invented texts."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import tokenizers
from arasuji.corpus import Record
from arasuji.corpus.language import language
from arasuji.inspection import Stage, fit
from arasuji.inspection import stage as stages
from arasuji.inspection.leakage import leakage
from arasuji.inspection.repeats import CHARACTERS, EXAMPLES, SHOWN, repeats
from arasuji.inspection.stage import stage
from arasuji.inspection.vocabulary import FIRST_POINT, vocabulary


def texts(*values: str) -> list[Record]:
    return [Record(str(n), value) for n, value in enumerate(values)]


def lengths(*words: int) -> Stage:
    """The stage of texts of so many words."""
    return stage(texts(*(" ".join(["lamp"] * count) for count in words)))


def test_words_bytes_and_empty_texts_are_counted() -> None:
    found = stage(texts("Two lamps", "naïve ōkami", "", " \n ", "灯台守の猫"))
    assert (found.documents, found.empty) == (5, 2)
    assert found.bytes == 9 + 13 + 0 + 3 + 15
    assert found.words == 2 + 2 + round(5 / 2)


def test_quantiles_are_lengths_that_occur() -> None:
    found = lengths(*range(101))
    assert found.quantiles == {"0": 0, "5": 5, "25": 25, "50": 50, "75": 75, "95": 95, "100": 100}
    assert lengths(7).quantiles == dict.fromkeys(found.quantiles, 7)
    assert lengths(9, 1).quantiles == {"0": 1, "5": 1, "25": 1, "50": 1, "75": 1, "95": 1, "100": 9}
    assert lengths().quantiles == dict.fromkeys(found.quantiles, 0)


def test_the_histogram_is_drawn_in_round_widths_and_its_last_bin_holds_the_tail() -> None:
    assert lengths().lengths == []
    assert lengths(0, 0, 2).lengths == [(0, 2), (1, 0), (2, 1)]
    assert [start for start, _ in lengths(*range(101)).lengths] == list(range(0, 101, 5))
    tail = lengths(*[10] * 98, 3000, 25)
    assert tail.lengths == [(n, {10: 98, 20: 2}.get(n, 0)) for n in range(21)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(words=st.lists(st.integers(0, 400) | st.integers(0, 5), min_size=1, max_size=40))
def test_the_histogram_holds_every_document_once_in_bins_of_equal_width(words: list[int]) -> None:
    found = lengths(*words)
    starts = [start for start, _ in found.lengths]
    assert sum(count for _, count in found.lengths) == len(words) == found.documents
    width = found.lengths[1][0] if len(starts) > 1 else 1
    assert width in {step * 10**power for step in (1, 2, 5) for power in range(4)}
    assert starts == [width * n for n in range(len(starts))]
    assert len(starts) <= stages.BINS + 1
    for start, count in found.lengths[:-1]:
        assert count == sum(start <= length < start + width for length in words)
    assert found.lengths[-1][1] == sum(length >= starts[-1] for length in words) > 0
    assert list(found.quantiles.values()) == sorted(found.quantiles.values())
    assert set(found.quantiles.values()) <= set(words)


def test_genres_and_years_are_counted_once_a_document_and_in_their_order() -> None:
    records = [
        Record("0", "x", metadata={"genres": ["Drama", "Action", "Drama"], "year": 2001}),
        Record("1", "x", metadata={"genres": ["Action"], "year": 1999}),
        Record("2", "x", metadata={"year": 2001}),
        Record("3", "x"),
    ]
    found = stage(records)
    assert list(found.genres.items()) == [("Action", 2), ("Drama", 1)]
    assert list(found.years.items()) == [(1999, 1), (2001, 2)]


ENGLISH = "The keeper of the lighthouse finds a letter on the night of the great storm and leaves to find her brother."
SPANISH = "La guardiana del faro encuentra una carta la noche de la tormenta y sale en busca de su hermano perdido."
JAPANESE = "灯台守の少女は嵐の夜に一通の手紙を見つけ、海の向こうの兄を探す旅に出る。"


def test_languages_are_told_and_what_is_too_short_is_not_guessed() -> None:
    assert [language(text) for text in (ENGLISH, SPANISH, JAPANESE)] == ["en", "es", "ja"]
    assert language("") == language("Lamp") == "?"
    found = stage(texts(ENGLISH, SPANISH, ENGLISH, "", "  "))
    assert list(found.languages.items()) == [("en", 2), ("es", 1)]  # nothing is no language


def test_languages_of_many_texts_are_a_samples_shares_scaled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SAMPLE", 10)
    found = stage(texts(*[ENGLISH] * 20, *[JAPANESE] * 20))
    assert found.languages == {"en": 20, "ja": 20}


def test_different_words_are_counted_without_case_and_punctuation() -> None:
    found = vocabulary(texts("The lamp, the LAMP!", "a storm"), [])
    assert (found.words, found.different, found.once) == (6, 4, 2)
    assert found.growth == [(6, 4)]
    assert found.unknown_rate == 0


def test_a_word_is_unknown_that_occurs_less_than_twice_in_training() -> None:
    train = texts("lamp lamp storm", "harbour harbour harbour")
    assert vocabulary(train, texts("lamp harbour")).unknown_rate == 0
    assert vocabulary(train, texts("Lamp storm", "robot robot")).unknown_rate == 3 / 4
    assert vocabulary([], texts("lamp")).unknown_rate == 1
    assert vocabulary(train, texts("", "…")).unknown_rate == 0


@settings(max_examples=40, deadline=None, derandomize=True)
@given(words=st.lists(st.integers(0, 900), max_size=20))
def test_the_vocabulary_grows_and_ends_at_the_totals(words: list[int]) -> None:
    """Texts of so many words each, numbered from 0."""
    records = texts(*(" ".join(f"w{n}" for n in range(count)) for count in words))
    found = vocabulary(records, [])
    assert found.words == sum(words)
    assert found.different == max(words, default=0)
    read, different = ([point[axis] for point in found.growth] for axis in (0, 1))
    assert read == sorted(set(read))
    assert different == sorted(different)
    assert found.growth[-1:] == ([(found.words, found.different)] if found.words else [])
    assert all(point >= FIRST_POINT * 2**place for place, point in enumerate(read[:-1]))


LETTERS = list(string.ascii_lowercase)


def test_leakage_is_the_share_of_the_validations_runs_that_training_has() -> None:
    whole = " ".join(LETTERS)  # 14 runs of 13 words
    assert leakage(texts(whole), texts(whole)) == 1
    assert leakage(texts(f"Before. {whole.upper()}, and after"), texts(whole, whole)) == 1
    assert leakage(texts(" ".join(reversed(LETTERS))), texts(whole)) == 0
    assert leakage(texts(" ".join(LETTERS[:16]), " ".join(LETTERS[1:14])), texts(whole)) == 4 / 14
    assert leakage(texts(" ".join(LETTERS[:12]), " ".join(LETTERS[13:])), texts(whole)) == 1 / 14


def test_leakage_of_nothing_is_nothing() -> None:
    assert leakage([], []) == leakage(texts("lamp"), texts("lamp")) == 0
    assert leakage([], texts(" ".join(LETTERS))) == leakage(texts(" ".join(LETTERS)), []) == 0


STORY = "the keeper of the lamp walks home through the long winter storm and finds the door of the house wide open"


def test_repeats_are_counted_beyond_the_first_of_each() -> None:
    near, other = STORY.replace("winter", "summer"), "a robot joins a choir and sings " + STORY[::-1]
    found = repeats(texts(STORY, other, STORY.upper(), near, f"  {STORY} ", other, "alone in a boat at sea"))
    assert (found.exact, found.near, found.groups) == (3, 1, 2)
    assert [cluster.documents for cluster in found.clusters] == [4, 2]
    assert repeats(texts(STORY, other)).groups == repeats([]).exact == repeats(texts(STORY)).near == 0


def test_punctuation_alone_makes_a_repeat_a_near_one() -> None:
    found = repeats(texts(STORY, f"{STORY}!"))
    assert (found.exact, found.near) == (0, 1)


def test_clusters_show_a_few_titles_and_the_beginnings_of_their_texts() -> None:
    long = " ".join(f"word{n}" for n in range(200))
    records = [Record(str(n), f"{long}\n{n}", metadata={"title": f"Lamp {n}"} if n else {}) for n in range(9)]
    (cluster,) = repeats(records).clusters
    assert cluster.documents == 9
    assert cluster.titles == ["", *(f"Lamp {n}" for n in range(1, EXAMPLES))]
    assert len(cluster.texts) == EXAMPLES
    assert all(len(text) == CHARACTERS and text.endswith("…") and long.startswith(text[:-1]) for text in cluster.texts)


def test_all_clusters_are_counted_though_only_the_largest_are_told() -> None:
    stories = [" ".join(f"w{n}x{place}" for place in range(12)) for n in range(SHOWN + 20)]
    found = repeats(texts(*stories, *stories, stories[-1]))
    assert (found.groups, found.exact, found.near) == (SHOWN + 20, SHOWN + 21, 0)
    assert len(found.clusters) == SHOWN
    assert [cluster.documents for cluster in found.clusters[:2]] == [3, 2]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(chosen=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", " end", "!", "  "])), max_size=20))
def test_exact_and_near_repeats_add_up_to_what_the_clusters_hold(chosen: list[tuple[int, str]]) -> None:
    stories = [" ".join(f"w{n}x{place}" for place in range(12)) for n in range(4)]
    found = repeats(texts(*(stories[n] + end for n, end in chosen)))
    assert found.exact + found.near == sum(cluster.documents - 1 for cluster in found.clusters)
    assert found.exact + found.near == len(chosen) - len({n for n, _ in chosen})
    assert found.exact == len(chosen) - len({(n, end.strip()) for n, end in chosen})
    assert found.groups == len(found.clusters)


def test_what_does_not_fit_is_counted_by_each_tokenizer() -> None:
    records = texts(*["lamp " * 60] * 30, *["storm " * 600] * 10)
    rows = {row.tokenizer: row for row in fit.fit(records)}
    assert set(rows) == set(tokenizers.names()) - {tokenizers.PRETRAINED, tokenizers.PRUNED}
    for row in rows.values():
        assert row.documents == 40
        assert list(row.beyond) == list(fit.CONTEXTS)
        assert row.bytes_per_token == pytest.approx(sum(len(r.text) for r in records) / row.tokens)
        shares = list(row.beyond.values())
        assert shares == sorted(shares, reverse=True)
    assert rows["word"].tokens == 30 * 61 + 10 * 601  # and an end token each
    assert rows["word"].beyond == {128: 0.25, 256: 0.25, 512: 0.25, 1024: 0.0}
    assert fit.fit([]) == []


def test_no_model_is_fetched_or_converted_to_count_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(fit.bases, "find", asked.append)
    assert fit.fit(texts(*["lamp storm"] * 10))
    assert asked == []


def test_of_many_texts_a_sample_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "SAMPLE", 10)
    assert {row.documents for row in fit.fit(texts(*["lamp storm"] * 95))} == {10}


def test_a_tokenizer_that_cannot_be_made_of_the_texts_is_left_out_of_the_lengths() -> None:
    """Words cannot, where texts have no spaces and every sentence counts as one."""
    rows = fit.fit([Record(str(i), f"灯台守の娘は{chr(0x4E00 + i)}を見た。") for i in range(30)])
    assert {row.tokenizer for row in rows} >= {"bpe"}
    assert "word" not in {row.tokenizer for row in rows}
