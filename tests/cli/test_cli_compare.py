"""`arasuji compare` as a person uses it: two small models, one page, and the same page again from its figures."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

import gpt2_shaped
import pytest

from arasuji import bases
from arasuji.evaluation import obedience
from arasuji.evaluation.examine import Job, examine

pytestmark = pytest.mark.slow

KEYS = {
    "models": {
        "name",
        "family",
        "parameters",
        "bits_per_byte",
        "low",
        "high",
        "charge",
        "samples",
        "originality",
        "cost",
    },
    "pairs": {"a", "b", "difference", "low", "high", "verdict"},
}


@pytest.fixture(scope="module")
def mini(arasuji_, corpus, tmp_path_factory):
    """A run of one step of gpt2-mini, for whose context the beginnings of texts are short."""
    folder = tmp_path_factory.mktemp("runs") / "mini"
    small = ("size=300", "layers=1", "heads=2", "width=16", "context_length=96", "validation_documents=4")
    small += ("train.max_length=96",)
    changes = [word for setting in small for word in ("--set", setting)]
    outcome = arasuji_("train", "gpt2-mini", "--corpus", corpus, "--out", folder, "--max-steps", 1, *changes)
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(scope="module")
def words(arasuji_, corpus, tmp_path_factory):
    """A run of one step of the article's LSTM, whose tokens are words."""
    folder = tmp_path_factory.mktemp("runs") / "words"
    small = ("embedding=8", "hidden=8", "layers=1", "validation_documents=4")
    changes = [word for setting in small for word in ("--set", setting)]
    outcome = arasuji_("train", "lstm-article", "--corpus", corpus, "--out", folder, "--max-steps", 1, *changes)
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A base model that reads, quickly and badly."""
    return gpt2_shaped.make(tmp_path_factory.mktemp("reader") / "base", **gpt2_shaped.TINY | {"positions": 256})


@pytest.fixture(scope="module")
def asked(words, mini, reader):
    few = ("--samples", "30", "--seeds", "1", "--documents", "1000", "--seed", "5")
    return ["compare", words, mini, "--reader", reader, *few]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where answers are kept, for these tests alone; without the pretrained model that reads by default."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases, "home", lambda: folder)
        patch.setattr(bases, "_gguf", lambda base: None)
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
        yield folder


@pytest.fixture(scope="module")
def compared(arasuji_, asked, home, tmp_path_factory):
    page = tmp_path_factory.mktemp("pages") / "report.html"
    return arasuji_(*asked, "--out", page, "--json"), page


def test_the_report_has_its_keys_and_says_what_it_depends_on(compared, prepared):
    report = compared[0].json
    assert [model["name"] for model in report["models"]] == ["words", "mini"]
    for model in report["models"]:
        assert model.keys() >= KEYS["models"]
        assert model["low"] < model["bits_per_byte"] < model["high"]
        assert {"longest_words", "share_8gram"} <= model["originality"].keys()
        assert model["cost"]["memory_bytes"] > 0
    word_model, lossless = report["models"]
    assert word_model["charge"] > 0.1
    assert lossless["charge"] == 0
    assert [pair.keys() for pair in report["pairs"]] == [KEYS["pairs"]]
    assert report["meta"]["corpus"] == prepared[1].json["hash"]
    assert report["meta"]["documents"] == prepared[1].json["documents"]["test"] < 1000
    assert "--samples 30 --seeds 1 --documents 1000 --seed 5" in report["meta"]["command"]
    assert report["meta"]["without_judge"] == ""


def test_texts_are_judged_by_the_reader_that_was_named_beside_as_many_real_ones(compared, reader):
    report = compared[0].json
    count = sum(report["meta"]["real_texts"].values())
    judged, too_short = (model["samples"]["judge"] for model in report["models"])
    assert (judged["reader"], judged["texts"]) == (str(reader), count)
    assert judged["low"] <= judged["accuracy"] <= judged["high"]
    assert judged["auroc_low"] <= judged["auroc"] <= judged["auroc_high"]
    assert 0 <= judged["words_accuracy"] <= 1
    assert 0 < judged["mauve"] <= 1
    assert len(judged["telling"]) == 10
    assert all(text["start"] < text["end"] <= len(text["text"]) for text in judged["telling"])
    assert too_short is None
    real = report["real"]["samples"]["judge"]
    assert real["low"] <= 0.5 <= real["high"]


def test_a_run_that_can_be_told_genres_is_measured_by_them_and_others_are_not(
    arasuji_, words, corpus, asked, compared, home, tmp_path, monkeypatch
):
    assert compared[0].json["genres"] == []
    assert all(model["obedience"] is None for model in compared[0].json["models"])
    monkeypatch.setattr(obedience, "LEAST_AUROC", 0)
    small = ("size=300", "embedding=8", "hidden=8", "validation_documents=4")
    changes = [word for setting in small for word in ("--set", setting)]
    told = tmp_path / "told"
    assert arasuji_("train", "lstm-control", "--corpus", corpus, "--out", told, "--max-steps", 1, *changes).code == 0
    report = arasuji_("compare", words, told, *asked[3:], "--json").json
    untold, obeyed = (model["obedience"] for model in report["models"])
    assert untold is None
    assert obeyed["texts"] == 30
    assert len(report["genres"]) == len(obeyed["genres"]) == len(report["real"]["obedience"]["genres"]) > 0
    (tmp_path / "report.json").write_text(json.dumps(report), "utf-8")
    shown = arasuji_("compare", "--from", tmp_path / "report.json", "--out", tmp_path / "page.html").out
    assert f"the median of {len(report['genres'])} genres" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert 'id="obedience"' in (tmp_path / "page.html").read_text("utf-8")


def test_a_reader_that_is_not_on_this_machine_is_not_fetched_and_its_command_is_named(arasuji_, asked, home):
    at = asked.index("--reader")
    report = arasuji_(*asked[:at], *asked[at + 2 :], "--json").json
    assert "`arasuji models get smollm2-135m`" in report["meta"]["without_judge"]
    assert all(model["samples"]["judge"] is None for model in report["models"])
    named = arasuji_(*asked[: at + 1], "smollm2-135m", *asked[at + 2 :])
    assert "arasuji models get smollm2-135m" in named.complaint


def test_the_bits_are_those_of_evaluate_where_the_documents_are_the_same(arasuji_, words, mini, compared):
    for model, folder in zip(compared[0].json["models"], (words, mini), strict=True):
        alone = arasuji_("evaluate", folder, "--json").json
        for key in ("bits_per_byte", "low", "high", "charge"):
            assert model[key] == pytest.approx(alone[key], rel=1e-3)


def test_a_second_run_asks_no_model_and_says_the_same(arasuji_, asked, compared, home, monkeypatch):
    def refused(*_):
        raise AssertionError("a model was asked again")

    monkeypatch.setattr("arasuji.evaluation.ask._process", refused)
    first, again = compared[0].json, arasuji_(*asked, "--json").json
    for report in (first, again):
        for model in report["models"]:
            model["cost"].pop("from_cache")
        report["meta"].pop("command")
    assert again == first


def test_an_untuned_base_with_shots_is_a_row_of_its_own(arasuji_, corpus, home, tmp_path, monkeypatch):
    monkeypatch.setattr("arasuji.evaluation.ask._process", lambda name, job: examine(name, Job(**job)))
    base = gpt2_shaped.make(tmp_path / "base", layers=1, heads=2, width=8, positions=1024)
    asked = ["compare", base, "--corpus", corpus, "--samples", 2, "--seeds", 2, "--documents", 2, "--seed", 2]
    asked += ["--shots", 2]
    report = arasuji_(*asked, "--json").json
    plain, few_shot = report["models"]
    assert (plain["name"], few_shot["name"]) == (str(base), f"{base} + 2 shots")
    assert few_shot["bits_per_byte"] != plain["bits_per_byte"]
    for key in ("bytes", "tokens"):
        assert few_shot["documents"][key] == plain["documents"][key]
    assert (plain["shots"], len(few_shot["shots"])) == ([], 2)
    assert "--shots 2" in report["meta"]["command"]
    (tmp_path / "report.json").write_text(json.dumps(report), "utf-8")
    shown = arasuji_("compare", "--from", tmp_path / "report.json").out
    assert "it was not trained on them" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_a_single_document_has_no_interval(arasuji_, words, mini, home):
    few = ["compare", words, mini, "--samples", "20", "--seeds", "1", "--documents", "1"]
    report = arasuji_(*few, "--json").json
    assert report["meta"]["documents"] == 1
    for part in (*report["models"], *report["pairs"]):
        assert (part["low"], part["high"]) == (None, None)
    rows = [line.split() for line in arasuji_(*few).out.splitlines()]
    assert [row[2] for row in rows if row[:1] in (["words"], ["mini"])][:2] == ["-", "-"]


def test_the_page_is_made_again_from_the_figures(arasuji_, compared, tmp_path):
    outcome, page = compared
    figures = tmp_path / "report.json"
    figures.write_text(outcome.out, "utf-8")
    shown = arasuji_("compare", "--from", figures, "--out", tmp_path / "again.html")
    assert shown.code == 0
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_process_that_dies_leaves_a_line_and_nothing_that_is_taken_for_an_answer(arasuji_, asked, home, monkeypatch):
    before = sorted(home.rglob("*.json"))
    dying = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: real(dying, **options))
    assert "ended (-9)" in arasuji_(*asked[:-1], 99).complaint
    assert sorted(home.rglob("*.json")) == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["compare"], "name the runs"),
        (["compare", "RUN"], "one model is no comparison"),
        (["compare", "RUN", "RUN"], "named twice"),
        (["compare", "RUN", "RUN/"], "named twice"),
        (["compare", "RUN", "RUNx"], "no run "),
        (["compare", "RUN", "--from", "report.json"], "not both"),
        (["compare", "--from", "missing.json"], "missing.json"),
        (["compare", "RUN", "gpt9000"], "gpt9000"),
        (["compare", "RUN", "smollm2-135m", "--corpus", "nowhere"], "no corpus at nowhere"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(arasuji_, run, line, said):
    assert said in arasuji_(*[word.replace("RUN", str(run)) for word in line]).complaint


def test_a_run_without_a_model_is_refused_before_any_model_is_asked(arasuji_, run, tmp_path):
    unfinished = tmp_path / "unfinished"
    shutil.copytree(run, unfinished)
    shutil.rmtree(unfinished / "best")
    assert "no best model yet" in arasuji_("compare", run, unfinished).complaint


def test_a_report_that_is_none_is_refused(arasuji_, tmp_path):
    for content in ("{}", "[]", "nothing", json.dumps({"models": []}), "[" * 10_000):
        (tmp_path / "a.json").write_text(content, "utf-8")
        assert "is not a whole report" in arasuji_("compare", "--from", tmp_path / "a.json").complaint


def test_a_report_of_another_version_is_refused_and_says_what_to_do(arasuji_, compared, tmp_path):
    report = compared[0].json
    report["meta"]["layout"] -= 1
    del report["meta"]["machine"]
    (tmp_path / "a.json").write_text(json.dumps(report), "utf-8")
    assert "compare the models again" in arasuji_("compare", "--from", tmp_path / "a.json").complaint


def places(value, path=()):
    """Where each part of nested JSON stands."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def test_a_report_that_somebody_has_changed_is_shown_or_refused_in_one_line(arasuji_, compared, tmp_path):
    whole = compared[0].json
    below = [path for path in places(whole) if not any(isinstance(key, int) and key > 1 for key in path)]
    refused = 0
    for number, path in enumerate(random.Random(0).sample(below, 60)):
        report = json.loads(json.dumps(whole))
        within = report
        for key in path[:-1]:
            within = within[key]
        within[path[-1]] = [None, [], {}, "x", -5, 1e308][number % 6]
        (tmp_path / "report.json").write_text(json.dumps(report), "utf-8")
        more = ["--out", tmp_path / "page.html"] if number < 6 else []
        outcome = arasuji_("compare", "--from", tmp_path / "report.json", *more)
        refused += outcome.code == 2
        if outcome.code:
            assert "report" in outcome.complaint
    assert refused > 5


def test_runs_of_different_corpora_are_refused(arasuji_, run, starter, tmp_path, tiny_settings):
    other = tmp_path / "corpus"
    arasuji_("prepare", starter, "--out", other, "--seed", "9")
    arasuji_("train", "lstm-small", "--corpus", other, "--out", tmp_path / "run", "--max-steps", "1", *tiny_settings())
    assert "another corpus" in arasuji_("compare", run, tmp_path / "run").complaint
