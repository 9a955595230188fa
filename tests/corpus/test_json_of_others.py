"""JSON as services, databases and pandas write it: told by what it shows, read with a note, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import noted, refused, written

ROWS = [{"title": "Lamp", "synopsis": "A lamp, told."}, {"title": "Rain", "synopsis": "Rain\u2028 {told}."}]
PLAIN = [("Lamp", "A lamp, told."), ("Rain", "Rain\u2028 {told}.")]


def told(path: Path, **reading: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Titles and texts of a source, and its notes."""
    records, notes = noted(path, **reading)
    return [(record.metadata.get("title", ""), record.text) for record in records], notes


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# What a file is, whatever its name


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_is_read_whatever_the_name(tmp_path: Path, name: str, indent: int | None) -> None:
    assert told(written(tmp_path / name, json.dumps(ROWS, indent=indent))) == (PLAIN, [])


@pytest.mark.parametrize(
    "content", [lines(ROWS), "\n \n" + lines(ROWS).replace("\n", "\r\n\n"), "\ufeff" + lines(ROWS)]
)
def test_an_object_a_line_is_read_whatever_the_name(tmp_path: Path, content: str) -> None:
    assert told(written(tmp_path / "a.jsonl", content)) == (PLAIN, [])
    note = "a.json: it holds an object a line, and is read as JSON Lines"
    assert told(written(tmp_path / "a.json", content)) == (PLAIN, [note])


def test_a_document_whose_lines_begin_as_objects_is_a_document(tmp_path: Path) -> None:
    for head, tail in [('{"data": [', "]}"), ("[", "]"), ('{"page": {"n": 1}, "data": [', "]}")]:
        content = f"{head}\n{json.dumps(ROWS[0])},\n{json.dumps(ROWS[1])}\n{tail}\n"
        for name in ("a.json", "a.jsonl"):
            assert told(written(tmp_path / name, content)) == (PLAIN, [])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '[{"text": "told",}]', "line 1: not valid JSON at column 18: a comma before }"),
        ("a.json", '[{"text": "told"},\n]', "line 2: not valid JSON at column 1: a comma before ]"),
        (
            "a.json",
            '[{"text": "told"}\n {"text": "tale"}]',
            "line 2: not valid JSON at column 2: expecting ',' delimiter",
        ),
        ("a.json", "[{'text': 'told'}]", "line 1: not valid JSON at column 3: expecting property name"),
        ("a.jsonl", lines(ROWS) + '{"text": "told",}\n', "line 3: not valid JSON at column 17: a comma before }"),
        ("a.jsonl", '{"text": "to\n' + lines(ROWS), "line 1: not valid JSON at column 10: unterminated string"),
        ("a.json", '{"text": "told",}\n' + lines(ROWS), "line 1: not valid JSON at column 17: a comma before }"),
        ("a.jsonl", lines(ROWS) + "\n[1]\n", "line 4: not a JSON object: one {...} a line is wanted"),
        ("a.json", lines(ROWS) + "[" * 100_000, "line 3: not valid JSON: nested too deeply"),
    ],
)
def test_damage_is_named_with_line_and_column(tmp_path: Path, name: str, content: str, said: str) -> None:
    assert f"{name}: {said}" in refused(written(tmp_path / name, content))


def test_damaged_lines_are_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", lines(ROWS[:1]) + '{"text": \n[1]\n' + lines(ROWS[1:]) + "{\n" * 3)
    assert "leave such rows out with --skip-bad-rows" in refused(path)
    notes = ["a.jsonl: 5 rows do not fit and are left out: lines 2, 3, 5, …"]
    assert told(path, skip_bad_rows=True) == (PLAIN, notes)


def test_a_key_that_stands_twice_is_kept_twice_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"title": "Lamp", "text": "told", "text": "tale"}\n')
    texts, notes = told(path)
    assert texts == [("Lamp", "told")]
    assert notes == [
        "a.jsonl: its texts are read from the column 'text', not from text (2); --text-column names another"
    ]
    assert told(path, text_column="text (2)")[0] == [("Lamp", "tale")]


# Where the rows are


WRAPPED = {
    "MyAnimeList": ({"data": [{"node": {"id": n, **row}} for n, row in enumerate(ROWS)], "paging": {}}, "node"),
    "Kitsu": (
        {
            "data": [
                {
                    "id": str(n),
                    "type": "anime",
                    "attributes": {
                        "synopsis": row["synopsis"],
                        "canonicalTitle": "A Lamp",
                        "titles": {"en": "A Lamp", "en_jp": row["title"]},
                    },
                    "relationships": {"genres": {"data": [{"type": "genres", "id": "1"}]}},
                }
                for n, row in enumerate(ROWS)
            ],
            "included": [{"id": "1", "attributes": {"description": "a genre"}}],
        },
        "attributes",
    ),
    "MangaDex": (
        {
            "result": "ok",
            "data": [
                {"attributes": {"title": {"en": r["title"]}, "description": {"en": r["synopsis"], "ja": "灯"}}}
                for r in ROWS
            ],
        },
        "attributes",
    ),
    "edges": ({"data": {"Page": {"edges": [{"cursor": "x", "node": row} for row in ROWS]}}}, "node"),
    "search": ({"hits": {"total": 2, "hits": [{"_id": "a", "_source": row} for row in ROWS]}}, "_source"),
}  # fmt: skip


@pytest.mark.parametrize("service", list(WRAPPED))
def test_rows_one_level_down_are_read_and_said(tmp_path: Path, service: str) -> None:
    document, parent = WRAPPED[service]
    texts, notes = told(written(tmp_path / "a.json", json.dumps(document)))
    assert texts == PLAIN
    assert f"a.json: its texts are read from what {parent!r} holds; --text-column names another place" in notes
    rows = document["data"] if isinstance(document.get("data"), list) else []
    if rows:
        assert told(written(tmp_path / "a.jsonl", lines(rows)))[0] == PLAIN


def test_a_single_answer_is_one_record(tmp_path: Path) -> None:
    for service in ("Kitsu", "MangaDex"):
        answer = {"data": WRAPPED[service][0]["data"][0]}
        assert told(written(tmp_path / "a.json", json.dumps(answer)))[0] == PLAIN[:1]


@pytest.mark.parametrize("name", ["results", "items", "stories", "response.docs", "a.b.c"])
def test_the_only_list_of_objects_is_read_and_said(tmp_path: Path, name: str) -> None:
    document: Any = ROWS
    for key in reversed(name.split(".")):
        document = {"status": {"code": 200}, "names": ["x"], key: document}
    assert told(written(tmp_path / "a.json", json.dumps(document))) == (
        PLAIN,
        [f"a.json: its rows are read from {name!r}"],
    )


def test_of_several_lists_the_one_with_texts_is_read(tmp_path: Path) -> None:
    document = {"links": [{"href": "a"}], "books": ROWS, "authors": [{"id": 1}]}
    assert told(written(tmp_path / "a.json", json.dumps(document)))[0] == PLAIN
    document["authors"] = [{"summary": "born"}]
    assert "no column of texts among links, books, authors" in refused(
        written(tmp_path / "a.json", json.dumps(document))
    )


@pytest.mark.parametrize("orient", ["columns", "index", "split", "list", "table", "records"])
@pytest.mark.parametrize("text", ["synopsis", "words"])
def test_every_table_that_pandas_writes_is_read(tmp_path: Path, orient: str, text: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([{"title": row["title"], text: row["synopsis"]} for row in ROWS])
    content = json.dumps(frame.to_dict("list")) if orient == "list" else frame.to_json(orient=orient)
    reading = {} if text == "synopsis" else {"text_column": text}
    if text == "words" and orient in ("index", "list"):
        return  # without a name that is known, nothing tells these from other objects
    texts, notes = told(written(tmp_path / "a.json", content), **reading)
    assert texts == PLAIN
    assert len(notes) == (orient not in ("table", "records"))


# Texts in the rows


def test_a_dotted_column_is_read_for_texts_titles_and_what_is_kept(tmp_path: Path) -> None:
    row = {"a": {"b": {"words": "told", "head": "Lamp"}, "kind": "A, B"}, "n": {"year": [1998]}, "a.c": "flat"}
    for name, content in [("a.json", json.dumps([row])), ("a.jsonl", lines([row]))]:
        path = written(tmp_path / name, content)
        chosen = {
            "text_column": "a.B.words",
            "title_column": "a.b.head",
            "genre_column": "a.kind",
            "keep": ["n.year", "a.c"],
        }
        (record,), notes = noted(path, **chosen)
        assert (record.text, notes) == ("told", [])
        assert record.metadata == {"title": "Lamp", "genres": ["A", "B"], "n.year": "[1998]", "a.c": "flat"}
        assert "no column 'a.b.word': did you mean 'a.b.words'" in refused(path, text_column="a.b.word")


def test_a_part_of_a_text_in_several_languages_can_be_named(tmp_path: Path) -> None:
    rows = [
        {"title": "Lamp", "description": {"ja": "灯", "en": "told"}},
        {"title": "Rain", "description": {"ja": "雨"}},
    ]
    path = written(tmp_path / "a.jsonl", lines(rows))
    texts, notes = told(path)
    assert texts == [("Lamp", "told"), ("Rain", "雨")]
    assert notes == [
        f"a.jsonl: objects in place of texts (1): their '{key}' is read; --text-column description.OTHER reads another "
        "part"
        for key in ("en", "ja")
    ]
    assert told(path, text_column="description.ja") == ([("Lamp", "灯"), ("Rain", "雨")], [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"type": "/type/text", "value": "told"}, "told"),
        ({"#text": "told", "@lang": "en"}, "told"),
        ({"en": {"language": "en", "value": "told"}, "de": None}, "told"),
        ({"fr": "", "de": "told"}, "told"),
        ({"pt-br": "told", "zh-Hant": "灯"}, "told"),
        (["told", "twice"], "told\ntwice"),
        ([{"value": "told"}, None, ["twice"]], "told\ntwice"),
        ([], ""),
        ({}, ""),
        (None, ""),
        (7, "7"),
    ],
)
def test_a_text_that_is_an_object_or_a_list_is_unwrapped(tmp_path: Path, value: Any, text: str) -> None:
    rows = [{"title": "Lamp", "text": "plain"}, {"title": "Rain", "text": value}]
    texts, notes = told(written(tmp_path / "a.jsonl", lines(rows)))
    assert texts == [("Lamp", "plain"), ("Rain", text)]
    assert bool(notes) == (isinstance(value, dict | list) and bool(value))
    column = [None if row["text"] == value else row["text"] for row in rows]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        column = [["plain"], value]
        text_of_first = "plain"
        polars.DataFrame({"title": ["Lamp", "Rain"], "text": column}).write_parquet(tmp_path / "a.parquet")
        assert told(tmp_path / "a.parquet")[0] == [("Lamp", text_of_first), ("Rain", text)]


def test_parquets_structs_and_lists_are_read_as_jsons(tmp_path: Path) -> None:
    frame = polars.DataFrame(
        {"node": [{"title": r["title"], "text": {"value": r["synopsis"]}} for r in ROWS], "n": [1, 2]}
    )
    frame.write_parquet(tmp_path / "a.parquet")
    texts, notes = told(tmp_path / "a.parquet")
    assert texts == PLAIN
    assert notes[0] == "a.parquet: its texts are read from what 'node' holds; --text-column names another place"
    assert told(tmp_path / "a.parquet", text_column="node.text.value") == (PLAIN, [])


@pytest.mark.parametrize(
    "value", [{"a": "x", "b": "y"}, {"url": "x", "id": 1}, ["told", 7], [["told"], {"a": 1}], [True]]
)
def test_a_text_that_holds_none_is_refused_with_its_row_or_counted(tmp_path: Path, value: Any) -> None:
    rows = [*ROWS, {"title": "Fog", "synopsis": value}]
    for name, content, where in [("a.json", json.dumps(rows), "row 3"), ("a.jsonl", "\n" + lines(rows), "line 4")]:
        path = written(tmp_path / name, content)
        said = refused(path)
        assert f"{name}: {where}: its text is " in said
        assert "synopsis.a or synopsis.b" in said or not (isinstance(value, dict) and "a" in value)
        assert told(path, skip_bad_rows=True) == (PLAIN, [f"{name}: 1 row does not fit and is left out: {where}"])


def test_texts_in_two_places_are_refused_with_both(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", lines([{"left": {"text": "told"}, "right": {"plot": "tale"}}] * 2))
    assert "a.jsonl: there are texts in left, right: say which with --text-column, as a.b" in refused(path)
    assert told(path, text_column="right.plot", title_column="none") == ([("", "tale")] * 2, [])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "text", "title", "en", "0"]), inner)
    ),
    max_leaves=9,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(document=json_values, name=st.sampled_from(["a.json", "a.jsonl"]))
def test_any_document_is_read_or_refused_in_one_line_and_no_text_is_pythons_repr(
    tmp_path_factory: pytest.TempPathFactory, document: Any, name: str
) -> None:
    path = written(tmp_path_factory.getbasetemp() / name, json.dumps(document))
    try:
        records, _ = noted(path)
    except Exception:
        refused(path)
        return
    whole = json.dumps(document)
    for record in records:
        assert all(json.dumps(part)[1:-1] in whole for part in record.text.split("\n"))
