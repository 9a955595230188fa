"""`arasuji import`: a model that was trained elsewhere becomes a run, and what is not known of it is not claimed."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from shaped_models import shaped

from arasuji import api
from arasuji.cli import app
from arasuji.errors import BaseModelError, OptionError, RunError
from arasuji.locks import alone
from arasuji.runs import corpus_of
from arasuji.runs import imported as imported_runs
from arasuji.runs.opening import open_pair

TEXTS = ["The old keeper lights the lamp.", "A letter 🌊 from the sea; 海からの手紙。", "So."]


@pytest.fixture(scope="module")
def elsewhere(bpe, tmp_path_factory):
    """A Llama of another program, in bfloat16. Not to be changed."""
    from transformers import LlamaConfig

    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(**shape, max_position_embeddings=128, rope_parameters={"rope_theta": 1e5})
    return shaped(config, bpe, tmp_path_factory.mktemp("elsewhere") / "llama", torch.bfloat16)


@pytest.fixture(scope="module")
def imported(elsewhere, tmp_path_factory):
    return api.import_model(elsewhere, tmp_path_factory.mktemp("runs") / "imported")


def nll_of(run):
    return api.evaluate(api.load(run, "fp32"), TEXTS).nll


def test_an_export_that_is_imported_again_scores_the_same_to_the_last_digit(mini, exported, tmp_path):
    again = api.import_model(exported[0], tmp_path / "again")
    assert nll_of(again) == nll_of(mini)
    assert again.sampling == mini.sampling
    write = [sample.text for sample in api.generate(again, "After years", n=2, seed=5, longest_copy=None)]
    assert write == [sample.text for sample in api.generate(mini, "After years", n=2, seed=5, longest_copy=None)]


def test_the_run_of_an_export_knows_its_corpus_by_its_hash(mini, exported, corpus, tmp_path):
    again = api.import_model(exported[0], tmp_path / "again")
    assert again.facts.corpus.hash == mini.facts.corpus.hash
    assert again.facts.corpus.folder == ""
    named = api.import_model(exported[0], tmp_path / "named", corpus)
    assert named.facts.corpus.folder == str(corpus)


def test_an_export_that_was_changed_is_a_model_from_elsewhere(exported, tmp_path, capsys):
    folder = shutil.copytree(exported[0], tmp_path / "tuned")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"temperature": 1.5}))
    assert api.import_model(folder, tmp_path / "run").facts.corpus.hash == ""
    assert "was changed since" in capsys.readouterr().err


def test_a_model_from_elsewhere_is_scored_as_the_base_that_it_is_and_keeps_its_weights(elsewhere, imported):
    assert nll_of(imported) == nll_of(elsewhere)
    kept = (imported.path / "best/model.safetensors").stat().st_size
    assert kept == pytest.approx((elsewhere / "model.safetensors").stat().st_size, rel=0.02)  # bfloat16 stays so


def test_nothing_is_known_of_what_it_has_learnt_from(imported, corpus, elsewhere, tmp_path):
    assert imported.facts.imported == "llama"
    assert corpus_of(str(imported.path)) == {}
    measured = api.import_model(elsewhere, tmp_path / "measured", corpus)
    card = api.export(measured, tmp_path / "out")
    shown = (tmp_path / "out/README.md").read_text()
    assert card.likelihood is not None
    assert "Whether the model has learnt from these texts is not known" in shown
    assert "It was trained elsewhere, and brought to arasuji as the folder `llama`." in shown


def test_the_verbs_take_an_imported_run(imported, corpus, capsys):
    def call(*arguments):
        app([*map(str, arguments)], standalone_mode=False)
        return capsys.readouterr()

    assert "imported" in call("runs", imported.path.parent).out
    assert json.loads(call("generate", imported.path, "After years", "--max-length", 40, "--json").out)
    assert json.loads(call("evaluate", imported.path, "--corpus", corpus, "--json").out)["documents"] > 0
    with pytest.raises(OptionError, match="does not know its corpus"):
        call("evaluate", imported.path)


def test_the_verb_says_what_is_unknown(elsewhere, corpus, tmp_path, capsys):
    app(["import", str(elsewhere), "--out", str(tmp_path / "run")], standalone_mode=False)
    assert "it may have seen the texts" in capsys.readouterr().out
    app(["import", str(elsewhere), "--out", str(tmp_path / "two"), "--corpus", str(corpus), "--json"],
        standalone_mode=False)  # fmt: skip
    assert json.loads(capsys.readouterr().out)["corpus"]["folder"] == str(corpus)


def test_what_cannot_be_imported_is_refused_in_one_line_and_leaves_nothing_behind(elsewhere, mini, tmp_path):
    pickled, adapter, cut = tmp_path / "pickled", tmp_path / "adapter", tmp_path / "cut"
    for folder in (pickled, adapter, cut):
        shutil.copytree(elsewhere, folder)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    (adapter / "adapter_config.json").write_text("{}")
    (cut / "model.safetensors").write_bytes((elsewhere / "model.safetensors").read_bytes()[:-100])
    (tmp_path / "file").write_text("no model")
    for folder, said in (
        (pickled, "pickle"),
        (adapter, "merge it into its base"),
        (cut, "is damaged"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "none", "is not there"),
        (mini.path, "is a run already"),
    ):
        with pytest.raises(BaseModelError, match=said) as refused:
            api.import_model(folder, tmp_path / "out")
        assert "\n" not in str(refused.value)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "out"))]
    with pytest.raises(RunError, match="exists already"):
        api.import_model(elsewhere, tmp_path / "cut")


def test_an_export_is_not_measured_on_another_corpus_than_its_own(exported, starter_texts, tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in starter_texts[:60]))
    other = api.prepare(texts, tmp_path / "corpus")
    with pytest.raises(OptionError, match="trained on another corpus"):
        api.import_model(exported[0], tmp_path / "out", other.folder)


def test_of_two_imports_of_one_name_the_second_is_told_of_the_first(elsewhere, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with (
        alone(tmp_path / ".run.lock", out, "import"),
        pytest.raises(RunError, match=r"another import writes .*run now \(process"),
    ):
        api.import_model(elsewhere, out)
    monkeypatch.setattr(
        imported_runs, "open_pair", lambda *words, **named: (out.mkdir(), open_pair(*words, **named))[1]
    )
    with pytest.raises(RunError, match="exists already"):
        api.import_model(elsewhere, out)
    assert [path.name for path in tmp_path.rglob("*")] == ["run"]
