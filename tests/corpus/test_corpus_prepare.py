"""The whole way: sources in, a corpus out, saved whole or not at all."""

from __future__ import annotations

import csv
import dataclasses
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import arasuji.corpus
from arasuji.corpus import SPLITS, Corpus, Record, prepare
from arasuji.corpus.clean import RuleSet, Step
from arasuji.corpus.digest import corpus_hash
from arasuji.errors import CorpusError, OptionError, StorageError

CsvFile = Callable[..., Path]


@pytest.fixture
def corpus(csv_file: CsvFile) -> Corpus:
    return prepare([csv_file()])


@pytest.fixture
def real_file() -> Path:
    folder = os.environ.get("ARASUJI_TEST_DATA")
    if not folder:
        pytest.skip("ARASUJI_TEST_DATA names no folder with anime.csv.gz")
    return Path(folder) / "anime.csv.gz"


@pytest.mark.parametrize("rules", ["article", "article-lstm"])
def test_article_rules_give_the_articles_table_on_the_real_file(real_file: Path, rules: str) -> None:
    corpus = prepare([real_file], rules)
    left = [count.left for count in corpus.rules]
    assert left == [25_865, 19_714, 10_460, 10_460, 10_386, 10_143, 9_814, 9_795]
    assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == 9_795
    assert corpus.notes == ()


def test_default_rules_keep_what_the_article_loses_on_the_real_file(real_file: Path) -> None:
    corpus = prepare([real_file])
    texts = [record.text for record in (*corpus.train, *corpus.validation, *corpus.test)]
    assert len(texts) > 17_000
    assert any("’" in text or "é" in text for text in texts)
    assert sum("[Written by" in text or "(Source:" in text for text in texts) == 0
    genres = {genre for record in corpus.train for genre in record.metadata.get("genres", [])}
    assert "Kids" in genres
    assert "Hentai" not in genres


def test_same_input_gives_the_same_hash_and_a_changed_one_another(csv_file: CsvFile) -> None:
    path = csv_file()
    corpus = prepare([path])
    assert prepare([path]) == corpus
    assert len({corpus.hash, prepare([path], seed=1).hash, prepare([csv_file(41)]).hash}) == 3


def test_order_of_rows_and_of_sources_changes_nothing(csv_file: CsvFile, corpus: Corpus) -> None:
    with csv_file().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    first, second = csv_file(rows=rows[:10], name="a.csv"), csv_file(rows=rows[10:], name="b.csv")
    assert prepare([first, second]) == prepare([second, first]) == corpus


def test_hash_is_the_same_on_every_machine() -> None:
    splits = {name: (Record(name, "naïve 猫", "group", {"genres": ["A"], "year": 1998}),) for name in SPLITS}
    ruleset = RuleSet("", (Step("words", {"min": 1, "max": 9}, "words"),))
    assert corpus_hash(splits, ruleset, seed=3).startswith("1e99a84e906d")


def test_progress_is_told_a_line_per_source_and_rule(csv_file: CsvFile) -> None:
    lines: list[str] = []
    prepare([csv_file()], progress=lines.append)
    assert "40 documents" in lines[0]
    assert lines[-1] == "rule duplicates: 0 removed, 0 changed, 40 left"


def test_fewer_than_twenty_documents_are_refused(csv_file: CsvFile) -> None:
    with pytest.raises(CorpusError, match="19 of 19 documents are left, and a corpus needs at least 20"):
        prepare([csv_file(19)])
    assert prepare([csv_file(20)]).test


def test_all_removed_names_the_rule(csv_file: CsvFile) -> None:
    with pytest.raises(CorpusError, match="all 40 documents are gone: rule 'words'"):
        prepare([csv_file()], rules="article")


def test_saved_corpus_loads_equal(tmp_path: Path, corpus: Corpus) -> None:
    corpus.save(tmp_path / "corpus")
    assert Corpus.load(tmp_path / "corpus") == corpus
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "manifest.json",
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]


def test_corpus_is_replaced_and_an_empty_folder_filled(
    tmp_path: Path, csv_file: CsvFile, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path / "corpus")
    corpus.save(Path("."))
    other = prepare([csv_file(50)])
    other.save(tmp_path / "corpus")
    assert Corpus.load(tmp_path / "corpus") == other


def test_folder_that_is_no_corpus_is_left_alone(tmp_path: Path, corpus: Corpus) -> None:
    for name in ("notes.txt", "manifest.json"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_text("{}")
        with pytest.raises(CorpusError, match="is not a corpus: it is left alone"):
            corpus.save(folder)
        assert (folder / name).read_text() == "{}"
        with pytest.raises(CorpusError, match="is left alone"):
            corpus.save(folder / name)


def test_corpus_with_a_foreign_file_in_it_is_left_alone(tmp_path: Path, corpus: Corpus) -> None:
    corpus.save(tmp_path / "corpus")
    (tmp_path / "corpus" / "thesis.txt").write_text("precious")
    with pytest.raises(CorpusError, match="is left alone"):
        corpus.save(tmp_path / "corpus")


def test_failure_in_the_middle_leaves_the_old_corpus(
    tmp_path: Path, csv_file: CsvFile, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.save(tmp_path / "corpus")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arasuji.corpus, "seal", full)
    with pytest.raises(StorageError, match="No space left"):
        prepare([csv_file(50)]).save(tmp_path / "corpus")
    assert Corpus.load(tmp_path / "corpus") == corpus
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["corpus"]


def test_missing_damaged_and_foreign_folders_say_what_to_do(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match=r"no corpus at .*nowhere: make one with `arasuji prepare"):
        Corpus.load(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"is not a corpus: make one with `arasuji prepare"):
        Corpus.load(tmp_path)
    corpus.save(tmp_path / "corpus")
    train = tmp_path / "corpus" / "train.jsonl"
    train.write_text(train.read_text("utf-8")[:-20], "utf-8")
    with pytest.raises(CorpusError, match=r"is damaged: make it again with `arasuji prepare"):
        Corpus.load(tmp_path / "corpus")
    corpus.save(tmp_path / "corpus")  # a damaged corpus may be replaced
    shutil.copytree(tmp_path / "corpus", tmp_path / "moved")
    assert Corpus.load(tmp_path / "moved") == corpus


def test_split_is_given_by_name(corpus: Corpus) -> None:
    assert corpus.split("test") is corpus.test
    with pytest.raises(OptionError, match="known: train, validation, test"):
        corpus.split("tset")


def test_records_are_frozen(corpus: Corpus) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.train[0].text = "other"  # type: ignore[misc]
