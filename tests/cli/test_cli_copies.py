"""What `generate` says of copies, and what it does about them."""

from __future__ import annotations

import json
import shutil

import pytest

from arasuji.corpus import Corpus

GREEDY = ("--temperature", 0, "--max-length", 60)


@pytest.fixture(scope="module")
def parrot(arasuji_, corpus, tmp_path_factory):
    """A run that knows the training split by heart."""
    folder = tmp_path_factory.mktemp("runs") / "parrot"
    assert arasuji_("train", "ngram", "--corpus", corpus, "--out", folder, "--set", "order=7").code == 0
    return folder


def sample_of(outcome):
    assert outcome.code == 0, outcome.err
    return outcome.json["samples"][0]


def test_by_default_no_more_than_eight_words_in_a_row_are_copied(arasuji_, parrot):
    guarded = sample_of(arasuji_("generate", parrot, *GREEDY, "--json"))
    fewer = sample_of(arasuji_("generate", parrot, *GREEDY, "--json", "--longest-copy", 4))
    assert guarded["copied"]["words"] == 8
    assert fewer["copied"]["words"] == 4


def test_a_copy_is_shown_with_the_text_that_it_is_from(arasuji_, parrot, corpus):
    outcome = arasuji_("generate", parrot, *GREEDY, "--json", "--allow-copying")
    sample = sample_of(outcome)
    found, nearest = sample["copied"], sample["nearest"]
    source = next(record for record in Corpus.load(corpus).train if record.id == found["of"]["id"])
    assert found["words"] > 13
    assert found["text"] == sample["text"][found["start"] : found["end"]]
    assert " ".join(found["text"].split()) in " ".join(source.text.split())
    assert found["of"]["title"] == source.metadata["title"]
    assert nearest["of"] == found["of"]
    assert f"copied     {found['words']} words, at most: “" in outcome.err
    assert f"({source.metadata['title']})" in outcome.err


def test_where_the_corpus_is_gone_one_line_says_that_copies_are_not_looked_for(arasuji_, corpus, parrot, tmp_path):
    shutil.copytree(parrot, tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    manifest["corpus"]["folder"] = str(tmp_path / "gone")
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    outcome = arasuji_("generate", tmp_path / "run", *GREEDY, "--json")
    assert "copied" not in sample_of(outcome)
    assert outcome.err.count("copies of training texts are neither avoided nor found") == 1
    found = arasuji_("generate", tmp_path / "run", *GREEDY, "--json", "--corpus", corpus)
    assert sample_of(found)["copied"]["words"] == 8
    assert "neither" not in found.err


def test_a_file_is_continued_with_the_same_guard_only(arasuji_, parrot, tmp_path):
    line = ("generate", parrot, "A baker", "--max-length", 20, "--out", tmp_path / "texts.jsonl")
    assert arasuji_(*line).code == 0
    assert arasuji_(*line, "-n", 2, "--resume").code == 0
    outcome = arasuji_(*line, "-n", 3, "--resume", "--longest-copy", 5)
    assert (outcome.code, "has another 'copying'" in outcome.complaint) == (2, True)
    assert arasuji_(*line[:-1], tmp_path / "whole.jsonl", "-n", 2).code == 0
    assert (tmp_path / "texts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
