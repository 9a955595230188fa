"""Tables as spreadsheets, databases and other countries write them: read, with a note, or refused in one line."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import noted, refused, written

from arasuji.corpus.source import Reading
from arasuji.errors import OptionError

TEXTS = [
    "An old keeper, tired; finds a letter. The storm | takes it.",
    'She says "no" to the choir; twice,\nand leaves.',
    "A robot learns to sing; nobody listens, but one.",
]
ROWS = [["id", "title", "synopsis"], *([str(n), f"Lamp {n}", text] for n, text in enumerate(TEXTS))]


def table(delimiter: str, rows: Sequence[Sequence[str]] = ROWS, end: str = "\r\n") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return file.getvalue()


# Delimiters


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_delimiter_is_seen_and_said(tmp_path: Path, delimiter: str, word: str) -> None:
    records, notes = noted(written(tmp_path / "a.csv", table(delimiter)))
    assert [record.text for record in records] == TEXTS
    assert [record.metadata["title"] for record in records] == ["Lamp 0", "Lamp 1", "Lamp 2"]
    assert notes == [f"a.csv: its cells are parted by {word}; --delimiter names something else"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.tab"])
def test_what_the_name_says_is_read_without_a_note(tmp_path: Path, name: str) -> None:
    content = table("," if "csv" in name else "\t").encode()
    records, notes = noted(written(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content))
    assert ([record.text for record in records], notes) == (TEXTS, [])


def test_commas_in_a_tsv_are_seen_and_said(tmp_path: Path) -> None:
    records, notes = noted(written(tmp_path / "a.tsv", table(",")))
    assert [record.text for record in records] == TEXTS
    assert notes == ["a.tsv: its cells are parted by commas; --delimiter names something else"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}"])
def test_a_first_line_may_name_the_delimiter(tmp_path: Path, delimiter: str, line: str) -> None:
    path = written(tmp_path / "a.csv", line.format(delimiter) + "\r\n" + table(delimiter))
    assert [record.text for record in noted(path)[0]] == TEXTS
    path.write_text(path.read_text("utf-8") + f"1{delimiter}2{delimiter}3{delimiter}4\n", "utf-8")
    assert "a.csv: line 7: 4 fields under 3 columns" in refused(path)


def test_the_option_says_what_no_file_shows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", table("^"))
    assert "no column of texts among id^title^synopsis" in refused(path)
    records, notes = noted(path, delimiter="^")
    assert ([record.text for record in records], notes) == (TEXTS, [])
    assert noted(written(path, table("\t")), delimiter="tab") == (records, [])
    for wrong in ("", ";;", '"', "\n"):
        with pytest.raises(OptionError, match=r"--delimiter .*: one character is wanted, or the words tab or none"):
            Reading(delimiter=wrong)


cells = st.text(st.sampled_from("ab ,;\t|\"\n'é猫"), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(texts=st.lists(st.tuples(cells, cells), min_size=1, max_size=8), delimiter=st.sampled_from(",;\t|"))
def test_delimiters_inside_quoted_texts_fool_nobody(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    written(path, table(delimiter, [["title", "text"], *texts]))
    records, _ = noted(path)
    assert [(r.metadata.get("title", ""), r.text) for r in records] == [(title.strip(), text) for title, text in texts]


def test_a_single_column_of_prose_needs_no_quotes(tmp_path: Path) -> None:
    prose = ["A keeper, tired, leaves; a letter stays.", "She sings, he does not, and the town, too, listens.", "End."]
    records, notes = noted(written(tmp_path / "a.csv", "\n".join(["text", *prose])), title_column="none")
    assert [record.text for record in records] == prose
    assert notes == ["a.csv: each of its lines is read as one cell; --delimiter names what parts them"]
    assert noted(tmp_path / "a.csv", title_column="none", delimiter="none") == (records, [])
    quoted = table(",", [["text"], *([text] for text in TEXTS)])
    records, notes = noted(written(tmp_path / "a.csv", quoted), title_column="none")
    assert ([record.text for record in records], notes) == (TEXTS, [])


def test_quotation_marks_of_a_tsv_may_be_letters(tmp_path: Path) -> None:
    told = ['"No," she says.', 'He says "yes"', 'A 5" disc']
    path = written(tmp_path / "a.tsv", "title\ttext\n" + "".join(f"Lamp\t{text}\n" for text in told))
    records, notes = noted(path)
    assert [record.text for record in records] == told
    assert notes == ["a.tsv: its cells are parted by tabs, and quotation marks are read as they stand"]


def test_blanks_around_names_and_after_delimiters_are_no_part_of_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ' title , synopsis , score\nLamp, "told, twice", 7\nRain, plain, 8\n')
    records, notes = noted(path)
    assert [(r.metadata["title"], r.text) for r in records] == [("Lamp", "told, twice"), ("Rain", "plain")]
    assert notes == []


# Encodings

PROSE = {
    "cp1252": [
        "Le garçon découvre une épée dans la forêt enchantée, et l’été n’en finit plus.",
        "Après la guerre, un vieux pêcheur élève seul sa petite-fille près du phare abandonné.",
    ],
    "cp932": ["灯台守の少女は嵐の夜に古い手紙を見つける。", "彼は毎晩、港で猫と話していた。それは秘密の物語だった。"],
    "gb18030": ["灯塔看守人的女儿在暴风雨之夜发现了一封旧信。", "他每天晚上都在港口和猫说话，这是一个秘密的故事。"],
    "cp1251": ["Дочь смотрителя маяка находит старое письмо.", "Каждый вечер он разговаривал с кошкой в порту."],
    "cp949": ["등대지기의 딸은 폭풍우 치는 밤에 오래된 편지를 발견한다.", "그는 매일 밤 항구에서 고양이와 이야기했다."],
    "big5": ["燈塔看守人的女兒在暴風雨之夜發現了一封舊信。", "他每天晚上都在港口和貓說話，這是一個秘密的故事。"],
}


def prose(encoding: str) -> str:
    return table(",", [[f"Lamp {n}", text] for n, text in enumerate(PROSE[encoding])])


@pytest.mark.parametrize("encoding", list(PROSE))
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("above", [0, 20_000])  # rows in plain letters before, so that a first look would miss it
def test_an_encoding_is_seen_and_said(tmp_path: Path, encoding: str, name: str, above: int) -> None:
    rows = "title,text\n" + "Storm,The storm is over and the lamp is lit.\n" * above + prose(encoding)
    content = rows.encode(encoding)
    records, notes = noted(written(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content))
    assert [record.text for record in records[above:]] == PROSE[encoding]
    assert notes == [f"{name}: not UTF-8: read as {encoding}; --encoding names another"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-8"])
def test_a_byte_order_mark_is_believed_in_silence(tmp_path: Path, encoding: str) -> None:
    for name, content in [("a.csv", table(",")), ("a.jsonl", '{"title": "Lamp", "text": "told 猫"}\n')]:
        records, notes = noted(written(tmp_path / name, content.encode(encoding)))
        assert records == noted(written(tmp_path / name, content))[0]
        assert notes == []


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl"])
def test_what_a_few_letters_do_not_tell_is_refused_and_the_option_reads_it(tmp_path: Path, name: str) -> None:
    content = {"a.csv": "text\ncafé\n", "a.txt": "café\n", "a.jsonl": '{"text": "café"}\n'}[name]
    path = written(tmp_path / name, content.encode("cp1252"))
    offset = content.index("é")
    said = (
        f"{name}: not UTF-8: byte 0xe9 at offset {offset}: save the file as UTF-8, or name its encoding with --encoding"
    )
    assert said in refused(path)
    records, notes = noted(path, encoding="cp1252", title_column="none")
    assert ([record.text for record in records], notes) == (["café"], [])
    assert "a.txt" in name or "not ascii: name its encoding with --encoding" in refused(path, encoding="ascii")


def test_a_damaged_utf8_file_is_not_taken_for_another_encoding(tmp_path: Path) -> None:
    content = "title,text\n" + "".join(f"Lamp {n},Café naïve “{n}”\n" for n in range(300))
    path = written(tmp_path / "a.csv", content.encode() + "Rain,près du phare abandonné, un été\n".encode("cp1252"))
    assert "a.csv: not UTF-8: byte 0xe8 at offset" in refused(path)


def test_utf16_without_its_mark_is_refused_and_the_option_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", table(",").encode("utf-16-le"))
    assert "not a text file (a zero byte at offset 1); UTF-8 text is wanted, or name its encoding" in refused(path)
    assert [record.text for record in noted(path, encoding="utf-16-le")[0]] == TEXTS


@pytest.mark.parametrize("encoding", ["", "utf-9", "base64", "rot13", "utf\0", "é"])
def test_an_encoding_that_is_none_is_refused_before_a_file_is_opened(encoding: str) -> None:
    with pytest.raises(OptionError, match="Python knows no such text encoding"):
        Reading(encoding=encoding)


# Headers


def test_a_first_line_that_is_a_text_is_read_as_one(tmp_path: Path) -> None:
    walk = "walks home through the winter storm, finds the door of his house open, and stays"
    told = [f"Keeper {n} {walk}{', and stays' * n}." for n in range(3)]
    records, notes = noted(written(tmp_path / "a.csv", table(",", [[text] for text in told])), title_column="none")
    assert [record.text for record in records] == told
    assert notes == ["a.csv: its first line is read as a row, since it names no column and holds a text"]
    rows = [[str(n), f"Lamp {n}", text] for n, text in enumerate(told)]
    records, notes = noted(written(tmp_path / "a.csv", table(";", rows)), title_column="2")
    assert [(r.metadata["title"], r.text) for r in records] == [(f"Lamp {n}", text) for n, text in enumerate(told)]
    assert notes[2] == "a.csv: its texts are read from column 3, the longest; --text-column names another"


def test_a_first_line_that_may_be_a_header_is_refused_and_the_option_reads_it(tmp_path: Path) -> None:
    told = ["The lamp is lit, and nobody comes.", "The storm goes on, and somebody knocks."]
    path = written(tmp_path / "a.csv", table(",", [[text] for text in told]))
    said = "among The lamp is lit, and nobody c…: name it with --text-column, or say --no-header if line 1 is a row"
    assert said in refused(path)
    records, notes = noted(path, no_header=True, title_column="none")
    assert ([record.text for record in records], notes) == (told, [])


def test_a_header_of_long_questions_stays_a_header(tmp_path: Path) -> None:
    header = [
        "What is your story called, and who made up that name?",
        "Tell us the plot of your story in a few words, please.",
    ]
    path = written(tmp_path / "a.csv", table(",", [header, ["Lamp", "told"]]))
    records, _ = noted(path, text_column=header[1], title_column=header[0])
    assert [(record.text, record.metadata) for record in records] == [("told", {"title": "Lamp"})]


@pytest.mark.parametrize(
    ("header", "row", "read", "other"),
    [
        ("title,synopsis,synopsis", "Lamp,told,", "synopsis", "synopsis (2)"),
        ("title,synopsis,synopsis", "Lamp,,told", "synopsis (2)", "synopsis"),
        ("title,synopsis, synopsis ", "Lamp,told,tale", "synopsis", "synopsis (2)"),
        ("title,Synopsis,synopsis", "Lamp,told,tale", "Synopsis", "synopsis"),
    ],
)
def test_of_two_columns_of_one_name_the_first_with_texts_is_read_and_said(
    tmp_path: Path, header: str, row: str, read: str, other: str
) -> None:
    path = written(tmp_path / "a.csv", f"{header}\n{row}\n")
    records, notes = noted(path)
    assert [record.text for record in records] == ["told"]
    said = f"a.csv: its texts are read from the column {read!r}, not from {other}; --text-column names another"
    assert notes[-1] == said
    assert noted(path, text_column=other)[0][0].text == row.replace("Lamp", "").replace("told", "").strip(",")


# Rows that do not fit


def test_rows_that_do_not_fit_are_refused_or_counted_and_named(tmp_path: Path) -> None:
    lines = [
        "title,text",
        "Lamp,told",
        "Rain,told,more",
        "Fog",
        "Sun,told,,",
        "",
        'Ice,"told"more',
        "Sky,told",
        "a,b,c",
    ]
    path = written(tmp_path / "a.csv", "\n".join(lines) + "\n")
    assert refused(path).endswith(
        "a.csv: line 3: 3 fields under 2 columns; mend it, or leave such rows out with --skip-bad-rows"
    )
    records, notes = noted(path, skip_bad_rows=True)
    assert [record.metadata["title"] for record in records] == ["Lamp", "Sun", "Sky"]
    assert notes == ["a.csv: 4 rows do not fit and are left out: lines 3, 4, 7, …"]


def test_a_row_is_named_by_the_line_on_which_it_begins(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'title,text\nLamp,"one\n\ntwo"\nRain,told,more\n')
    assert "line 5: 3 fields" in refused(path)
    assert noted(path, skip_bad_rows=True)[1] == ["a.csv: 1 row does not fit and is left out: line 5"]


def test_a_quotation_mark_that_is_never_closed_is_no_row_to_skip(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "title,text\nLamp,told\n" + 'Rain,"told\n' + "Fog,told\n" * 400)
    for skip in (False, True):
        said = refused(path, skip_bad_rows=skip)
        assert "a.csv: not a valid CSV: a quotation mark is opened on line 3 and never closed" in said


# Workbooks


def workbook(path: Path, sheets: dict[str, list[list[str]]]) -> Path:
    """An .xlsx with the parts that every spreadsheet program writes, its cells as inline texts."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(sheets) + 1)
    overrides = "".join(f'<Override PartName="/xl/s{n}.xml" ContentType="{kind}.worksheet+xml"/>' for n in numbers)
    names = "".join(
        f'<sheet name="{escape(s)}" sheetId="{n}" r:id="r{n}"/>' for n, s in zip(numbers, sheets, strict=True)
    )
    relations = "".join(f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="s{n}.xml"/>' for n in numbers)
    relation = "application/vnd.openxmlformats-package.relationships+xml"
    types = f'<Default Extension="rels" ContentType="{relation}"/>'
    types += f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{overrides}'
    first = f'<Relationship Id="w" Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">{first}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{relations}</Relationships>',
    }
    for number, rows in zip(numbers, sheets.values(), strict=True):
        body = ""
        for row in rows:
            cells = (f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>' if cell else "<c/>" for cell in row)
            body += f"<row>{''.join(cells)}</row>"
        parts[f"xl/s{number}.xml"] = f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def test_a_workbook_is_read_as_its_table_would_be(tmp_path: Path) -> None:
    plain = noted(written(tmp_path / "a.csv", table(",", end="\n")))[0]
    records, notes = noted(workbook(tmp_path / "a.xlsx", {"Tales": ROWS}))
    assert (records, notes) == (plain, [])
    records, notes = noted(workbook(tmp_path / "b.xlsx", {"Empty": [], "Tales": ROWS, "More": [["a"], ["b"]]}))
    assert records == plain
    assert notes == ["b.xlsx: the sheet 'Tales' of 2 is read; save another one as a file of its own"]


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods"])
def test_a_workbook_that_is_none_says_what_to_do(tmp_path: Path, name: str) -> None:
    for content in (b"", b"title,text\nLamp,told\n", b"PK\x03\x04 and nothing else", bytes(range(256)) * 9):
        said = refused(written(tmp_path / name, content))
        assert said.endswith(f"{name}: not a workbook that can be read: save the sheet as CSV (UTF-8)")
    assert "there are no rows in it" in refused(workbook(tmp_path / "b.xlsx", {"Empty": []}))
