"""What the command line tells a model of a text, and what it refuses to tell it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def told(arasuji_, corpus, tiny_settings, tmp_path_factory):
    """A run that can be told title, genres, year and type."""
    folder = tmp_path_factory.mktemp("runs") / "told"
    done = arasuji_(
        "train", "lstm-control", "--corpus", corpus, "--out", folder, "--max-steps", 30, *tiny_settings(), "--json"
    )
    assert done.code == 0, done.err
    return folder


def test_a_run_says_what_it_can_be_told(arasuji_, told):
    out = arasuji_("runs", told).out
    assert "title      anything" in out
    assert "Drama (" in out
    assert f"next       arasuji generate {told} --genre " in out
    assert all(len(line) <= 80 for line in out.splitlines() if str(told) not in line)


def test_what_is_told_changes_the_text_and_stands_beside_it(arasuji_, told):
    line = ("generate", told, "A", "-n", 8, "--temperature", 2, "--json")
    fields = ("--title", "The Keeper", "--genre", "drama", "--genre", "Sci-Fi", "--year", 2019, "--field", "type=TV")
    plain, with_fields = (arasuji_(*line, *more).json["samples"] for more in ((), fields))
    assert plain[0]["fields"] == {}
    assert with_fields[0]["fields"] == {
        "title": "The Keeper", "genres": ["Drama", "Sci-Fi"], "year": "2019", "type": "TV"
    }  # fmt: skip
    assert [sample["text"] for sample in plain] != [sample["text"] for sample in with_fields]


def test_each_line_of_a_jsonl_file_has_fields_of_its_own(arasuji_, told, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "A", "genres": ["Drama"]}\n{"title": "Lamp"}\n', "utf-8")
    line = ("generate", told, "--prompts-file", prompts, "-n", 2, "--year", 2019)
    found = arasuji_(*line, "--json").json["samples"]
    assert [(sample["prompt"], sample["fields"]) for sample in found[::2]] == [
        ("A", {"year": "2019", "genres": ["Drama"]}),
        ("", {"year": "2019", "title": "Lamp"}),
    ]
    out = tmp_path / "texts.jsonl"
    assert arasuji_(*line, "--out", out).code == 0
    whole = out.read_bytes()
    out.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert arasuji_(*line, "--out", out, "--resume").code == 0
    assert out.read_bytes() == whole
    assert [json.loads(text)["fields"] for text in whole.splitlines()] == [sample["fields"] for sample in found]


def test_bits_per_byte_are_of_what_the_model_is_told(arasuji_, told):
    score = {fields: arasuji_("evaluate", told, "--fields", fields, "--json").json for fields in ("all", "none")}
    assert score["all"]["bits_per_byte"] == arasuji_("evaluate", told, "--json").json["bits_per_byte"]
    assert score["all"]["bits_per_byte"] != score["none"]["bits_per_byte"]
    assert score["all"]["tokens"] == score["none"]["tokens"]  # the fields are not counted


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--genre", "Dramma"), "no training text has the genre 'Dramma'; did you mean Drama?"),
        (("--genre", "Drama", "--genre", "drama"), "the genre 'Drama' is given twice"),
        (("--title", " "), "title is empty"),
        (("--field", "studio=Lamp"), "cannot be told 'studio'"),
        (("--field", "studio"), "--field takes NAME=VALUE"),
        (("--year", 2019, "--field", "year=2020"), "the field 'year' is given twice"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(arasuji_, told, more, said):
    outcome = arasuji_("generate", told, *more)
    assert outcome.code == 2
    assert said in outcome.complaint


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "line 1 is not JSON"), ("[1]", "line 1: write an object"), ('{"prompt": 7}', "line 1: write an object")],
)
def test_a_jsonl_file_that_holds_no_prompts_is_refused_with_its_line(arasuji_, told, tmp_path, content, said):
    (tmp_path / "prompts.jsonl").write_text(content, "utf-8")
    assert said in arasuji_("generate", told, "--prompts-file", tmp_path / "prompts.jsonl").complaint


def test_a_run_without_fields_can_be_told_nothing(arasuji_, run):
    assert "was trained without fields" in arasuji_("generate", run, "--title", "The Keeper").complaint
    assert "was trained without fields" in arasuji_("evaluate", run, "--fields", "none").complaint


def test_any_genre_goes_on_with_one_that_no_training_text_has(arasuji_, told):
    found = arasuji_("generate", told, "--genre", "Noirish", "--any-genre", "--json").json["samples"][0]
    assert found["fields"] == {"genres": ["Noirish"]}
