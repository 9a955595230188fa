"""Texts and names that are weapons (see payloads.py), on the terminal, in files for other programs, and in TOML."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import httpx
import pytest
from hard.payloads import NAMES, PAYLOADS
from studio.conftest import Server

from arasuji.corpus.clean import as_toml
from arasuji.speech import OBEYED, shown

PAYLOAD = "PAYLOAD"
VERBS = [
    ["PAYLOAD"],
    ["--PAYLOAD"],
    ["prepare", "PAYLOAD", "--out", "new"],
    ["prepare", "texts.csv", "--out", "new", "--text-column=PAYLOAD"],
    ["prepare", "texts.csv", "--out", "new", "--rules=PAYLOAD"],
    ["prepare", "texts.csv", "--out", "new", "--seed=PAYLOAD"],
    ["inspect", "./PAYLOAD"],
    ["inspect", "texts.csv", "--title-column=PAYLOAD"],
    ["train", "PAYLOAD", "--corpus", "corpus", "--out", "new"],
    ["train", "ngram", "--corpus", "./PAYLOAD", "--out", "new"],
    ["train", "ngram", "--corpus", "corpus", "--out", "new", "--set", "PAYLOAD"],
    ["train", "ngram", "--corpus", "corpus", "--out", "new", "--set", "model.PAYLOAD=1"],
    ["train", "ngram", "--corpus", "corpus", "--out", "new", "--set", "tokenizer.size=PAYLOAD"],
    ["runs", "./PAYLOAD"],
    ["generate", "./PAYLOAD", "After"],
    ["generate", "run", "PAYLOAD", "--max-length", "3"],
    ["generate", "run", "PAYLOAD", "--max-length", "3", "--json"],
    ["generate", "run", "After", "--max-length", "3", "--without", "PAYLOAD"],
    ["generate", "run", "After", "--genre", "PAYLOAD"],
    ["generate", "run", "After", "--field", "PAYLOAD"],
    ["generate", "run", "After", "--out", "PAYLOAD.jsonl", "--max-length", "3"],
    ["generate", "run", "--prompts", "./PAYLOAD"],
    ["evaluate", "run", "--texts", "./PAYLOAD"],
    ["compare", "run", "./PAYLOAD"],
    ["compare", "--from", "./PAYLOAD", "--out", "x.html"],
    ["export", "run", "--to", "PAYLOAD", "--out", "new"],
    ["models", "get", "PAYLOAD"],
    ["serve", "--host", "PAYLOAD"],
]  # fmt: skip
"""Where a payload stands among the arguments of the command line."""
EVERYWHERE = 2
"""In so many of these places, of all, each payload is tried."""


def obeyed(ended) -> str:
    """What a terminal would obey of what was printed; empty where it is nothing."""
    found = OBEYED.search(ended.out + ended.err)
    return (
        f"a terminal obeys {found[0]!a} in {found.string[max(0, found.start() - 60) : found.end() + 20]!a}"
        if found
        else ""
    )


@pytest.fixture(scope="session")
def folder(runs: Path, corpus: Path, tmp_path_factory) -> Path:
    """Where the verbs run: with a run, a corpus and a table."""
    folder = tmp_path_factory.mktemp("payloads")
    shutil.copytree(runs / "ngram", folder / "run")
    shutil.copytree(corpus, folder / "corpus")
    with (folder / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["title", "text"], *([f"T{i}", f"A story {i} of a baker. " * 9] for i in range(30))]
        )
    return folder


def test_no_argument_commands_the_terminal(zygote, folder, cases):
    """A name, option or prompt that holds escape sequences or markup is printed as text; an error is one line."""
    every = [
        (payload, VERBS[(number + turn * 11) % len(VERBS)])
        for turn in range(EVERYWHERE)
        for number, payload in enumerate(PAYLOADS)
        if "\0" not in payload  # the system passes no such argument
    ]
    for payload, verb in cases(every):
        place = folder / "here"
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns("here"), copy_function=os.link)
        ended = zygote.run([word.replace(PAYLOAD, payload) for word in verb], cwd=place)
        ran = "a shell has run it" if (place / "ran").exists() else ""
        cases.saw((verb, ascii(payload)[:100]), ended.problem() or obeyed(ended) or ran)
        shutil.rmtree(place)


def rows(payloads: list[str]) -> list[dict[str, object]]:
    """Texts with a payload in each of their parts."""
    return [
        {
            "title": f"{payload} {number}",
            "genres": [payload, "Drama"],
            "year": 1990 + number % 20,
            "synopsis": f"{payload} is what story {number} begins with, and it goes on for {number} words, {payload} "
            f"among them, until number {number * 7} of the ships comes back to the harbour, and says {payload}",
        }
        for number, payload in enumerate(payloads)
    ]


def test_no_text_commands_the_terminal(zygote, cases, tmp_path):
    """Payloads in titles, genres, texts and names of columns are printed as text by prepare, inspect and evaluate."""
    payloads = cases(PAYLOADS)
    (tmp_path / "none.toml").write_text("description = 'no rule'\n")
    (tmp_path / "texts.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows(payloads * (1 + 40 // len(payloads))))
    )
    names = [payload for payload in payloads if payload.strip()]
    with (tmp_path / "columns.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *([f"{row}"] * len(names) for row in range(40))])
    with (tmp_path / "one.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["synopsis", "title"], *([row["synopsis"], row["title"]] for row in rows(payloads))]
        )
    for verb in (
        ["prepare", "texts.jsonl", "--out", "corpus"],
        ["prepare", "texts.jsonl", "--out", "raw", "--rules", "none.toml"],
        ["inspect", "texts.jsonl", "--out", "page.html"],
        ["inspect", "texts.jsonl", "--json"],
        ["inspect", "raw"],
        ["inspect", "columns.csv"],
        ["prepare", "columns.csv", "--out", "x"],
        ["prepare", "columns.csv", "--out", "x", "--text-column", names[0]],
        ["prepare", "one.csv", "--out", "y"],
        ["train", "ngram", "--corpus", "raw", "--out", "run", "--set", "tokenizer.size=400"],
        ["generate", "run", "After", "-n", "3", "--max-length", "100"],
        ["generate", "run", payloads[0], "-n", "3", "--json", "--max-length", "100"],
        ["evaluate", "run"],
        ["evaluate", "run", "--texts", "one.csv"],
        ["runs", "run"],
    ):
        ended = zygote.run(verb, cwd=tmp_path, seconds=120)
        problem = ended.problem() or obeyed(ended)
        if not problem and "--json" in verb:
            json.loads(ended.out)
        cases.saw((verb, [ascii(payload)[:30] for payload in payloads[:20]]), problem)


def test_a_text_is_kept_as_it_is(zygote, cases, tmp_path):
    """What is prepared without rules, told as JSON or exported as JSONL is the text, letter by letter."""
    payloads = [payload for payload in cases(PAYLOADS) if payload.strip()]
    found = {f"t{number}": f"{payload} {number}" for number, payload in enumerate(payloads)}
    (tmp_path / "none.toml").write_text("description = 'no rule'\n")
    told = [{"title": f"Title {title}", "synopsis": text} for title, text in found.items()]
    told += [{"title": f"Other {number}", "synopsis": f"Another text, number {number}."} for number in range(40)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    ended = zygote.run(["prepare", "texts.jsonl", "--out", "raw", "--rules", "none.toml"], cwd=tmp_path, seconds=60)
    assert ended.code == 0, ended.err
    kept = [
        json.loads(line)
        for split in ("train", "validation", "test")
        for line in (tmp_path / "raw" / f"{split}.jsonl").open()
    ]
    texts = {str(record["metadata"]["title"]).removeprefix("Title "): record["text"] for record in kept}
    for name, text in found.items():
        cases.saw(ascii(text), "" if texts.get(name) == text else f"kept as {texts.get(name)!a}")


def test_the_names_of_runs_command_no_terminal(zygote, runs, cases, tmp_path):
    """Runs whose folder, preset and fields are named by payloads are listed as text."""
    names = cases(NAMES)
    for name in names:
        shutil.copytree(runs / "ngram", tmp_path / "runs" / name, copy_function=os.link)
    for number, name in enumerate(names):
        place = tmp_path / "runs" / name / "manifest.json"
        manifest = json.loads(place.read_text()) | {"name": PAYLOADS[number % len(PAYLOADS)]}
        place.unlink()
        place.write_text(json.dumps(manifest))
    ended = zygote.run(["runs", tmp_path / "runs"], seconds=60)
    cases.saw("all", ended.problem() or obeyed(ended) or ("" if ended.code == 0 else ended.err))
    for name in names:
        word = shown(name).replace("\n", "\\n").split()[0][:6]
        cases.saw(ascii(name), "" if word in ended.out else f"it is not listed: {word!a}")
    sizes = [line for line in ended.out.split("\n") if line.rstrip().endswith((" kB", " MB"))]
    cases.saw("a line each", "" if len(sizes) == len(names) else f"{len(sizes)} lines for {len(names)} runs")


FORMULAS = re.compile(r"[=+\-@\t\r\n＝＋－＠]")


def test_no_cell_of_an_export_is_computed(runs, cases, tmp_path):
    """In the CSV of the desk no cell begins a formula; JSONL and plain text hold what was kept, letter by letter."""
    payloads = cases(PAYLOADS)
    with Server(tmp_path / "runs") as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for payload in payloads:
            about = {"fields": {"title": payload, "genres": [payload, payload]}}
            kept = {"text": payload, "run": payload[:300], "about": about}
            assert client.post("/api/desk", json=kept).status_code == 201, ascii(payload)
        table, lines, plain = (
            client.get("/api/desk/export", params={"format": kind}).content for kind in ("csv", "jsonl", "txt")
        )
    found = list(csv.reader(io.StringIO(table.decode(), newline="")))[1:]
    objects = [json.loads(line) for line in lines.decode().split("\n")[:-1]]
    assert len(found) == len(objects) == len(payloads)
    for payload, cells, row in zip(payloads, found, objects, strict=True):
        problem = next((f"the cell {cell!a}" for cell in cells if FORMULAS.match(cell)), "")
        if (row["synopsis"], row["title"], row["genres"]) != (payload, payload, [payload, payload]):
            problem = f"it is kept as {row!a}"
        elif cells[2].removeprefix("'") != payload.removeprefix("'"):
            problem = f"its cell is {cells[2]!a}"
        elif payload.strip().encode() not in plain:
            problem = "it is not in the plain text"
        cases.saw(ascii(payload), problem)
    for line in re.split(r"\r\n(?=\")", table.decode()):  # also where a spreadsheet takes ; or a tab for the delimiter
        cases.saw(ascii(line[:50]), "" if line.startswith(('"', "title")) else "a cell without quotation marks")


def test_no_value_breaks_out_of_its_toml(cases):
    """A rule's parameters that hold quotation marks or line ends are read back from their TOML as they were."""
    for payload in cases(PAYLOADS):
        table = {"name": "phrase", "phrase": payload, "words": [payload, payload * 50]}
        try:
            read = tomllib.loads(as_toml(table))
        except tomllib.TOMLDecodeError as error:
            cases.saw(ascii(payload), str(error))
            continue
        cases.saw(ascii(payload), "" if read["rule"] == [table] else f"read as {read!a}")
