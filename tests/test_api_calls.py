"""A notebook's calls: one text is one text, a name will do for what it names, training is a plain call."""

from __future__ import annotations

import json
import multiprocessing
import unicodedata
from importlib import resources

import pytest
from packages import arasuji
from tiny_presets import small

from arasuji import api, forks
from arasuji.errors import OptionError, ProcessError, PromptError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        return api.prepare(str(source), tmp_path_factory.mktemp("corpus") / "starter")


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    return api.train(small("lstm-small"), corpus, tmp_path_factory.mktemp("runs") / "lstm", max_steps=3)


@pytest.fixture(scope="module")
def model(run):
    return api.load(run)


def test_training_is_a_plain_call_that_shows_what_it_does_and_gives_the_run(corpus, tmp_path, capsys):
    run = api.train("ngram", corpus, str(tmp_path / "run"), max_steps=2)
    shown = capsys.readouterr()
    assert "validation" in shown.err
    assert "stopped at step 2" in shown.err
    assert shown.out == ""
    assert run.manifest["name"] == "ngram"
    texts = [record.text for record in corpus.test]
    assert api.evaluate(run, texts).bits_per_byte == api.evaluate(api.load(run), texts).bits_per_byte
    assert next(api.generate(run, "A baker")).text == next(api.generate(str(tmp_path / "run"), "A baker")).text


def test_python_and_the_command_line_write_the_same_texts_and_give_the_same_score(run, model, tmp_path):
    asked = arasuji("generate", run.path, "A baker", "-n", 3, "--seed", 5, "--max-length", 20, "--json")
    sampling = model.sampling.model_copy(update={"max_length": 20})
    texts = [sample.text for sample in api.generate(model, "A baker", n=3, seed=5, sampling=sampling)]
    assert texts == [sample["text"] for sample in json.loads(asked.out)["samples"]]
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "A baker finds a key."}) + "\n", "utf-8")
    scored = arasuji("evaluate", run.path, "--texts", tmp_path / "texts.jsonl", "--json")
    assert scored.code == 0, scored.err
    score = json.loads(scored.out)
    assert api.evaluate(model, "A baker finds a key.").bits_per_byte == pytest.approx(score["bits_per_byte"])


@pytest.mark.parametrize("sampling", [None, {"temperature": 1.5, "top_k": 20}, {"temperature": 0, "num_beams": 4}])
def test_an_explanation_is_of_the_token_that_is_written(model, sampling):
    found = api.explain(model, "A baker", seed=5, sampling=sampling)
    written = {**(sampling or {}), "num_beams": 1}
    first = next(piece for piece in api.write(model, "A baker", seed=5, sampling=written, pieces=True))
    (chosen,) = [candidate for candidate in found.candidates if candidate.id == found.chosen]
    assert (chosen.text, chosen.ends) == (first.text, False)


def test_a_preset_a_file_and_an_experiment_all_do(corpus, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(_preset("ngram"), "utf-8")
    for number, chosen in enumerate(["ngram", file, api.experiment("ngram"), api.experiment("ngram", "epochs=1")]):
        first = next(api.train_events(chosen, corpus, tmp_path / str(number), max_steps=1))
        assert isinstance(first, api.Started)
    with pytest.raises(OptionError, match="'lstm-small'"):
        api.train("lstm-smal", corpus, tmp_path / "x")


def _preset(name: str) -> str:
    return (resources.files("arasuji.presets") / f"{name}.toml").read_text("utf-8")


def test_one_text_is_one_text(model):
    assert [sample.prompt for sample in api.generate(model, "A baker")] == ["A baker"]
    assert api.evaluate(model, "A baker finds a key.").bytes == [20]
    api.check_prompts(model, "A baker")
    with pytest.raises(PromptError, match="a prompt is a text"):
        list(api.generate(model, [7]))  # type: ignore[list-item]


@pytest.mark.parametrize("options", [{"n": 0}, {"seed": -1}, {"skip": -1}])
def test_counts_and_seeds_that_make_no_sense_are_refused(model, options):
    with pytest.raises(OptionError):
        list(api.generate(model, "A", **options))


def test_a_prompt_is_read_as_the_rules_leave_a_text(model):
    odd = "\ufeff A  cafe\u0301\u200b in\tthe\n\nrain "
    usual = "A café in the\nrain"
    (one,), (other,) = list(api.generate(model, odd, seed=3)), list(api.generate(model, usual, seed=3))
    assert one.text == other.text
    assert one.text.startswith(usual)
    assert one.prompt == odd
    assert unicodedata.is_normalized("NFC", one.text)


def _in_child(answers) -> None:
    try:
        forks.check()
        answers.put("")
    except ProcessError as error:
        answers.put(str(error))


def test_a_forked_child_is_told_how_not_to_fork(model):
    next(api.generate(model, "A baker"))
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=_in_child, args=(answers,))
    child.start()
    said = answers.get(timeout=20)
    child.join(20)
    assert "multiprocessing.get_context('spawn')" in said
    assert "\n" not in said
