"""What many texts share at their edges is found without being told, and ordinary prose holds nothing of the kind."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import Record
from arasuji.inspection import Phrase
from arasuji.inspection.boilerplate import FEWEST, boilerplate

Planting = Callable[[int, str], str]


def found(texts: list[str], **options: int) -> list[Phrase]:
    return boilerplate([Record(str(n), text) for n, text in enumerate(texts)], **options)


def planted(texts: list[str], plant: Planting, documents: int) -> list[str]:
    texts = list(texts)
    for place in random.Random(1).sample(range(len(texts)), documents):
        texts[place] = plant(place, texts[place])
    return texts


def name(number: int) -> str:
    """A name that nothing else has."""
    chance = random.Random(number)
    return "".join(chance.choice("bdgkmnrst") + chance.choice("aeiou") for _ in range(4)).title()


SOURCE: Planting = lambda n, text: f"{text}\n\n(Source: Harbour Lights Weekly)"  # noqa: E731
REWRITE: Planting = lambda n, text: f"{text} [Written by Tidewater Rewrite]"  # noqa: E731
MUSIC: Planting = lambda n, text: f"Music video for the song “{name(n)}” by {name(-n)}. {text}"  # noqa: E731
COPYRIGHT: Planting = lambda n, text: f"{text} © {1600 + n} Lantern Works. All rights reserved."  # noqa: E731
JAPANESE: Planting = lambda n, text: f"{text}（出典：灯台通信）"  # noqa: E731

KINDS = [
    pytest.param(SOURCE, "(Source: Harbour Lights Weekly)", id="source note"),
    pytest.param(REWRITE, "[Written by Tidewater Rewrite]", id="rewrite note"),
    pytest.param(MUSIC, "Music video", id="opening formula"),
    pytest.param(COPYRIGHT, "Lantern Works. All rights reserved.", id="copyright line"),
    pytest.param(JAPANESE, "（出典：灯台通信）", id="Japanese note"),
]


def test_ordinary_prose_has_no_boilerplate(starter_texts: list[str]) -> None:
    assert len(starter_texts) > 400
    assert found(starter_texts) == []


@pytest.mark.parametrize(("plant", "phrase"), KINDS)
def test_a_phrase_in_sixty_of_four_hundred_texts_is_found_and_counted(
    starter_texts: list[str], plant: Planting, phrase: str
) -> None:
    assert found(planted(starter_texts[:400], plant, 60)) == [Phrase(phrase, 60, opens=plant is MUSIC)]


@pytest.mark.parametrize("documents", [200, 300, 400])
def test_a_note_under_most_texts_or_all_is_boilerplate_too(starter_texts: list[str], documents: int) -> None:
    assert found(planted(starter_texts[:400], SOURCE, documents)) == [
        Phrase("(Source: Harbour Lights Weekly)", documents)
    ]


def test_several_phrases_are_told_most_frequent_first_and_each_as_it_is_mostly_written(
    starter_texts: list[str],
) -> None:
    texts = planted(starter_texts[:400], MUSIC, 40)
    texts = planted(
        texts, lambda n, text: SOURCE(n, text) if n % 4 else SOURCE(n, text).replace("Source", "SOURCE"), 90
    )
    assert found(texts) == [Phrase("(Source: Harbour Lights Weekly)", 90), Phrase("Music video for", 40, opens=True)]
    assert found(texts, most=1) == [Phrase("(Source: Harbour Lights Weekly)", 90)]


def test_a_phrase_in_the_middle_of_texts_is_a_turn_of_phrase(starter_texts: list[str]) -> None:
    def anywhere(n: int, text: str) -> str:
        words = text.split()
        place = len(words) if n % 2 == 0 else 30  # about half of them at the end
        return " ".join([*words[:place], "Lantern Works All Rights", *words[place:]])

    texts = planted(starter_texts[:400], anywhere, 24)
    assert sum(text.endswith("Lantern Works All Rights") for text in texts) > 8
    assert found(texts) == []


def test_a_handful_of_texts_makes_no_boilerplate(starter_texts: list[str]) -> None:
    assert found(planted(starter_texts[:400], SOURCE, FEWEST - 1)) == []
    assert found(planted(starter_texts[:400], SOURCE, FEWEST)) != []


def test_phrases_looked_for_in_a_sample_are_counted_in_all(
    starter_texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arasuji.inspection.boilerplate.SAMPLE", 150)
    assert found(planted(starter_texts[:400], SOURCE, 90)) == [Phrase("(Source: Harbour Lights Weekly)", 90)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    texts=st.lists(st.text(max_size=40) | st.sampled_from(["a b c", "", "(Source: X)", "？！", "a a a a"]), max_size=30)
)
def test_any_texts_give_phrases_that_as_many_of_them_hold(texts: list[str]) -> None:
    for phrase in found(texts):
        assert FEWEST <= phrase.documents <= len(texts)
        words = "".join(phrase.text.casefold().split())
        assert sum(words in "".join(text.casefold().split()) for text in texts) >= phrase.documents
