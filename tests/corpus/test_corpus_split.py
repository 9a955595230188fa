"""Splits: no group on two sides, no dependence on the order of rows, enough to measure."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arasuji.corpus import Record
from arasuji.corpus.near import clusters
from arasuji.corpus.split import group_of
from arasuji.corpus.split import split as places
from arasuji.errors import CorpusError


def titled(*titles: str) -> list[Record]:
    """One record per title, each with a text of its own."""
    return [Record(str(n), f"text {n}", metadata={"title": t} if t else {}) for n, t in enumerate(titles)]


def split(records: list[Record], seed: int) -> tuple[dict[str, list[Record]], list[str]]:
    """The records of each split with their groups, and the notes."""
    parts = places(records, clusters(records).tolist(), seed)
    grouped = [replace(record, group=group) for record, group in zip(records, parts.groups, strict=True)]
    return {name: [grouped[place] for place in chosen] for name, chosen in parts.places.items()}, parts.notes


def names(count: int) -> list[str]:
    """So many titles of as many franchises."""
    return [f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" + "zu lamp" for n in range(count)]


@pytest.mark.parametrize(
    "title",
    [
        "Glass Harbour",
        "glass harbour",
        "Glass Harbour 2nd Season",
        "Glass Harbour: The Long Tide",
        "Glass Harbour - Second Storm",
        "Glass Harbour II (TV)",
        "Glass Harbour Season 3 Part 2",
        "Gláss Harbour!! The Movie 2",
        "Glass Harbour OVA (2019)",
        "Glass Harbour Specials",
        "Glass Harbour 2031: Zero",
        "Glass Harbour S2",
        "Glass Harbour the Third Season",
        "Glass Harbour 3 Picture Drama",
        "Glass Harbour Recaps",
        "Glass Harbour The Animation OVAs",
        "Gekijouban Glass Harbour: Soushuuhen",
        "Glass Harbour Mini Anime",
        "Glass Harbour Staffel 2",
        "Glass Harbour, 2e saison",
        "Glass Harbour 2ª temporada",
        "Glass Harbour, Vol. 3",
        "Glass Harbour Tome IV",
        "Glass Harbour 2 сезон",
        "Glass Harbour 第2期",
        "Glass Harbour シーズン２",
        "劇場版 Glass Harbour",
        "Glass Harbour 시즌 2",
    ],
)
def test_seasons_of_one_story_are_one_group(title: str) -> None:
    assert group_of(title) == "glass harbour"


@pytest.mark.parametrize(
    "titles",
    [
        ["硝子の港", "硝子の港 第2期", "硝子の港 2期", "劇場版硝子の港", "硝子の港シーズン3", "硝子の港 続編"],
        ["玻璃港", "玻璃港 第二季", "玻璃港第3季"],
        ["유리 항구", "유리 항구 시즌 2", "유리 항구 2기", "극장판 유리 항구"],
    ],
)
def test_seasons_are_known_in_scripts_without_spaces(titles: list[str]) -> None:
    assert len({group_of(title) for title in titles}) == 1


def test_other_titles_stay_apart_in_any_script() -> None:
    titles = ["Glass Harbour", "Glass Tower", "86", "灯台守", "灯台", "Movie", "???", "!", "Glass Band", "Glass Book"]
    titles += ["第二季", "映画", "続編", "Eiga", "三部", "港の三期生"]
    assert len({group_of(title) or title for title in titles}) == len(titles)


@pytest.mark.parametrize(
    ("count", "test", "validation"),
    [(20, 4, 3), (60, 12, 6), (100, 20, 10), (120, 24, 12), (300, 24, 16), (1000, 50, 50)],
)
def test_shares_rise_in_small_corpora_and_are_noted(count: int, test: int, validation: int) -> None:
    splits, notes = split(titled(*names(count)), seed=1)
    assert (len(splits["test"]), len(splits["validation"])) == (test, validation)
    assert len(splits["train"]) == count - test - validation
    assert bool(notes) == (count < 480)
    if count == 120:
        assert notes[0] == "a small corpus: the test split gets 24 documents (20 %) instead of 5 %"


def test_equal_and_nearly_equal_texts_share_a_group_whatever_their_titles() -> None:
    records = titled(*names(40))
    story = "the keeper of the lamp walks home through the winter storm and finds the door open"
    twins = [("x", "Elsewhere", story), ("y", "", story), ("z", "Third", story.replace("winter", "summer"))]
    records += [Record(name, text, metadata={"title": title}) for name, title, text in twins]
    splits, _ = split(records, seed=0)
    groups = {record.group for part in splits.values() for record in part if record.id in "xyz"}
    assert len(groups) == 1


def test_untitled_records_stand_alone() -> None:
    splits, _ = split(titled(*[""] * 30), seed=0)
    assert len({record.group for part in splits.values() for record in part}) == 30


@pytest.mark.parametrize("count", [20, 200])
def test_one_giant_group_is_refused_in_one_line(count: int) -> None:
    with pytest.raises(CorpusError, match=r"the test split cannot get its .* --title-column") as caught:
        split(titled(*[f"Saga {n}" for n in range(count)]), seed=0)
    assert "\n" not in str(caught.value)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    kinds=st.lists(st.integers(0, 60), min_size=20, max_size=150),
    seed=st.integers(0, 2**31),
    shuffle=st.randoms(use_true_random=False),
)
def test_no_group_straddles_splits_and_row_order_does_not_matter(
    kinds: list[int], seed: int, shuffle: random.Random
) -> None:
    franchises = names(61)
    records = titled(*(f"{franchises[kind]} {n}" for n, kind in enumerate(kinds)))
    try:
        splits, _ = split(records, seed)
    except CorpusError:  # too few groups; that it is said in one line is tested above
        assume(False)
    sides = [(record.group, name) for name, part in splits.items() for record in part]
    assert len({group for group, _ in sides}) == len(set(sides))
    assert sum(len(part) for part in splits.values()) == len(records)
    assert min(len(splits["validation"]), len(splits["test"])) >= 3
    shuffle.shuffle(records)
    assert split(records, seed)[0] == splits


def test_another_seed_gives_another_split() -> None:
    records = titled(*names(200))
    assert split(records, 0)[0]["test"] != split(records, 1)[0]["test"]
