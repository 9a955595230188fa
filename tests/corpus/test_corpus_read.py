"""Every kind of source is read as it is, and every bad one ends in a single clear line."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import Record
from arasuji.corpus.columns import genre_list
from arasuji.corpus.read import read as stream
from arasuji.corpus.source import Reading
from arasuji.errors import SourceError


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def read(path: Path, **columns: object) -> list[Record]:
    return list(stream(path, Reading(**columns)))


def refusal(path: Path) -> str:
    """The message with which a file is refused, or "" where it is read."""
    try:
        read(path)
    except SourceError as error:
        return str(error)
    return ""


def test_text_is_kept_as_it_stands_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", '\ufeffmal_id,title,synopsis\n7,Lamp,"  two\r\n lines &amp; all "\n8,Rain,\n')
    first, second = read(path)
    assert (first.id, first.text, first.metadata) == ("7", "  two\r\n lines &amp; all ", {"title": "Lamp"})
    assert second.text == ""


@pytest.mark.parametrize(
    "column", ["synopsis", "sypnopsis", "Synopsis", "description", "TEXT", "Plot Summary", "completion"]
)
def test_text_column_is_found_by_its_usual_names(tmp_path: Path, column: str) -> None:
    assert read(written(tmp_path / "a.csv", f"n,{column}\n1,told\n"))[0].text == "told"


def test_options_name_the_columns_in_any_case(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'words,head,kinds,synopsis\ntold,Lamp,"A, B",no\n')
    record = read(path, text_column="Words", title_column="head", genre_column="kinds")[0]
    assert (record.text, record.metadata) == ("told", {"title": "Lamp", "genres": ["A", "B"]})


def test_one_hot_columns_become_genres(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "anime_name,synopsis,Kids,Hentai,score\nLamp,told,1,0,7\nRain,tale,0,0,1\n")
    first, second = read(path)
    assert first.metadata == {"title": "Lamp", "genres": ["Kids"]}
    assert second.metadata == {"title": "Rain", "genres": []}


@pytest.mark.parametrize(
    "value",
    ["A, Slice of Life", ["A", "Slice of Life"], "['A', 'Slice of Life']", "[A, Slice of Life]", "A|Slice of Life"],
)
def test_genres_in_every_usual_spelling(value: object) -> None:
    assert genre_list(value) == ["A", "Slice of Life"]
    assert genre_list([{"name": "A", "id": 1}]) == ["A"]
    assert genre_list(None) == genre_list("") == []


def test_year_and_type_are_kept_where_known(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'text,aired,type\ntold,"Apr 3, 1998 to ?",TV\ntold,soon,\n')
    assert [record.metadata for record in read(path)] == [{"year": 1998, "type": "TV"}, {}]


def test_all_kinds_of_file_give_the_same_records(tmp_path: Path) -> None:
    table = {
        "id": ["1", "2"],
        "title": ["Lamp", "Rain"],
        "text": ['a 5" disc, told', "naïve 猫\n\u2028"],
        "genres": ["A, B", ""],
    }
    frame = polars.DataFrame(table)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in frame.to_dicts())
    written(tmp_path / "a.jsonl", lines)
    for name in ("a.csv", "a.jsonl"):
        written(tmp_path / f"{name}.gz", gzip.compress((tmp_path / name).read_bytes()))
    expected = read(tmp_path / "a.csv")
    assert [record.text for record in expected] == table["text"]
    for name in ("a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"):
        assert read(tmp_path / name) == expected, name


def test_folder_of_txt_is_one_record_a_file_and_a_txt_one_a_block(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    written(tmp_path / "texts" / "b.txt", "second\n\nstill second\n")
    written(tmp_path / "texts" / "a.txt", "first")
    assert [(r.id, r.text) for r in read(tmp_path / "texts")] == [("a", "first"), ("b", "second\n\nstill second")]
    blocks = read(written(tmp_path / "all.txt", "one\nline two\n\n \n\nnext\n"))
    assert [r.text for r in blocks] == ["one\nline two", "next"]


def test_quote_inside_a_bare_field_is_no_error(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.csv", 'n,text\n1,a 5" disc\n'))[0].text == 'a 5" disc'


PACKED = gzip.compress(b"text\n" + bytes(range(48, 122)) * 50)

BAD_FILES = [
    ("empty.csv", b"", "empty"),
    ("blank.jsonl", b" \n\n", "empty"),
    ("header.csv", b"title,text\n", "no rows"),
    ("binary.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a text file (a zero byte at offset 8)"),
    ("latin1.csv", "text\ncafé\n".encode("latin-1"), "byte 0xe9 at offset 8"),
    ("latin1.txt", "café".encode("latin-1"), "byte 0xe9 at offset 3"),
    ("short.csv.gz", PACKED[:-20], "truncated"),
    ("damaged.csv.gz", PACKED[:30] + b"\0\0\0\0" + PACKED[34:], "truncated or damaged"),
    ("plain.csv.gz", b"text\ntold\n", "not a whole gzip file"),
    ("half.jsonl", b'{"text": "told"}\n{"text": "to', "line 2: not valid JSON at column 10: unterminated string"),
    ("list.jsonl", b'["told"]\n', "no list of objects"),
    ("deep.jsonl", b"[" * 100_000, "not valid JSON: nested too deeply"),
    ("wide.csv", b"n,text\n1,told\n2,told,more\n", "line 3: 3 fields under 2 columns"),
    ("open.csv", b'n,text\n1,"told\n', "not a valid CSV"),
    ("broken.parquet", b"PAR1 and nothing else", "not a valid Parquet"),
    ("letter.docx", b"told", "known: .csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet, .xlsx, .xls, .ods, .txt"),
    ("columns.csv", b"number,score\n1,2\n", "no column of texts among number, score: name it with --text-column"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES])
def test_bad_file_is_one_line_with_its_path(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(written(tmp_path / name, content))
    message = str(caught.value)
    assert str(tmp_path / name) in message
    assert reason in message
    assert "\n" not in message


def test_missing_file_folder_without_txt_and_unknown_option_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(SourceError, match=r"no \.txt file"):
        read(tmp_path)
    with pytest.raises(SourceError, match="no column 'sinopsis': did you mean 'synopsis'"):
        read(written(tmp_path / "a.csv", "synopsis,title\ntold,Lamp\n"), text_column="sinopsis")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.binary(max_size=200), kind=st.sampled_from(["a.csv", "a.jsonl", "a.txt", "a.parquet", "a.csv.gz"]))
def test_any_bytes_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str
) -> None:
    assert len(refusal(written(tmp_path_factory.getbasetemp() / kind, data)).splitlines()) <= 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
rows = st.dictionaries(st.sampled_from(["text", "title", "genres", "year", "id", "x"]), json_values, min_size=1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(table=st.lists(rows, min_size=1, max_size=4))
def test_any_json_objects_give_records_that_utf8_can_hold_or_the_row_is_named(
    tmp_path_factory: pytest.TempPathFactory, table: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    written(path, "".join(json.dumps(row) + "\n" for row in table))
    said = refusal(path)
    if said:
        known = (
            "no column of texts"
            if not any("text" in row for row in table)
            else r"line \d: its text is (an? (object|list)|true|false)"
        )
        assert re.search(f"{known}|there are texts in", said)
        assert "\n" not in said
        return
    records = read(path)
    assert len(records) == len(table)
    json.dumps([[r.id, r.text, r.metadata] for r in records], ensure_ascii=False).encode("utf-8")
