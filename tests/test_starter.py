"""The starter corpus is ours, varied, and large enough to measure on."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib import resources
from itertools import combinations

import pytest

from arasuji.corpus import prepare


@pytest.fixture(scope="module")
def documents() -> list[dict]:
    text = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def grams(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_there_are_at_least_400(documents):
    assert len(documents) >= 400


def test_there_are_at_least_7000_different_words(documents):
    words = {word for d in documents for word in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", d["synopsis"].lower())}
    assert len(words) >= 7000


def test_the_catalogue_has_every_genre_and_type(documents):
    genres = Counter(genre for d in documents for genre in d["genres"].split(", "))
    wanted = (
        "Action, Adventure, Comedy, Drama, Fantasy, Horror, Mystery, Romance, School, Sci-Fi, Mecha, Slice of Life, "
        "Sports, Supernatural, Music, Historical, Isekai, Idol, Cooking, Detective, Space Opera, Post-Apocalypse, "
        "Quiet Film"
    )
    assert {genre: genres[genre] for genre in wanted.split(", ") if genres[genre] < 10} == {}
    assert {d["type"] for d in documents} == {"TV", "Movie", "OVA", "ONA"}


def test_every_document_says_the_same_things(documents):
    for document in documents:
        assert list(document) == ["title", "type", "year", "genres", "synopsis"]
        assert isinstance(document["year"], int)
        assert all(document[key].strip() for key in ("title", "type", "genres", "synopsis"))


def test_every_synopsis_has_45_to_160_words(documents):
    assert [d["title"] for d in documents if not 45 <= len(d["synopsis"].split()) <= 160] == []


def test_no_title_stands_twice(documents):
    assert len({d["title"].casefold() for d in documents}) == len(documents)


def test_no_opening_of_four_words_is_shared_by_more_than_three(documents):
    openings = Counter(tuple(d["synopsis"].lower().split()[:4]) for d in documents)
    assert [opening for opening, times in openings.items() if times > 3] == []


def test_no_two_synopses_are_nearly_the_same(documents):
    kept = [(d["title"], grams(d["synopsis"])) for d in documents]
    alike = [(a, b) for (a, x), (b, y) in combinations(kept, 2) if len(x & y) >= 0.2 * len(x | y)]
    assert alike == []


def test_nothing_is_removed_and_at_least_20_are_held_out(tmp_path):
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        corpus = prepare([source], tmp_path / "corpus")
    assert sum(count.removed for count in corpus.rules) == 0
    assert len(corpus.test) >= 20
    assert any("test split" in note for note in corpus.notes)  # and it says so
