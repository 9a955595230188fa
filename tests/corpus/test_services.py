"""The answers of AniList and Jikan, and the tables that everyone has, are read without options. All texts invented."""

from __future__ import annotations

import copy
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import Record
from arasuji.corpus.read import read as stream
from arasuji.errors import SourceError


def read(path: Path) -> list[Record]:
    return list(stream(path))


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


MEDIA = {
    "id": 900_001,
    "idMal": 700_001,
    "title": {"romaji": "Todai no Neko", "english": "The Lighthouse Cat", "native": "灯台の猫"},
    "type": "ANIME",
    "format": "OVA",
    "status": "FINISHED",
    "description": "A cat keeps the lamp.<br><br>\nNobody asks <i>why</i>.",
    "startDate": {"year": 1996, "month": 7, "day": 24},
    "endDate": {"year": 1997, "month": 1, "day": 1},
    "season": "SUMMER",
    "seasonYear": 1996,
    "episodes": 2,
    "countryOfOrigin": "JP",
    "source": "ORIGINAL",
    "hashtag": None,
    "coverImage": {"large": "https://example.org/a.png", "color": "#fff"},
    "genres": ["Drama", "Slice of Life"],
    "averageScore": 54,
    "isAdult": False,
}
SHORTER = {
    "id": 900_002,
    "title": {"romaji": None, "english": "Storm Choir", "__typename": "MediaTitle"},
    "type": "ANIME",
    "startDate": {"year": 2003, "month": None, "day": None, "__typename": "FuzzyDate"},
    "description": None,
    "genres": [],
    "__typename": "Media",
}
PAGE = {"pageInfo": {"total": 2, "currentPage": 1, "hasNextPage": False}, "media": [MEDIA, SHORTER]}


def named(name: str) -> dict[str, Any]:
    return {"mal_id": 1, "type": "anime", "name": name, "url": "https://example.org"}


JIKAN = {
    "mal_id": 800_001,
    "url": "https://example.org/anime/800001",
    "images": {"jpg": {"image_url": "https://example.org/a.jpg"}},
    "titles": [{"type": "Default", "title": "Todai no Neko"}, {"type": "Japanese", "title": "灯台の猫"}],
    "title": "Todai no Neko",
    "title_english": "The Lighthouse Cat",
    "title_japanese": "灯台の猫",
    "title_synonyms": [],
    "type": "TV",
    "source": "Original",
    "aired": {
        "from": "2005-10-23T00:00:00+00:00",
        "to": None,
        "prop": {"from": {"day": 23, "month": 10, "year": 2005}},
        "string": "Oct 23, 2005 to ?",
    },
    "synopsis": "A cat keeps the lamp. Nobody asks why.\n\n[Written by Nobody]",
    "background": "Made up for a test.",
    "season": None,
    "year": None,
    "producers": [named("Lantern Works")],
    "genres": [named("Drama")],
    "explicit_genres": [named("Hentai")],
    "themes": [named("Workplace")],
    "demographics": [named("Kids")],
}
LIST = {
    "pagination": {"last_visible_page": 1, "items": {"count": 2}},
    "data": [JIKAN, {**JIKAN, "mal_id": 2, "year": 1988}],
}


def is_the_cat(record: Record) -> None:
    assert record.id == "900001"
    assert record.text == MEDIA["description"]
    assert record.metadata == {
        "title": "Todai no Neko",
        "genres": ["Drama", "Slice of Life"],
        "year": 1996,
        "type": "OVA",
    }


def test_a_page_of_anilist_gives_title_genres_year_and_format(tmp_path: Path) -> None:
    cat, choir = read(written(tmp_path / "page.json", {"data": {"Page": PAGE}}))
    is_the_cat(cat)
    assert (choir.id, choir.text) == ("900002", "")
    assert choir.metadata == {"title": "Storm Choir", "genres": [], "year": 2003}


@pytest.mark.parametrize(
    "wrapped",
    [{"data": {"Media": MEDIA}}, {"data": {"Page": {"media": [MEDIA]}}}, {"Page": {"media": [MEDIA]}}, [MEDIA], MEDIA],
    ids=["one Media", "a Page", "a Page unwrapped", "a list", "one object"],
)
def test_an_object_of_anilist_is_the_same_in_every_wrapping(tmp_path: Path, wrapped: Any) -> None:
    (cat,) = read(written(tmp_path / "a.json", wrapped))
    is_the_cat(cat)


def test_jsonl_of_either_services_objects_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(MEDIA) + "\n" + json.dumps(SHORTER) + "\n")
    is_the_cat(read(path)[0])
    path.write_text(json.dumps(JIKAN) + "\n")
    assert read(path)[0].metadata["year"] == 2005


def test_jikans_genres_are_those_of_all_its_lists_and_the_year_that_of_airing(tmp_path: Path) -> None:
    first, second = read(written(tmp_path / "list.json", LIST))
    assert (first.id, first.text) == ("800001", JIKAN["synopsis"])
    assert first.metadata == {
        "title": "Todai no Neko",
        "genres": ["Drama", "Hentai", "Workplace", "Kids"],
        "year": 2005,
        "type": "TV",
    }
    assert (second.id, second.metadata["year"]) == ("2", 1988)


def test_a_single_answer_of_jikan_is_one_record(tmp_path: Path) -> None:
    (cat,) = read(written(tmp_path / "one.json", {"data": {**JIKAN, "relations": [], "theme": {"openings": []}}}))
    assert cat.metadata["title"] == "Todai no Neko"


def test_the_order_of_titles_is_romaji_english_native(tmp_path: Path) -> None:
    for names, title in [
        ({"english": "B", "romaji": "A"}, "A"),
        ({"romaji": "", "english": "B", "native": "C"}, "B"),
        ({"romaji": None, "native": "灯"}, "灯"),
        ({"userPreferred": "D"}, "D"),
        ({}, None),
    ]:
        (record,) = read(written(tmp_path / "a.json", [{**MEDIA, "title": names}]))
        assert record.metadata.get("title") == title


def test_a_packed_answer_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "page.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"data": {"Page": PAGE}}).encode()))
    is_the_cat(read(path)[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ('{"data": ', "not valid JSON"),
        ('{"a": 1}{"a": 2}', "not valid JSON"),
        ("[" * 100_000, "not valid JSON: nested too deeply"),
        ('{"data":' * 500 + "7" + "}" * 500, "no column of texts"),
        ("7", "no list of objects"),
        ('["told"]', "no list of objects"),
        ('[{"text": "told"}, 7]', "no list of objects"),
        ("[]", "there are no rows"),
        ('{"data": {"Page": {"media": []}}}', "there are no rows"),
        ('{"data": null, "errors": [{"message": "Too Many Requests.", "status": 429}]}', "no column of texts"),
        ('{"data": {"Page": null}}', "no column of texts"),
    ],
)
def test_json_without_texts_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = (
    scalars
    | st.lists(scalars, max_size=2)
    | st.dictionaries(st.sampled_from(["romaji", "from", "year", "name"]), scalars)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(key=st.sampled_from(sorted({*MEDIA, *JIKAN} - {"description", "synopsis"})), value=values, kind=st.booleans())
def test_a_field_may_hold_anything(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any, kind: bool) -> None:
    row = {**copy.deepcopy(MEDIA if kind else JIKAN), key: value}
    (record,) = read(written(tmp_path_factory.getbasetemp() / "any.json", {"data": [row]}))
    assert record.text == row["description" if kind else "synopsis"]
    json.dumps(record.fields(), ensure_ascii=False).encode()


def test_two_well_known_tables_are_read_without_options(tmp_path: Path) -> None:
    one = tmp_path / "anime_with_synopsis.csv"
    one.write_text('MAL_ID,Name,Score,Genres,sypnopsis\n7,Lamp Cat,8.1,"Drama, Slice of Life",A cat keeps the lamp.\n')
    other = tmp_path / "animes.csv"
    other.write_text(
        "uid,title,synopsis,genre,aired,episodes\n"
        "7,Lamp Cat,A cat keeps the lamp.,\"['Drama', 'Slice of Life']\",\"Oct 4, 2015 to Mar 27, 2016\",25\n"
    )
    expected = Record("7", "A cat keeps the lamp.", "", {"title": "Lamp Cat", "genres": ["Drama", "Slice of Life"]})
    assert read(one) == [expected]
    (record,) = read(other)
    assert record.metadata.pop("year") == 2015
    assert record == expected


REAL = {
    "anilist-page-media": 50,
    "anilist-page-with-pageinfo": 3,
    "jikan-v4-anime-id": 1,
    "jikan-v4-anime-id-full": 1,
    "jikan-v4-anime-page": 10,
    "jikan-v4-anime-search": 13,
}


@pytest.mark.parametrize(("name", "count"), REAL.items())
def test_real_answers_are_read_whole(name: str, count: int) -> None:
    folder = os.environ.get("ARASUJI_TEST_DATA")
    if not folder:
        pytest.skip("ARASUJI_TEST_DATA names no folder with api/")
    records = read(Path(folder) / "api" / f"{name}.json")
    assert len(records) == count
    assert any(record.text for record in records)
    assert all(record.metadata.get("title") for record in records if record.text)
    assert all(isinstance(genre, str) for record in records for genre in record.metadata["genres"])
    assert any(record.metadata.get("year") for record in records)
