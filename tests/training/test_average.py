"""The mean of fine-tuned runs is a run with the mean of their weights, and runs that have none are refused."""

from __future__ import annotations

import json
import shutil

import gpt2_shaped
import pytest
import torch
from tiny_presets import small

from arasuji import api
from arasuji.corpus import Corpus
from arasuji.errors import ArasujiError, OptionError, RunError
from arasuji.runs import RunDirectory

pytestmark = pytest.mark.slow

STEPS = 4
SETTINGS = ("batch_size=4", "train.max_length=30", "validation_documents=4", "learning_rate=3e-2")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return gpt2_shaped.make(tmp_path_factory.mktemp("base") / "gpt2", **gpt2_shaped.TINY)


@pytest.fixture(scope="module")
def runs(base, corpus, tmp_path_factory):
    """A LoRA, another one, and one with all weights. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, more in {"a": ["seed=0"], "b": ["seed=1"], "c": ["lora_rank=0", "learning_rate=1e-3"]}.items():
        api.train("pretrained-lora", corpus, folder / name, None, STEPS, settings=[f"base={base}", *SETTINGS, *more])
    return [folder / name for name in "abc"]


def weights(run):
    return dict(RunDirectory(run).load_best(torch.float32).model.named_parameters())


def test_the_weights_are_the_mean_of_those_of_the_runs(runs, tmp_path):
    made = api.average(runs, tmp_path / "mean")
    each, mean = [weights(run) for run in runs], weights(made.path)
    for name, parameter in mean.items():
        expected = sum(own[name] for own in each) / len(runs)
        torch.testing.assert_close(parameter, expected, atol=0, rtol=2**-8)  # it is saved in 16 bits
    assert any(not torch.equal(each[0][name], each[1][name]) for name in mean)


def test_it_is_a_run_that_writes_and_is_scored_and_costs_what_all_have_cost(runs, corpus, tmp_path):
    made = api.average(runs[:2], tmp_path / "mean")
    (line,) = made.history()
    first = [RunDirectory(run).history()[-1] for run in runs[:2]]
    assert (line["step"], line["tokens"]) == (2 * STEPS, sum(end["tokens"] for end in first))
    records = Corpus.load(corpus).validation
    found = api.evaluate(made, [r.text for r in records])
    assert found.bits_per_byte == pytest.approx(line["bits_per_byte"], rel=0.2)  # of other records, as many as it has
    assert api.load(made).facts["bits_per_byte"] == line["bits_per_byte"]
    assert next(api.generate(made, "A baker", seed=1)).text
    assert made.facts.averaged == [str(run) for run in runs[:2]]


def test_a_run_without_its_log_costs_nothing_that_is_known(runs, tmp_path):
    shutil.copytree(runs[0], tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    (line,) = api.average([tmp_path / "run", runs[1]], tmp_path / "mean").history()
    last = RunDirectory(runs[1]).history()[-1]
    assert (line["step"], line["tokens"]) == (last["step"], last["tokens"])
    RunDirectory(tmp_path / "run").log(tmp_path / "run" / "metrics.jsonl", {"step": STEPS, "bits_per_byte": 2.0})
    assert api.average([tmp_path / "run", runs[1]], tmp_path / "other").history()[0]["tokens"] == last["tokens"]


def test_a_mean_is_not_trained_further(runs, corpus, base, tmp_path):
    api.average(runs[:2], tmp_path / "mean")
    with pytest.raises(RunError, match="a mean of other runs"):
        api.train("pretrained-lora", corpus, tmp_path / "mean", None, STEPS, True, settings=[f"base={base}", *SETTINGS])


def test_runs_that_have_no_mean_are_refused_in_one_line_and_nothing_is_left(runs, corpus, tmp_path):
    api.train(small("gpt2-mini"), corpus, tmp_path / "new", max_steps=2)
    other = gpt2_shaped.make(tmp_path / "other base", **gpt2_shaped.TINY | {"layers": 1})
    settings = [f"base={other}", *SETTINGS]
    api.train("pretrained-lora", corpus, tmp_path / "other", None, 2, settings=settings)
    for some, said in {
        (runs[0],): "two runs or more",
        (runs[0], runs[0]): "each named once",
        (tmp_path / "new", runs[0]): "trained from nothing",
        (runs[0], tmp_path / "new"): "another base or has other tokens",
        (runs[0], tmp_path / "other"): "another base or has other tokens",
        (runs[0], tmp_path / "missing"): "missing",
    }.items():
        with pytest.raises(ArasujiError, match=said) as caught:
            api.average(some, tmp_path / "mean")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "mean").exists()
    with pytest.raises(RunError, match="exists already"):
        api.average(runs[:2], runs[2])


def test_a_run_of_another_corpus_is_refused(runs, corpus, tmp_path):
    shutil.copytree(runs[1], tmp_path / "moved")
    manifest = json.loads((tmp_path / "moved/manifest.json").read_text())
    manifest["corpus"]["hash"] = "0" * 64
    (tmp_path / "moved/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OptionError, match="another corpus"):
        api.average([runs[0], tmp_path / "moved"], tmp_path / "mean")
