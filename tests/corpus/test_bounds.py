"""What a source may hold before it is refused, and texts that are made to take long."""

from __future__ import annotations

import gzip
import json
import os
import time
import zipfile
from pathlib import Path

import polars
import pytest
from corpus.test_tables_of_others import workbook
from sources import noted, refused, written

from arasuji.corpus import source
from arasuji.corpus.encoding import CHUNK
from arasuji.corpus.markers import without_markers
from arasuji.corpus.mend import cut_source_notes, strip_html
from arasuji.corpus.names import apart
from arasuji.corpus.record import Record
from arasuji.corpus.sentences import is_final, sentences
from arasuji.corpus.split import group_of
from arasuji.errors import OptionError

MB = 2**20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f"title,text\nLamp,{'x' * MB}\n"),
        ("b.csv", 'title,text\nLamp,"' + "x\n" * MB + '"\n'),
        ("a.jsonl", f'{{"title": "Lamp", "text": "{"x" * MB}"}}\n'),
        ("a.txt", "x" * (MB + 1)),
        ("b.txt", "one\n\n" * 40 + "x\n" * MB * 2),
        ("a.json", "[" + ",\n".join(f'{{"text": "{"x" * 950_000}"}}' for _ in range(10)) + "]"),
        ("c.csv", ",".join(["text", *map(str, range(1000))]) + "\nLamp" + "," * 1000 + "\n"),
        ("values.jsonl", '{"text": "Lamp", "a": [' + "0," * (MB // 3) + "0]}\n"),
    ],
)
def test_what_goes_beyond_a_bound_names_the_option_that_raises_it(tmp_path: Path, name: str, content: str) -> None:
    path = written(tmp_path / name, content)
    assert "--largest (now 1)" in refused(path, largest=1)
    noted(path, largest=20)


def test_a_packed_file_that_unfolds_to_more_than_texts_do_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv.gz", gzip.compress(b"text\n" + (b"x" * 1000 + b"\n") * 9000))
    assert "it unfolds to more than 8 MB" in refused(path, largest=1)
    assert len(noted(path, largest=2)[0]) == 9000


def test_a_parquet_file_of_one_text_a_thousand_times_over_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    polars.DataFrame({"text": ["x" * 10_000] * 2000}).write_parquet(path)
    assert "it unfolds to more than 8 MB" in refused(path, largest=1)
    assert len(noted(path)[0]) == 2000
    polars.DataFrame({"text": ["x"] * 70_000}).write_parquet(path)
    assert "it has 70,000 rows in" in refused(path, largest=1)


def test_a_row_of_a_parquet_file_that_is_as_large_as_allowed_has_memory_enough(tmp_path: Path) -> None:
    text = "\U0001f3ee" + "x" * (source.LARGEST * MB - 100)  # with its first letter, Python takes 4 bytes for each
    polars.DataFrame({"text": [text]}).write_parquet(tmp_path / "a.parquet")
    assert [record.text for record in noted(tmp_path / "a.parquet")[0]] == [text]


def test_a_workbook_with_a_cell_in_its_last_corner_is_refused_in_one_line(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"Tales": [["text"], ["Lamp"]]})
    corner = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as changed:
        for name in whole.namelist():
            changed.writestr(name, whole.read(name).replace(b"</sheetData>", corner))
    if os.path.exists("/proc/self/status"):  # elsewhere the memory of a process cannot be bounded
        assert "not a workbook that can be read" in refused(tmp_path / "b.xlsx")


def test_a_pipe_that_nobody_writes_into_and_a_device_are_refused(tmp_path: Path, monkeypatch) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    monkeypatch.setattr(source, "WAIT", 0.1)
    os.mkfifo(tmp_path / "a.csv")
    assert "a pipe that nobody writes into" in refused(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to(os.devnull)
    assert "neither a file nor a pipe" in refused(tmp_path / "b.csv")


def test_a_document_of_json_may_be_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", json.dumps([{"text": "Lamp " * 1000}] * 500))
    assert path.stat().st_size > 2 * MB
    rows, _ = noted(path, largest=1)
    assert len(rows) == 500
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "Lamp " * 300_000}) + "\n{}\n", "utf-8")
    assert "line 1 has more than 1 MB" in refused(tmp_path / "b.jsonl", largest=1)


def test_bytes_in_a_parquet_file_are_texts_where_they_are_any(tmp_path: Path) -> None:
    cells = {"text": ["A lamp — told.".encode()], "picture": [b"\xff\xd8" * 9_000_000]}
    polars.DataFrame(cells).write_parquet(tmp_path / "a.parquet")
    rows, _ = noted(tmp_path / "a.parquet")
    assert "A lamp — told." in str(rows)


def test_a_bound_is_a_number_of_megabytes(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--largest 0: a number of megabytes is wanted"):
        noted(written(tmp_path / "a.csv", "text\nLamp\n"), largest=0)


@pytest.mark.parametrize("place", [5, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_a_byte_that_is_no_text_is_found_wherever_it_stands(tmp_path: Path, place: int) -> None:
    before = b"text\n" + b"x" * (place - 5)
    assert f"byte 0xe3 at offset {place}" in refused(written(tmp_path / "a.csv", before + b"\xe3\x81x\n"))
    assert f"byte 0xe3 at offset {place}" in refused(written(tmp_path / "a.csv", before + b"\xe3\x81"))
    assert f"a zero byte at offset {place}" in refused(written(tmp_path / "a.csv", before + b"\0\n"))


def test_names_that_come_again_are_numbered() -> None:
    assert apart(["a", "a", "b", "a", "a (2)"]) == ["a", "a (2)", "b", "a (3)", "a (2) (2)"]
    began = time.process_time()
    assert apart(["a"] * 100_000)[-1] == "a (100000)"
    assert time.process_time() < began + 5


def test_texts_that_are_made_to_take_long_do_not() -> None:
    began = time.process_time()
    group_of("Lamp" + " season" * 10_000)
    group_of(" " * 20_000 + "x")
    for rule, text in (
        (cut_source_notes, "Told.\nSource: a" * 5_000),
        (strip_html, "<a b=" + " " * 20_000),
        (strip_html, "&" + "amp;" * 20_000),
    ):
        list(rule([Record("1", text)]))
    without_markers("<" * 20_000 + "<s>" + "s>" * 20_000)
    assert not is_final("." * 20_000 + "x")
    assert len(sentences("." * 20_000 + "x" + " " * 20_000 + "x")) == 1
    assert time.process_time() < began + 10


def test_short_texts_are_mended_until_nothing_is_left_to_mend() -> None:
    (text,) = strip_html([Record("1", "&" + "amp;" * 100 + "lt;b&gt;told")])
    assert text == "told"
    (text,) = cut_source_notes([Record("1", "Told." + "\nSource: a" * 100)])
    assert text == "Told."
