"""The parts of a file of prompts, written by calls of their own, are together what one call writes, to the byte."""

from __future__ import annotations

import json

import pytest

PROMPTS = ["In", "After", "A", "The girl", "x", "Once", "A man", "When it", "At"]
SETTINGS = ("-n", 2, "--seed", 7, "--max-length", 8, "--temperature", 1, "--allow-copying")


@pytest.fixture(params=[("run", "fp32"), ("run", "int8"), ("short_sighted", "fp32"), ("short_sighted", "int8")])
def model(request):
    """A run and a precision."""
    name, precision = request.param
    return request.getfixturevalue(name), "--precision", precision


@pytest.fixture
def write(arasuji_, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))

    def written(model, name, *more):
        out = tmp_path / name
        outcome = arasuji_(
            "generate", *model, "--prompts-file", tmp_path / "prompts.txt", *SETTINGS, "--out", out, *more
        )
        assert outcome.code == 0, outcome.err
        return out

    return written


def test_the_parts_one_after_the_other_are_the_texts_of_one_call(model, write):
    whole = write(model, "whole.jsonl")
    parts = [write(model, f"part{i}.jsonl", "--shard", f"{i}/4") for i in range(1, 5)]
    assert b"".join(part.read_bytes() for part in parts) == whole.read_bytes()
    assert all(part.stat().st_size for part in parts)


def test_a_part_that_was_cut_off_goes_on_where_it_ends(run, write):
    model = run, "--precision", "fp32"
    whole = write(model, "part.jsonl", "--shard", "2/3").read_bytes()
    lines = whole.splitlines(keepends=True)
    assert [json.loads(line)["seed"] for line in lines] == [13, 14, 15, 16, 17, 18]
    out = write(model, "part.jsonl", "--shard", "2/3", "--resume")
    assert out.read_bytes() == whole
    out.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    assert write(model, "part.jsonl", "--shard", "2/3", "--resume").read_bytes() == whole


def test_another_part_in_the_place_of_one_is_not_continued(arasuji_, run, write, tmp_path):
    out = write((run, "--precision", "fp32"), "part.jsonl", "--shard", "1/3")
    words = ("--prompts-file", tmp_path / "prompts.txt", *SETTINGS, "--precision", "fp32", "--shard", "2/3")
    outcome = arasuji_("generate", run, *words, "--out", out, "--resume")
    assert outcome.code == 2
    assert "line 1 has another 'prompt'" in outcome.complaint


def test_there_may_be_more_parts_than_prompts_and_some_are_empty_files(run, write):
    model = run, "--precision", "fp32"
    whole = write(model, "whole.txt")
    parts = [write(model, f"of12-{i}.txt", "--shard", f"{i}/12") for i in range(1, 13)]
    assert b"".join(part.read_bytes() for part in parts) == whole.read_bytes()
    assert sum(not part.stat().st_size for part in parts) == 12 - len(PROMPTS)


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "2", "a/b", "-1/4", ""])
def test_a_part_that_is_none_is_refused(arasuji_, run, tmp_path, shard):
    (tmp_path / "prompts.txt").write_text("In\n")
    outcome = arasuji_("generate", run, "--prompts-file", tmp_path / "prompts.txt", f"--shard={shard}")
    assert outcome.code == 2
    assert "say which part of how many" in outcome.complaint


def test_a_part_is_one_of_a_file(arasuji_, run):
    for words in ((run, "In"), (run,)):
        outcome = arasuji_("generate", *words, "--shard", "1/2")
        assert outcome.code == 2
        assert "say --prompts-file" in outcome.complaint
