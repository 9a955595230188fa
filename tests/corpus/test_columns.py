"""Columns are found by the names they have in ten languages, however these are written; a guess is said."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pytest
from sources import noted, refused

from arasuji.corpus import prepare
from arasuji.errors import CorpusError


def table(path: Path, header: list[str], *rows: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


NAMES = [
    ("Synopsis", "Title", "Genres", "Year"),
    ("plotSummary", "titleRomaji", "Genre", "releaseYear"),
    ("Plots", "Titles", "genre", "Start Year"),
    ("あらすじ", "タイトル", "ジャンル", "放送年"),
    ("ストーリー", "作品名", "ジャンル", "公開年"),
    ("简介", "标题", "类型", "年份"),
    ("劇情簡介", "片名", "類型", "年份"),
    ("줄거리", "제목", "장르", "연도"),
    ("Sinopsis", "Título", "Género", "Año"),
    ("descripcion", "nombre", "generos", "ano"),
    ("Sinopse", "Título", "Gêneros", "Ano"),
    ("Résumé", "Titre", "Genre", "Année"),
    ("resume", "nom", "genre", "annee"),
    ("Handlung", "Titel", "Genre", "Jahr"),
    ("Inhaltsangabe", "Titel", "Genres", "Erscheinungsjahr"),
    ("Trama", "Titolo", "Generi", "Anno"),
    ("Описание", "Название", "Жанры", "Год"),
    ("Краткое содержание", "Название", "Жанр", "Год выпуска"),
]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("names", NAMES, ids=[names[0] for names in NAMES])
def test_columns_are_found_in_ten_languages_in_silence(tmp_path: Path, names: tuple[str, ...], form: str) -> None:
    written = [unicodedata.normalize(form, f" {name} ") for name in names]
    path = table(tmp_path / "a.csv", ["n", *written], ["1", "told", "Lamp", "A, B", "1998"])
    (record,), notes = noted(path)
    assert (record.text, record.metadata) == ("told", {"title": "Lamp", "genres": ["A", "B"], "year": 1998})
    assert notes == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("movie_plot", "Series_Title"),
        ("Book Description", "bookTitle"),
        ("synopsis_en", "original_title"),
        ("shortSummary", "primaryTitle"),
        ("node.synopsis", "node.title"),
        ("anime-overview", "Japanese title"),
    ],
)
def test_a_name_among_other_words_is_a_guess_that_is_said(tmp_path: Path, text: str, title: str) -> None:
    (record,), notes = noted(table(tmp_path / "a.csv", [title, "score", text], ["Lamp", "7", "told"]))
    assert (record.text, record.metadata["title"]) == ("told", "Lamp")
    assert notes == [
        f"a.csv: its texts are read from the column {text!r}; --text-column names another",
        f"a.csv: its titles are read from the column {title!r}; --title-column names another",
    ]


@pytest.mark.parametrize("name", ["subtitle", "plotter", "textile", "history", "renamed", "context", "entitled"])
def test_a_word_that_merely_holds_a_name_is_none(tmp_path: Path, name: str) -> None:
    assert f"no column of texts among {name}, n" in refused(table(tmp_path / "a.csv", [name, "n"], ["told", "1"]))


def test_of_several_the_exact_name_is_read_and_the_others_are_said(tmp_path: Path) -> None:
    header = ["title", "title_english", "movie_plot", "description", "Plots", "synopsis"]
    (record,), notes = noted(table(tmp_path / "a.csv", header, ["Lamp", "A Lamp", "a", "b", "c", "told"]))
    assert (record.text, record.metadata["title"]) == ("told", "Lamp")
    said = "a.csv: its texts are read from the column 'synopsis', not from description, Plots, movie_plot; "
    assert notes == [said + "--text-column names another"]


@pytest.mark.parametrize("empty", ["", "  ", "7.5", "1,204"])
def test_a_column_of_nothing_or_of_numbers_is_none_of_texts(tmp_path: Path, empty: str) -> None:
    path = table(tmp_path / "a.csv", ["title", "story", "plot_en"], ["Lamp", empty, "told"], ["Rain", empty, "tale"])
    records, notes = noted(path)
    assert [record.text for record in records] == ["told", "tale"]
    assert "from the column 'plot_en', not from story" in notes[0]


def test_no_title_is_said_and_can_be_declined(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", ["heading", "text"], ["Lamp", "told"])
    records, notes = noted(path)
    assert notes == [
        "a.csv: no column of titles among heading, text: parts of one series count as different works and may fall "
        "into different splits; --title-column names one, or says none"
    ]
    assert noted(path, title_column="none") == (records, [])
    assert noted(path, title_column="Heading")[0][0].metadata == {"title": "Lamp"}
    path = table(tmp_path / "b.csv", ["title", "none", "text"], ["Lamp", "Rain", "told"])
    assert noted(path, title_column="none")[0][0].metadata == {"title": "Rain"}  # a column of that name
    assert noted(table(path, ["title", "text"], ["Lamp", "told"]), title_column="none")[0][0].metadata == {}


def test_what_was_decided_stands_in_the_corpus_and_one_series_is_refused_with_a_way_out(tmp_path: Path) -> None:
    rows = [
        [f"Glass Harbour Season {n}", f"Keeper {n} finds letter {n} in the storm {n} of harbour {n}."]
        for n in range(40)
    ]
    path = table(tmp_path / "a.csv", ["titleRomaji", "movie_plot"], *rows)
    with pytest.raises(
        CorpusError, match=r"fall into 1 groups.*--title-column names the column of the titles, or says none"
    ):
        prepare(path, tmp_path / "corpus")
    corpus = prepare(path, tmp_path / "corpus", title_column="none")
    assert corpus.notes[0] == "a.csv: its texts are read from the column 'movie_plot'; --text-column names another"
    with pytest.raises(TypeError, match="text_colunm"):
        prepare(path, tmp_path / "corpus", text_colunm="movie_plot")
