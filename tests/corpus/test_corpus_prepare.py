"""The whole way: sources in, a corpus out, saved whole or not at all."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from arasuji.corpus import SPLITS, Corpus, Record, Records, pipeline, prepare
from arasuji.corpus.clean import RuleSet, Step
from arasuji.corpus.digest import corpus_hash
from arasuji.corpus.examples import Example
from arasuji.errors import CorpusError, OptionError, SourceError, StorageError
from arasuji.folders import new_folder, seal

CsvFile = Callable[..., Path]


@pytest.fixture
def corpus(tmp_path: Path, csv_file: CsvFile) -> Corpus:
    return prepare([csv_file()], tmp_path / "corpus")


@pytest.fixture
def real_file() -> Path:
    folder = os.environ.get("ARASUJI_TEST_DATA")
    if not folder:
        pytest.skip("ARASUJI_TEST_DATA names no folder with anime.csv.gz")
    return Path(folder) / "anime.csv.gz"


@pytest.mark.parametrize("rules", ["article", "article-lstm"])
def test_article_rules_give_the_articles_table_on_the_real_file(tmp_path: Path, real_file: Path, rules: str) -> None:
    corpus = prepare([real_file], tmp_path / "corpus", rules)
    left = [count.left for count in corpus.rules]
    assert left == [25_865, 19_714, 10_460, 10_460, 10_386, 10_143, 9_814, 9_795]
    assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == 9_795
    assert corpus.notes == ()


def test_default_rules_keep_what_the_article_loses_on_the_real_file(tmp_path: Path, real_file: Path) -> None:
    corpus = prepare([real_file], tmp_path / "corpus")
    texts = [record.text for record in (*corpus.train, *corpus.validation, *corpus.test)]
    assert len(texts) > 16_900
    assert any("’" in text or "é" in text for text in texts)
    assert sum("[Written by" in text or "(Source:" in text for text in texts) == 0
    genres = {genre for record in corpus.train for genre in record.metadata.get("genres", [])}
    assert "Kids" in genres
    assert "Hentai" not in genres


def test_same_input_gives_the_same_hash_and_a_changed_one_another(
    tmp_path: Path, csv_file: CsvFile, corpus: Corpus
) -> None:
    again = prepare([csv_file()], tmp_path / "again")
    assert again == corpus
    assert again.hash == corpus.hash
    other_seed = prepare([csv_file()], tmp_path / "seed", seed=1)
    other_rows = prepare([csv_file(41)], tmp_path / "rows")
    assert len({corpus.hash, other_seed.hash, other_rows.hash}) == 3


def test_order_of_rows_and_of_sources_changes_nothing(tmp_path: Path, csv_file: CsvFile, corpus: Corpus) -> None:
    with csv_file().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    first, second = csv_file(rows=rows[:10], name="a.csv"), csv_file(rows=rows[10:], name="b.csv")
    one, other = prepare([first, second], tmp_path / "one"), prepare([second, first], tmp_path / "other")
    assert one.hash == other.hash == corpus.hash
    assert one.train == other.train == corpus.train


def test_hash_is_the_same_on_every_machine(tmp_path: Path) -> None:
    for name in SPLITS:
        record = Record(name, "naïve 猫", "group", {"genres": ["A"], "year": 1998})
        Records.write(tmp_path / f"{name}.jsonl", [record]).close()
    ruleset = RuleSet("", (Step("words", {"min": 1, "max": 9}, "words"),))
    assert corpus_hash(tmp_path, ruleset, seed=3).startswith("1e99a84e906d")


def test_progress_is_told_by_bytes_and_by_documents(tmp_path: Path, csv_file: CsvFile) -> None:
    told: list[tuple[str, int, int]] = []
    prepare([csv_file(800)], tmp_path / "corpus", progress=lambda *step: told.append(step))
    assert {what for what, _, _ in told} == {"reading stories.csv", "rule near-duplicates", "splitting"}
    assert all(0 <= done <= total for _, done, total in told)


def test_fewer_than_twenty_documents_are_refused(tmp_path: Path, csv_file: CsvFile) -> None:
    with pytest.raises(CorpusError, match="19 of 19 documents are left, and a corpus needs at least 20"):
        prepare([csv_file(19)], tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()
    assert prepare([csv_file(20)], tmp_path / "corpus").test


def test_all_removed_names_the_rule(tmp_path: Path, csv_file: CsvFile) -> None:
    with pytest.raises(CorpusError, match="all 40 documents are gone: rule 'words'"):
        prepare([csv_file()], tmp_path / "corpus", rules="article")


def test_saved_corpus_loads_equal(tmp_path: Path, corpus: Corpus) -> None:
    assert Corpus.load(tmp_path / "corpus") == corpus
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "examples.jsonl",
        "manifest.json",
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]


def test_a_corpus_knows_its_sources_its_rules_and_examples_of_what_they_did(
    tmp_path: Path, csv_file: CsvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [f"keeper {i} of lamp {i} in harbour {i} at storm {i} on pier {i}" for i in range(50)]
    told += [f"keeper {i} of <b>lamp {i}</b> in harbour {i} at storm {i} on pier {i}" for i in range(50, 100)]
    rows = [{"id": str(i), "told": text} for i, text in enumerate([*told, "too short"])]
    csv_file(rows=rows, name="mine.csv")
    monkeypatch.chdir(tmp_path)
    made = prepare("mine.csv", "made", text_column="told", skip_bad_rows=False)
    assert made == Corpus.load("made")
    assert made.sources == (str(tmp_path / "mine.csv"),)
    assert made.reading == {"text_column": "told"}
    rules = {count.rule: count for count in made.rules}
    assert rules["all"].table is None
    assert rules["words"].table == {"name": "words", "min": 10, "max": 400, "characters_per_word": 2}
    assert [example.before for example in rules["words"].examples] == ["too short"]
    assert (rules["html"].changed, len(rules["html"].examples)) == (50, 20)
    for example in rules["html"].examples:
        assert example.after == example.before.replace("<b>", "").replace("</b>", "")
    plain = prepare("mine.csv", "plain", text_column="told")
    assert plain.hash == made.hash


def test_a_corpus_of_an_earlier_version_opens_with_its_one_example(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "corpus" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for name in ("sources", "reading"):
        del manifest[name]
    for row in manifest["rules"]:
        del row["table"]
        row["example"] = {"html": ["a <b>", "a "], "words": ["short", ""]}.get(row["rule"])
    (tmp_path / "corpus" / "examples.jsonl").unlink()
    del manifest["files"]["examples.jsonl"]
    path.write_text(json.dumps(manifest), "utf-8")
    older = Corpus.load(tmp_path / "corpus")
    assert (older.hash, older.sources, older.reading) == (corpus.hash, (), {})
    rules = {count.rule: count for count in older.rules}
    assert (rules["html"].examples, rules["html"].example) == ((Example("a <b>", "a "),), ("a <b>", "a "))
    assert (rules["words"].examples, rules["words"].example) == ((Example("short", None),), ("short", ""))
    assert rules["words"].table is None


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"step": 1}',
        '{"step": [], "before": "a", "after": null, "mark": null}',
        '{"step": 1, "before": 5, "after": "", "mark": 0}',
    ],
)
def test_examples_that_cannot_be_read_are_one_line(tmp_path: Path, corpus: Corpus, line: str) -> None:
    path = tmp_path / "corpus" / "examples.jsonl"
    path.write_text(line + "\n", "utf-8")
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text("utf-8"))
    seal(tmp_path / "corpus", {name: value for name, value in manifest.items() if name != "files"})
    with pytest.raises(CorpusError, match="another version"):
        Corpus.load(tmp_path / "corpus")


@pytest.mark.parametrize("hash", ["", "x" * 64, "0" * 63, None, ["0" * 64]])
def test_a_corpus_whose_hash_is_none_is_one_line(tmp_path: Path, corpus: Corpus, hash: object) -> None:
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text("utf-8"))
    seal(tmp_path / "corpus", {**{name: value for name, value in manifest.items() if name != "files"}, "hash": hash})
    with pytest.raises(CorpusError, match="another version"):
        Corpus.load(tmp_path / "corpus")


def test_a_corpus_with_all_that_is_added_to_it_later_is_replaced(tmp_path: Path, csv_file: CsvFile) -> None:
    made = prepare([csv_file()], tmp_path / "corpus")
    for name in ("index", "suffixes"):
        with new_folder(tmp_path / "corpus" / name) as added:
            (added / "numbers.npy").write_bytes(b"1")
            seal(added, {})
        (tmp_path / "corpus" / f".{name}.other-1-ab.new").mkdir()
    assert prepare([csv_file(50)], tmp_path / "corpus") == Corpus.load(tmp_path / "corpus") != made


def test_corpus_is_replaced_and_an_empty_folder_filled(
    tmp_path: Path, csv_file: CsvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path / "corpus")
    first = prepare([csv_file()], Path("."))
    kept = first.train[0]
    other = prepare([csv_file(50)], tmp_path / "corpus")
    assert first.train[0] == kept  # an opened corpus stays what it was
    assert Corpus.load(tmp_path / "corpus") == other


def test_folder_that_is_no_corpus_is_left_alone(tmp_path: Path, csv_file: CsvFile) -> None:
    for name in ("notes.txt", "manifest.json"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_text("{}")
        with pytest.raises(CorpusError, match="is not a corpus: it is left alone"):
            prepare([csv_file()], folder)
        assert (folder / name).read_text() == "{}"
        with pytest.raises(CorpusError, match="is left alone"):
            prepare([csv_file()], folder / name)


def test_corpus_with_a_foreign_file_in_it_is_left_alone(tmp_path: Path, csv_file: CsvFile, corpus: Corpus) -> None:
    (tmp_path / "corpus" / "thesis.txt").write_text("precious")
    with pytest.raises(CorpusError, match="is left alone"):
        prepare([csv_file()], tmp_path / "corpus")


def test_failure_in_the_middle_leaves_the_old_corpus_and_nothing_else(
    tmp_path: Path, csv_file: CsvFile, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline, "seal", full)
    with pytest.raises(StorageError, match="No space left"):
        prepare([csv_file(50)], tmp_path / "corpus", explain=tmp_path / "removed.jsonl")
    assert Corpus.load(tmp_path / "corpus") == corpus
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "stories.csv"]


def test_source_that_goes_bad_in_its_middle_leaves_the_old_corpus(
    tmp_path: Path, csv_file: CsvFile, corpus: Corpus
) -> None:
    bad = csv_file(3000, name="bad.csv")
    bad.write_bytes(bad.read_bytes()[:-50] + b"\xff\n")
    with pytest.raises(SourceError, match=r"bad\.csv: not UTF-8: byte 0xff at offset \d+"):
        prepare([bad], tmp_path / "corpus")
    assert Corpus.load(tmp_path / "corpus") == corpus


def test_missing_damaged_and_foreign_folders_say_what_to_do(tmp_path: Path, csv_file: CsvFile, corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match=r"no corpus at .*nowhere: make one with `arasuji prepare"):
        Corpus.load(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"is not a corpus: make one with `arasuji prepare"):
        Corpus.load(tmp_path)
    train = tmp_path / "corpus" / "train.jsonl"
    train.write_text(train.read_text("utf-8")[:-20], "utf-8")
    with pytest.raises(CorpusError, match=r"is damaged: make it again with `arasuji prepare"):
        Corpus.load(tmp_path / "corpus")
    corpus = prepare([csv_file()], tmp_path / "corpus")  # a damaged corpus may be replaced
    shutil.copytree(tmp_path / "corpus", tmp_path / "moved")
    assert Corpus.load(tmp_path / "moved") == corpus


def test_split_is_given_by_name(corpus: Corpus) -> None:
    assert corpus.split("test") is corpus.test
    with pytest.raises(OptionError, match="known: train, validation, test"):
        corpus.split("tset")


def test_records_are_frozen(corpus: Corpus) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.train[0].text = "other"  # type: ignore[misc]
