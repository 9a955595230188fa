"""What a stranger's files say is shown and not obeyed, and what is damaged in them is one line."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

from arasuji.cli.shown import in_json
from arasuji.speech import shown

ESCAPES = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202egnp.exe\u2066\r\x7f\x00"
OBEYED = [*map(chr, (*range(9), *range(11, 32), *range(127, 160))), *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069"]


def plain(outcome) -> str:
    text = outcome.out + outcome.err
    assert not set(text) & set(OBEYED), ascii(text)
    return text


def test_every_control_character_is_shown_and_no_other_one_is_touched():
    assert not any(set(shown(letter)) & set(OBEYED) for letter in OBEYED)
    assert shown("\x1b[31m \x9b \u202e") == "\\x1b[31m \\x9b \\u202e"
    text = "a\tb\nc 日本 émile \u200f שלום \U0001f600 \\x1b"
    assert shown(text) == text
    assert json.loads(in_json(json.dumps({"text": ESCAPES}, ensure_ascii=False)))["text"] == ESCAPES


def test_a_column_is_named_without_its_escape_sequences(arasuji_, tmp_path):
    (tmp_path / "bad.csv").write_text("serial\x1b]0;owned\x07\u202e,b\n1,2\n")
    outcome = arasuji_("prepare", tmp_path / "bad.csv", "--out", tmp_path / "x")
    assert "\\x1b]0;owned\\x07\\u202e" in plain(outcome)


def test_texts_are_shown_by_the_doctor_and_in_examples(arasuji_, starter, tmp_path):
    rows = [json.loads(line) for line in starter.read_text("utf-8").splitlines()]
    for row in rows:
        row["synopsis"] = "After\x1b]0;owned\x07 <b>years</b>\x9b2J: " + row["synopsis"]
        row["title"] += "\x1b[2J"
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows[:5]]))
    assert "repeats" in plain(arasuji_("inspect", tmp_path / "texts.jsonl"))
    assert "One example" in plain(arasuji_("prepare", tmp_path / "texts.jsonl", "--out", tmp_path / "x"))


def test_prompts_are_shown_on_the_terminal_and_kept_in_json_and_files(arasuji_, run, tmp_path):
    prompt = "After\x9b]0;owned\x07 years\u202e"  # BEL becomes a space, as the default rules make it in texts
    assert "After\\x9b]0;owned years\\u202e" in plain(arasuji_("generate", run, prompt))
    outcome = arasuji_("generate", run, prompt, "--json", "--out", tmp_path / "texts.jsonl")
    plain(outcome)
    assert outcome.json["samples"][0]["prompt"] == prompt
    assert json.loads((tmp_path / "texts.jsonl").read_text())["prompt"] == prompt


def test_the_names_of_runs_are_shown(arasuji_, run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "runs" / "a\x1b[31m")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": "n\x07\u202e"}))
    assert "a\\x1b[31m" in plain(arasuji_("runs", tmp_path / "runs"))
    assert "\\x1b" in plain(arasuji_("generate", tmp_path / "no\x1b[31m" / "run"))
    assert "\\x1b" in plain(arasuji_("generate", folder, "--no-such\x1b[31m"))


def test_streams_are_as_before_after_a_verb(arasuji_):
    before = sys.stdout, sys.stderr
    arasuji_("presets")
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.timeout(60)
def test_runs_are_listed_whatever_lies_beside_them(arasuji_, run, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(run, folder / "whole")
    for name in ("pipe", "zero", "nested", "list", "link", "odd"):
        (folder / name).mkdir()
    os.mkfifo(folder / "pipe" / "manifest.json")
    (folder / "zero" / "manifest.json").symlink_to("/dev/zero")
    (folder / "nested" / "manifest.json").write_text("[" * 100_000)
    (folder / "list" / "manifest.json").write_text("[5]")
    (folder / "link" / "manifest.json").symlink_to(run / "manifest.json")
    (folder / "odd" / "manifest.json").write_text(json.dumps({"experiment": 5, "name": None}))
    outcome = arasuji_("runs", folder)
    assert outcome.code == 0
    assert {line.split()[0] for line in outcome.out.splitlines() if "damaged" in line} == {"nested", "odd"}
    assert "whole" in outcome.out


# Files that a person is given


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 20_000) + " = 1",
        "[" + ".".join(["a"] * 20_000) + "]",
        "x = {" + ".".join(["a"] * 20_000) + " = 1}",
        " . ".join(['"a"'] * 20_000) + " = 1",
        "x = " + "[" * 100_000,
        "x = " + "{a=" * 100_000,
        "x = 1\n" * 200_000,
    ],
    ids=["keys", "table", "inline", "quoted", "lists", "tables", "large"],
)
def test_toml_that_is_nested_too_deep_is_one_line_at_once(arasuji_, corpus, starter, tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    trained = arasuji_("train", tmp_path / "a.toml", "--corpus", corpus, "--out", tmp_path / "r")
    assert "a.toml" in trained.complaint
    prepared = arasuji_("prepare", starter, "--rules", tmp_path / "a.toml", "--out", tmp_path / "c")
    assert "a.toml" in prepared.complaint


def test_dots_in_values_and_comments_are_no_nesting(arasuji_, starter, tmp_path):
    dots = ".".join(["word"] * 20)
    (tmp_path / "a.toml").write_text(f"# {'.' * 200}\ndescription = '{dots} {dots}...'\n[[rule]]\nname = 'spaces'\n")
    outcome = arasuji_("prepare", starter, "--rules", tmp_path / "a.toml", "--out", tmp_path / "c")
    assert outcome.code == 0 or ("nested" not in outcome.err and "within" not in outcome.err), outcome.err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["source", "corpus manifest", "corpus split"])
def test_a_corpus_with_a_pipe_in_it_is_not_waited_for(arasuji_, corpus, run, tmp_path, name):
    folder = shutil.copytree(corpus, tmp_path / "corpus")
    place = folder / ("manifest.json" if name == "corpus manifest" else "train.jsonl")
    place.unlink()
    os.mkfifo(place)
    if name == "corpus split":
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["files"]["train.jsonl"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
    assert arasuji_("train", "lstm-small", "--corpus", folder, "--out", tmp_path / "r").complaint
