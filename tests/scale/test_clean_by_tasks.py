"""Cleaning by many tasks: the corpus is that of `prepare`, whatever happens to a task on the way."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.readers.csv import CsvReader

from arasuji.corpus import SPLITS, Corpus, prepare
from arasuji.corpus.source import Reading
from arasuji.errors import CorpusError, OptionError, SourceError
from arasuji.files import read_json, write_json
from arasuji.scale.datatrove import Rules, pipeline
from arasuji.scale.texts import shares_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="datatrove starts processes by a fork server"),
]

PAGE = Path(__file__).parents[2] / "docs/do/clean-many-machines.md"
TEXTS, PAIRS, AGAIN = 2000, 40, 20
"""So many texts, of which so many nearly repeat an earlier one, and so many repeat it but for case."""
DEADLY = """
import glob, os, signal, threading, time

def die():
    mine = f"work/mine/1-texts/.00001.*-{os.getpid()}-*.new/*.jsonl"
    while not any(os.path.getsize(name) for name in glob.glob(mine)):
        time.sleep(0)
    open("killed", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ != "__main__" and not os.path.exists("killed"):
    threading.Thread(target=die, daemon=True).start()
"""
"""Before the script, it kills once the process of task 1, in the middle of its texts."""


def rows(texts: int) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Texts of words that stand for nothing, in a random order, and the ids of each pair of near-duplicates."""
    chance = random.Random(0)
    words = ["".join(chance.choices(["ka", "lo", "mi", "ru", "te"], k=chance.randint(2, 5))) for _ in range(3000)]
    found = [chance.choices(words, k=80) for _ in range(texts - PAIRS - AGAIN)]
    written, pairs = [" ".join(text) for text in found], []
    for place in chance.sample(range(len(found)), PAIRS):
        other = list(found[place])
        for changed in chance.sample(range(80), chance.randint(1, 6)):
            other[changed] = chance.choice(words)
        pairs.append((str(place), str(len(written))))
        written.append(" ".join(other))
    written += [written[place].upper() for place in chance.sample(range(len(found)), AGAIN)]
    for place in range(0, len(found), 9):
        written[place] = chance.choice([f"<p>{written[place]}</p> (Source: a book)", "no synopsis", "too short"])
    genres = [["Drama"], ["Hentai"], ["Comedy", "Drama"]]
    table = [
        {
            "id": str(number),
            "title": " ".join(chance.choices(words, k=2)),
            "genres": chance.choice(genres[: 1 + number % 3]),
            "text": text,
        }
        for number, text in enumerate(written)
    ]
    chance.shuffle(table)
    return table, pairs


def write(path: Path, table: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in table), "utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def decided(corpus: Corpus) -> dict[str, str]:
    return {record.id: name for name in SPLITS for record in corpus.split(name)}


def python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "clean.py").write_text(script)
    return subprocess.run([sys.executable, "clean.py"], cwd=folder, capture_output=True, text=True)


def run_here(stages: list[Any]) -> None:
    """Run stages in this process, one task after the other."""
    for stage in stages:
        for rank in range(stage.world_size):
            stage._run_for_rank(rank, local_rank=1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the script of the page has been run on 2,000 texts in four files."""
    folder = tmp_path_factory.mktemp("place")
    table, _ = rows(TEXTS)
    for part in range(4):
        write(folder / f"texts/{part}.jsonl", table[part * 500 : part * 500 + 500])
    script = re.search(r"```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    ran = python(script, folder)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("7-corpus: 1 of 1 tasks in "), ran.stderr
    return folder


@pytest.fixture(scope="module")
def prepared(place: Path) -> Corpus:
    return prepare(sorted(place.glob("texts/*")), place / "prepared")


def test_the_corpus_is_the_one_that_prepare_writes(place: Path, prepared: Corpus) -> None:
    corpus = Corpus.load(place / "corpora/mine")
    assert corpus.hash == prepared.hash
    assert all(corpus.split(name) == prepared.split(name) for name in SPLITS)
    one, other = (read_json(folder / "manifest.json") for folder in (corpus.folder, prepared.folder))
    del one["files"]["examples.jsonl"], other["files"]["examples.jsonl"]  # tasks draw their examples apart
    assert one == other


def test_every_text_is_kept_or_removed_by_a_rule_that_is_named(place: Path) -> None:
    corpus = Corpus.load(place / "corpora/mine")
    removed = {count.rule: count.removed for count in corpus.rules}
    assert corpus.rules[0].left == TEXTS == len(decided(corpus)) + sum(removed.values())
    assert all(removed[rule] for rule in ("genres", "placeholders", "words", "duplicates", "near-duplicates"))
    assert all(len(count.examples) <= 20 for count in corpus.rules)
    kept = decided(corpus)
    _, pairs = rows(TEXTS)
    assert not any(one in kept and other in kept for one, other in pairs)


def test_a_killed_task_is_named_and_the_second_start_ends_with_the_same_bytes(place: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").symlink_to(place / "texts")
    script = DEADLY + (place / "clean.py").read_text()
    first = python(script, tmp_path)
    assert first.returncode != 0
    assert "task 1 of 1-texts was killed (exit code -9); start the same pipeline again" in first.stderr
    assert not (tmp_path / "corpora").exists()
    done = {path.name for path in (tmp_path / "work/mine/logs/1-texts/completions").iterdir()}
    assert done == {"00000", "00002", "00003"}
    second = python(script, tmp_path)
    assert second.returncode == 0, second.stderr
    assert second.stderr.startswith("1-texts: 1 of 4 tasks in ")
    assert contents(tmp_path / "corpora/mine") == contents(place / "corpora/mine")


def test_a_file_is_shared_by_tasks_and_near_duplicates_that_rules_leave_stay_in_one_split(tmp_path: Path) -> None:
    table, pairs = rows(600)
    source = write(tmp_path / "texts.jsonl", table)
    rules = tmp_path / "mine.toml"
    rules.write_text(
        "[[rule]]\nname = 'near-duplicates'\nsimilarity = 0.9\n[[rule]]\nname = 'words'\nmin = 9\nmax = 99\n"
    )
    reading = {"genre_column": "genres", "keep": ("id",)}
    one = prepare([source], tmp_path / "one", str(rules), seed=3, **reading)
    stages = pipeline(
        source,
        tmp_path / "other",
        tmp_path / "work",
        str(rules),
        seed=3,
        reading=Reading(**reading),
        tasks=3,
        executor=LocalPipelineExecutor,
        workers=1,
    )
    run_here(stages)
    other = Corpus.load(tmp_path / "other")
    assert (other.hash, other.notes, other.reading) == (one.hash, one.notes, one.reading)
    assert [count.counts() for count in other.rules] == [count.counts() for count in one.rules]
    split = decided(other)
    both = [(split[a], split[b]) for a, b in pairs if a in split and b in split]
    assert len(both) > 10
    assert all(a == b for a, b in both)


def test_a_reader_of_datatrove_may_stand_for_the_sources(tmp_path: Path) -> None:
    for part in range(2):
        lines = (f"{row['id']},{row['text']}\n" for row in rows(200)[0][part * 100 : part * 100 + 100])
        (tmp_path / f"{part}.csv").write_text("".join(["id,text\n", *lines]))
    reader = CsvReader(str(tmp_path), glob_pattern="*.csv")
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nname = 'html'\n")
    run_here(pipeline(reader, tmp_path / "corpus", tmp_path / "work", str(rules), tasks=2))
    one = prepare(sorted(tmp_path.glob("*.csv")), tmp_path / "prepared", str(rules))
    other = Corpus.load(tmp_path / "corpus")
    for name in SPLITS:
        assert [(r.id, r.text, r.group) for r in other.split(name)] == [
            (r.id, r.text, r.group) for r in one.split(name)
        ]


def test_every_source_is_read_once_in_its_order_by_any_number_of_tasks() -> None:
    for count in range(1, 9):
        sources = [Path(str(number)) for number in range(count)]
        for tasks in range(1, 12):
            read = [share for rank in range(tasks) for share in shares_of(sources, rank, tasks)]
            expected = [(path, share, of) for path, _, of in dict.fromkeys((p, 0, n) for p, _, n in read)
                        for share in range(of)]  # fmt: skip
            assert read == expected
            assert list(dict.fromkeys(path for path, _, _ in read)) == sources


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    """A pipeline of two tasks over 200 texts, as arguments."""
    table = rows(200)[0]
    sources = [write(tmp_path / f"texts/{part}.jsonl", table[part * 100 : part * 100 + 100]) for part in range(2)]
    return {"sources": sources, "out": tmp_path / "corpus", "work": tmp_path / "work", "tasks": 2}


def test_a_part_that_is_missing_or_cut_is_found_out_and_done_again(small: dict[str, Any]) -> None:
    stages = pipeline(**small)
    run_here(stages[:1])
    with (small["work"] / "1-texts/00001/texts.jsonl").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(CorpusError, match=r"task 1 of 1-texts has left no whole part in .*start the same pipeline"):
        stages[1]._run_for_rank(0, local_rank=1)
    again = pipeline(**small)
    assert again[0].get_incomplete_ranks() == [1]
    run_here(again)
    assert Corpus.load(small["out"]).hash == prepare(small["sources"], small["work"].parent / "one").hash
    assert pipeline(**small)[-1].get_incomplete_ranks() == []
    (small["out"] / "manifest.json").unlink()
    for path in small["out"].iterdir():
        path.unlink()
    assert [stage.get_incomplete_ranks() for stage in pipeline(**small)] == [[]] * 6 + [[0]]


def test_texts_that_do_not_add_up_are_refused(small: dict[str, Any]) -> None:
    stages = pipeline(**small)
    run_here(stages[:6])
    manifest = small["work"] / "6-texts/00001/manifest.json"
    facts = read_json(manifest)
    facts["rules"][0]["left"] += 1
    write_json(manifest, facts)
    with pytest.raises(
        CorpusError, match=r"task 1 of 6-texts has lost texts: \d+ came, \d+ were removed, \d+ are left"
    ):
        stages[6]._run_for_rank(0, local_rank=1)
    assert not small["out"].exists()


def test_what_cannot_be_done_is_said_before_anything_is_written(small: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="rule 'duplicates' compares all texts"):
        Rules("default")
    with pytest.raises(SourceError, match="no such file"):
        pipeline(**{**small, "sources": [tmp_path / "none.jsonl"]})
    with pytest.raises(OptionError, match="does the pattern find your files"):
        pipeline(**{**small, "sources": []})
    with pytest.raises(OptionError, match="at least 1"):
        pipeline(**{**small, "tasks": 0})
    with pytest.raises(CorpusError, match="exists and is not a corpus"):
        pipeline(**{**small, "out": tmp_path})
    assert not small["work"].exists()
    pipeline(**small)
    with pytest.raises(OptionError, match="holds the work of a pipeline with other rules and seed"):
        pipeline(**small, rules="article", seed=1)
    with pytest.raises(OptionError, match="is no work folder of a pipeline"):
        pipeline(**{**small, "work": tmp_path / "texts"})


def test_a_folder_of_texts_is_another_source_when_one_of_its_texts_changes(
    small: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for number in range(40):
        (tmp_path / f"folder/{number}.txt").write_text(f"The lamp on pier {number} went out twice.")
    pipeline(**{**small, "sources": tmp_path / "folder"})
    (tmp_path / "folder/7.txt").write_text("Somebody has written another text.")
    with pytest.raises(OptionError, match="other sources"):
        pipeline(**{**small, "sources": tmp_path / "folder"})
