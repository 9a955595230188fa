"""Files of texts, rules, presets and prompts that are damaged, or made to do damage: a verb reads them, or says in one
line why not."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest
from corpus.test_tables_of_others import workbook
from hard.conftest import Cases
from hard.forked import COMPUTES, Zygote
from hard.mutate import json_bytes, mutated, mutated_gzip, mutated_json, mutated_json_file, mutated_lines

from arasuji.config import preset_text
from arasuji.corpus.clean import RULE_SETS

Damage = Callable[[bytes, random.Random], bytes]

WORDS = [
    "keeper",
    "harbour",
    "lamp",
    "storm",
    "finds",
    "loses",
    "letter",
    "train",
    "robot",
    "choir",
    "winter",
    "garden",
]


def story(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=14)) + f", said no. {number}: “Où est 灯台?”"


ROWS = [
    {"mal_id": str(i), "title": f"{WORDS[i % 12].title()} {WORDS[i // 2 % 12]} {i}", "synopsis": story(i),
     "genres": "Drama, Mecha", "year": str(1980 + i), "score": f"{i / 7:.2f}"}
    for i in range(26)
]  # fmt: skip
MEDIA = [
    {"id": i, "title": {"romaji": row["title"], "english": None, "native": "灯台"}, "type": "ANIME", "format": "OVA",
     "description": row["synopsis"] + "<br>", "startDate": {"year": 1996, "month": 7}, "genres": ["Drama"]}
    for i, row in enumerate(ROWS)
]  # fmt: skip
JIKAN = [
    {"mal_id": i, "title": row["title"], "type": "TV", "synopsis": row["synopsis"] + "\n\n[Written by Nobody]",
     "aired": {"from": "2005-10-23T00:00:00+00:00", "to": None}, "year": None,
     "genres": [{"name": "Drama"}], "themes": [{"name": "Workplace"}], "demographics": []}
    for i, row in enumerate(ROWS)
]  # fmt: skip


def table(delimiter: str) -> bytes:
    lines = [list(ROWS[0]), *([*row.values()] for row in ROWS)]
    quoted = ([f'"{cell}"' if delimiter in cell or '"' in cell else cell for cell in line] for line in lines)
    return "".join(delimiter.join(line) + "\n" for line in quoted).encode()


def lines_of(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet(**options: Any) -> bytes:
    file = io.BytesIO()
    polars.DataFrame([{**row, "genres": ["Drama", "Mecha"]} for row in ROWS]).write_parquet(file, **options)
    return file.getvalue()


def damaged_rows(content: bytes, rng: random.Random) -> bytes:
    """JSON Lines: some of the objects changed, or the bytes."""
    if rng.random() < 0.4:
        return mutated(content, rng)
    rows = [json.loads(line) for line in content.splitlines()]
    for place in rng.sample(range(len(rows)), min(rng.choice([1, 1, 5, 99]), len(rows))):
        rows[place] = mutated_json(rows[place], rng)
    return b"\n".join(json_bytes(row, rng).replace(b"\n", b"") for row in rows)


def damaged_table(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.6:
        return mutated(content, rng)
    text = mutated_lines(content.decode(), rng)
    return text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252", "shift_jis", "utf-32"]), "replace")


def damaged_zip(content: bytes, rng: random.Random) -> bytes:
    """An archive: the bytes, or those of a file in it."""
    if rng.random() < 0.3:
        return mutated(content, rng)
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = rng.choice([*names, names[-1], names[-1]])
        for name in names:
            part = old.read(name)
            new.writestr(name, mutated(part, rng) if name == chosen else part)
    return changed.getvalue()


def xlsx(tmp_path: Path) -> bytes:
    rows = [list(ROWS[0]), *([*row.values()] for row in ROWS)]
    return workbook(tmp_path / "whole.xlsx", {"Tales": rows, "More": rows[:2]}).read_bytes()


@pytest.fixture
def try_sources(zygote: Zygote, cases: Cases, tmp_path: Path):
    """Prepare a corpus of each of many damaged files, with the options that a person would try next."""
    options: list[list[str]] = [
        [], [], [], ["--skip-bad-rows"], ["--skip-bad-rows", "--title-column", "none"], ["--no-header"],
        ["--text-column", "synopsis"], ["--keep", "score"], ["--encoding", "cp1252"], ["--delimiter", "tab"],
    ]  # fmt: skip

    def run(whole: int, given: dict[str, tuple[bytes, Damage]]) -> None:
        rng = cases.random
        for number in range(cases.count(whole)):
            name = rng.choice([*given])
            content, damage = given[name]
            source = tmp_path / name
            source.write_bytes(damage(content, rng))
            chosen = rng.choice(options)
            ended = zygote.run(["prepare", source, "--out", tmp_path / "corpus", "--json", *chosen], **COMPUTES)
            problem = ended.problem()
            if problem:
                kept = tmp_path / f"{number}-{name}"
                source.rename(kept)
                problem = f"{kept} {' '.join(chosen)}: {problem}"
            cases.saw(name, problem)

    return run


def test_a_damaged_table_is_read_or_refused_in_one_line(try_sources):
    """A CSV or TSV file that is damaged, or in another encoding, is read, or refused in one line."""
    try_sources(
        1150,
        {
            "a.csv": (table(","), damaged_table), "b.tsv": (table("\t"), damaged_table),
            "c.csv": (table(";"), damaged_table), "d.tab": (table("|"), damaged_table),
        },
    )  # fmt: skip


def test_a_damaged_packed_file_is_read_or_refused_in_one_line(try_sources):
    """A packed file (.gz) that is cut, damaged, or something else is read, or refused in one line."""
    try_sources(
        500,
        {
            "a.csv.gz": (table(","), mutated_gzip),
            "a.jsonl.gz": (lines_of(ROWS), lambda content, rng: mutated_gzip(content, rng, damaged_rows)),
            "a.json.gz": (json.dumps(ROWS).encode(), mutated_gzip),
            "a.parquet.gz": (parquet(), mutated_gzip),
            "a.txt.gz": ("\n\n".join(map(story, range(26))).encode(), mutated_gzip),
            "a.csv": (table(","), mutated_gzip),
            "b.csv.gz": (gzip.compress(table(",")), mutated),
        },
    )


def test_damaged_json_is_read_or_refused_in_one_line(try_sources):
    """JSON and JSON Lines with values of other kinds, numbers past all bounds, or damage are read, or refused."""
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    nested = [{"node": {**row, "synopsis": {"en": row["synopsis"], "ja": None}}} for row in ROWS]
    try_sources(
        800,
        {
            "a.jsonl": (lines_of(ROWS), damaged_rows),
            "b.ndjson": (lines_of(nested), damaged_rows),
            "a.json": (json.dumps(ROWS).encode(), mutated_json_file),
            "b.json": (json.dumps(columns).encode(), mutated_json_file),
            "c.json": (json.dumps({"columns": [*columns], "data": [[*row.values()] for row in ROWS]}).encode(),
                       mutated_json_file),
            "d.json": (lines_of(ROWS), damaged_rows),
        },
    )  # fmt: skip


def test_a_damaged_answer_of_a_service_is_read_or_refused_in_one_line(try_sources):
    """An answer of AniList, Jikan or MyAnimeList with fields lost, renamed or of other kinds is read, or refused."""
    answers = {
        "anilist.json": {"data": {"Page": {"pageInfo": {"total": 26}, "media": MEDIA}}},
        "jikan.json": {"pagination": {"items": {"count": 26}}, "data": JIKAN},
        "mal.json": {"data": [{"node": {"id": 1, "title": row["title"], "synopsis": row["synopsis"]}} for row in ROWS]},
    }
    try_sources(
        400,
        {
            **{name: (json.dumps(answer).encode(), mutated_json_file) for name, answer in answers.items()},
            "anilist.jsonl": (lines_of(MEDIA), damaged_rows),
            "jikan.jsonl": (lines_of(JIKAN), damaged_rows),
        },
    )


def test_a_damaged_parquet_file_is_read_or_refused_in_one_line(try_sources):
    """A Parquet file, packed in any way, with any of its bytes changed is read, or refused in one line."""
    try_sources(
        150,
        {
            "plain.parquet": (parquet(compression="uncompressed"), mutated),
            "snappy.parquet": (parquet(compression="snappy", statistics=False), mutated),
            "zstd.parquet": (parquet(row_group_size=5), mutated),
            "gzip.parquet": (parquet(compression="gzip"), mutated),
        },
    )


def test_a_damaged_workbook_is_read_or_refused_in_one_line(try_sources, tmp_path):
    """An .xlsx, .xls or .ods file of which a part is damaged is read, or refused in one line."""
    content = xlsx(tmp_path)
    try_sources(
        100,
        {"a.xlsx": (content, damaged_zip), "b.xlsx": (content, damaged_zip),
         "a.ods": (content, damaged_zip), "a.xls": (content, mutated)},
    )  # fmt: skip


def test_a_damaged_text_file_is_read_or_refused_in_one_line(zygote, cases, tmp_path):
    """Text files with lines, blocks or markers, and folders of them, are read whatever bytes they hold, or refused."""
    stories = [story(i) for i in range(26)]
    contents = {
        "lines.txt": "\n".join(stories), "blocks.txt": "\n\n".join(stories),
        "notes.md": "# A\n\n" + "\n\n".join(stories),
        "markers.txt": "<|endoftext|>".join(stories), "broken.txt": "\n".join("\n".join(s.split(",")) for s in stories),
    }  # fmt: skip
    rng, folder = cases.random, tmp_path / "folder"
    folder.mkdir()
    for i, text in enumerate(stories):
        (folder / f"{i}.txt").write_text(text, "utf-8")
    for _ in range(cases.count(400)):
        name = rng.choice([*contents, "folder"])
        source = tmp_path / name
        if name == "folder":
            for _ in range(rng.choice([1, 5])):
                (folder / f"{rng.randrange(26)}.txt").write_bytes(mutated(rng.choice(stories).encode(), rng))
        else:
            source.write_bytes(damaged_table(contents[name].encode(), rng))
        layout = rng.choice([[], [], ["--text-layout", rng.choice(["lines", "blocks", "markers"])]])
        ended = zygote.run(["prepare", source, "--out", tmp_path / "corpus", "--json", *layout])
        cases.saw(f"{name} {layout}", ended.problem())


def test_damaged_rules_are_followed_or_refused_in_one_line(zygote, cases, tmp_path):
    """A rule set with any name, value or damage in it is followed, or refused in one line."""
    source, rules, rng = tmp_path / "a.csv", tmp_path / "rules.toml", cases.random
    source.write_bytes(table(","))
    own = '[[rule]]\nname = "phrase"\nphrase = "robot"\n\n[[rule]]\nname = "language"\nkeep = ["en", "ja"]\n\n'
    own += '[[rule]]\nname = "cut"\nphrase = "said no"\n\n[[rule]]\nname = "near-duplicates"\nsimilarity = 0.7\n'
    sets = [own, *(path.read_text("utf-8") for path in sorted(RULE_SETS.glob("*.toml")))]
    for _ in range(cases.count(450)):
        text = rng.choice(sets)
        content = mutated(text.encode(), rng) if rng.random() < 0.4 else mutated_lines(text, rng).encode()
        rules.write_bytes(content)
        verb = ["prepare", source, "--rules", rules, "--out", tmp_path / "corpus", "--json"]
        ended = zygote.run(rng.choice([verb, verb, ["rules", rules]]))
        cases.saw(content, ended.problem())


SMALL = {
    "ngram": {"size = 8192": "size = 300", "order = 5": "order = 3"},
    "lstm-small": {"hidden = ": "hidden = 8 # ", "embedding = ": "embedding = 8 # ", "size = ": "size = 300 # "},
}
"""What makes the model of a preset small."""


def test_a_damaged_preset_is_trained_or_refused_in_one_line(zygote, cases, corpus, tmp_path):
    """An experiment of any name, value or damage is tried, or refused in one line before anything is trained."""
    presets = []
    for name, changes in SMALL.items():
        text = preset_text(name)
        for old, new in changes.items():
            text = text.replace(old, new)
        presets.append(text.partition("[[sizes]]")[0])
    file, rng = tmp_path / "experiment.toml", cases.random
    for _ in range(cases.count(300)):
        text = rng.choice(presets)
        content = mutated(text.encode(), rng) if rng.random() < 0.3 else mutated_lines(text, rng).encode()
        file.write_bytes(content)
        ended = zygote.run(["train", file, "--corpus", corpus, "--out", tmp_path / "run", "--dry-run"])
        cases.saw(content, ended.problem())


def test_a_damaged_file_of_prompts_is_continued_or_refused_in_one_line(zygote, cases, runs, tmp_path):
    """A file of prompts, as lines or as objects with fields, is continued, or refused with the number of a line."""
    objects = [{"prompt": "After"}, {"prompt": "The old", "title": "Lamp", "genres": ["Drama"], "year": 1999}, {}]
    rng = cases.random
    for _ in range(cases.count(300)):
        if rng.random() < 0.6:
            file, content = tmp_path / "prompts.jsonl", damaged_rows(lines_of(objects), rng)
        else:
            file, content = tmp_path / "prompts.txt", mutated("After\nThe old keeper\nÜber 灯台\n".encode(), rng)
        file.write_bytes(content)
        ended = zygote.run(["generate", runs / "ngram", "--prompts-file", file, "--max-length", "2", "--allow-copying"])
        cases.saw(content, ended.problem())


def test_a_damaged_output_is_continued_or_refused_in_one_line(zygote, cases, runs, tmp_path):
    """`generate --resume` goes on where a damaged file of texts is its own, and leaves all others alone in one line."""
    out, rng = tmp_path / "texts.jsonl", cases.random
    verb = ["generate", runs / "ngram", "After", "-n", "3", "--max-length", "3", "--out", out]
    assert zygote.run(verb).problem() == ""
    whole = out.read_bytes()
    assert zygote.run([*verb[:-1], tmp_path / "other.jsonl", "--seed", "7"]).problem() == ""
    other = (tmp_path / "other.jsonl").read_bytes()
    others = [other, other.rstrip(), whole.decode().encode("utf-16"), b"buy milk; do not delete", b"0" * 999]
    for _ in range(cases.count(250)):
        own = rng.random() < 0.7
        content = damaged_rows(whole, rng) if own else rng.choice(others) + bytes(rng.choice([0, 1, 512, 4096]))
        out.write_bytes(content)
        ended = zygote.run([*verb, "--resume"])
        problem, after = ended.problem(*(() if own else (2,))), out.read_bytes()
        if not problem and ended.code and after != content:
            problem = "it was refused, and changed all the same"
        if not problem and not ended.code and (lines := after.count(b"\n")) != 3:
            problem = f"it has {lines} lines"
        cases.saw(content[:300], problem)


def test_a_damaged_file_of_texts_is_scored_or_refused_in_one_line(zygote, cases, runs, tmp_path):
    """`evaluate --texts` scores what a damaged file holds, or refuses it in one line."""
    given = {"a.csv": (table(","), damaged_table), "a.jsonl": (lines_of(ROWS), damaged_rows),
             "a.txt": ("\n".join(map(story, range(8))).encode(), mutated),
             "a.parquet": (parquet(), mutated)}  # fmt: skip
    rng = cases.random
    for _ in range(cases.count(200)):
        name = rng.choice([*given])
        content, damage = given[name]
        (tmp_path / name).write_bytes(damage(content, rng))
        ended = zygote.run(["evaluate", runs / "ngram", "--texts", tmp_path / name])
        cases.saw(f"{name} {(tmp_path / name).read_bytes()[:200]!r}", ended.problem())
