"""`--shots K` as a person uses it, with a run and with an untuned base model; see test_cli_compare.py for its rows."""

from __future__ import annotations

import json

import gpt2_shaped
import pytest
import torch

from arasuji import bases
from arasuji.corpus import Corpus
from arasuji.documents import drawn_shots
from arasuji.evaluation.rows import rows_of
from arasuji.runs import open_model


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """An untuned base model with GPT-2's shape, for whose context a few texts are short."""
    return gpt2_shaped.make(tmp_path_factory.mktemp("base"), layers=1, heads=2, width=8, positions=1024)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """Where answers are kept, for these tests alone."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases, "home", lambda: folder)
        yield folder


def ids_of(corpus, count: int, seed: int, tokenizer) -> list[str]:
    return [record.id for record in drawn_shots(Corpus.load(corpus).train, count, seed, tokenizer).records]


def test_evaluate_says_which_texts_stood_before_and_counts_none_of_them(arasuji_, run, corpus):
    plain, found = (arasuji_("evaluate", run, "--shots", count, "--json").json for count in (0, 3))
    tokenizer = open_model(str(run), torch.float32).tokenizer
    assert (plain["shots"], found["shots"]) == ([], ids_of(corpus, 3, 0, tokenizer))
    for key in ("documents", "bytes", "tokens"):
        assert found[key] == plain[key]
    assert found["bits_per_byte"] != plain["bits_per_byte"]
    assert arasuji_("evaluate", run, "--shots", 3, "--seed", 0, "--json").json == found
    other = arasuji_("evaluate", run, "--shots", 3, "--seed", 1, "--json").json
    assert other["shots"] == ids_of(corpus, 3, 1, tokenizer) != found["shots"]
    assert "each was scored after 3 texts of the training split" in arasuji_("evaluate", run, "--shots", 3).out


def test_an_untuned_base_takes_its_shots_from_the_corpus_that_is_named(arasuji_, base, corpus, tmp_path):
    found = arasuji_("evaluate", base, "--corpus", corpus, "--shots", 2, "--json").json
    assert len(found["shots"]) == 2
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "A baker finds a key."}) + "\n", "utf-8")
    some = ("evaluate", base, "--corpus", corpus, "--texts", tmp_path / "texts.jsonl", "--shots", 2, "--json")
    assert arasuji_(*some).json["shots"] == found["shots"]
    line = ("generate", base, "A baker", "--corpus", corpus, "--max-length", 5, "--json")
    assert arasuji_(*line, "--shots", 2).json["shots"] == found["shots"]


def test_generate_resumes_with_the_same_shots_only(arasuji_, run, corpus, tmp_path):
    path = tmp_path / "texts.jsonl"
    line = ("generate", run, "A baker", "-n", 2, "--max-length", 5)
    found = arasuji_(*line, "--shots", 4, "--out", path, "--json").json["shots"]
    whole = path.read_bytes()
    (shots,) = {str(json.loads(line)["shots"]) for line in whole.splitlines()}
    assert shots == str({"corpus": Corpus.load(corpus).hash, "ids": found})
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:1]))
    assert "line 1 has another 'shots'" in arasuji_(*line, "--shots", 3, "--out", path, "--resume").complaint
    assert arasuji_(*line, "--shots", 4, "--out", path, "--resume").code == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["evaluate", "BASE", "--texts", "TEXTS", "--shots", "1"], "knows no corpus: say --corpus DIR"),
        (["generate", "BASE", "--shots", "1"], "knows no corpus: say --corpus DIR"),
        (["evaluate", "RUN", "--shots", "2", "--split", "train"], "say another --split"),
        (["evaluate", "RUN", "--shots", "9999"], "9999 shots cannot be drawn"),
        (["evaluate", "MINI", "--shots", "2"], "asked for: 2, shots that fit: 0,"),
        (["compare", "RUN", "BASE", "--shots", "30", "--corpus", "CORPUS"], "asked for: 30, shots that fit: "),
        (["compare", "RUN", "MINI", "--shots", "1"], "for untuned base models, and none is named"),
        (["compare", "BASE", "--shots", "0", "--corpus", "CORPUS"], "one model is no comparison"),
    ],
)
def test_shots_that_cannot_be_are_refused_in_one_line(arasuji_, run, short_sighted, base, corpus, tmp_path, line, said):
    (tmp_path / "texts.txt").write_text("A baker finds a key.\n")
    names = {"RUN": run, "MINI": short_sighted, "BASE": base, "CORPUS": corpus, "TEXTS": tmp_path / "texts.txt"}
    assert said in arasuji_(*(names.get(word, word) for word in line)).complaint


def test_the_rows_with_shots_follow_their_base(run):
    rows = rows_of([str(run), "smollm2-135m", "gpt2"], [4, 0, 1, 4])
    expected = [(run.name, str(run), 0)]
    for base in ("smollm2-135m", "gpt2"):
        expected += [(base, base, 0), (f"{base} + 4 shots", base, 4), (f"{base} + 1 shot", base, 1)]
    assert rows == expected
