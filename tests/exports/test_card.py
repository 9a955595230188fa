"""The model card: true of the run and of the export, complete, and without a text of the data."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from arasuji import api
from arasuji.exports import card as cards
from arasuji.runs import RunDirectory


@pytest.fixture
def card(exported):
    return exported[1]


def changed(mini, to, **facts):
    """A copy of the run whose manifest says something else."""
    shutil.copytree(mini.path, to)
    manifest = json.loads((to / "manifest.json").read_text())
    (to / "manifest.json").write_text(json.dumps(manifest | facts))
    return RunDirectory(to)


def test_the_figures_are_those_of_evaluate_with_their_interval(mini, corpus, card):
    opened = api.Corpus.load(corpus)
    groups = [record.group for record in opened.test]
    score = api.evaluate(api.load(mini, "auto"), list(opened.test), groups, opened.train)
    assert card.likelihood.bits_per_byte == score.bits_per_byte
    assert card.likelihood.interval == score.interval()
    low, high = score.interval()
    said = f"**{score.bits_per_byte:.3f} bits for each byte** of the test split (95 % interval {low:.3f} to {high:.3f}"
    assert said in cards.markdown(card)


def test_no_text_of_the_data_and_no_path_of_the_machine_stands_in_an_export(exported, corpus):
    folder, _ = exported
    written = "".join((folder / name).read_text() for name in ("README.md", "manifest.json"))
    for split in ("train", "validation", "test"):
        for record in api.Corpus.load(corpus).split(split):
            assert record.text[:30] not in written
    assert str(corpus) not in written
    assert str(corpus.parent) not in written


def test_a_card_says_how_the_model_was_made_and_of_what(mini, corpus, card):
    shown = cards.markdown(card)
    opened = api.Corpus.load(corpus)
    assert opened.hash in shown
    assert f"Texts: {len(opened.train)} train, {len(opened.validation)} validation, {len(opened.test)} test." in shown
    assert "arasuji train gpt2-mini --set size=400" in shown
    assert "Seed 0, 6 steps" in shown
    assert "Sources: `starter.jsonl`." in shown
    assert "dedicated to the public domain (CC0 1.0)" in shown
    assert "Base: none." in shown
    assert f"transformers {mini.facts.versions['transformers']}" in shown


def test_a_card_counts_what_texts_copy_with_the_rule_and_without_beside_real_ones(card):
    shown = cards.markdown(card)
    assert set(card.copies) == {"with the rule", "without", "real"}
    assert {found.texts for found in card.copies.values()} == {20}
    assert card.copies["with the rule"].longest <= 8
    for found in card.copies.values():
        assert f"| {found.longest} | {found.copying} of 20 |" in shown


def test_the_hub_reads_the_front_of_a_card_as_yaml(card):
    import yaml

    base = {"name": "google/gemma-3-270m", "licence": "Gemma", "terms": "Google's terms."}
    front, body = cards.markdown(replace(card, base=base)).removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(front) == {
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "base_model": "google/gemma-3-270m",
        "license": "gemma",
        "tags": ["arasuji", "hf"],
    }
    assert "Base: `google/gemma-3-270m`, Gemma (Google's terms.)." in body


def test_a_base_of_unknown_licence_has_none_in_front_and_unknown_in_words(card):
    shown = cards.markdown(replace(card, base={"name": "my-base", "licence": "", "terms": ""}))
    assert "license:" not in shown
    assert "base_model:" not in shown
    assert "Base: `my-base`, unknown to arasuji." in shown


def test_rounded_weights_are_said_to_be_unmeasured_and_whole_ones_are_not(card):
    rounded = cards.markdown(replace(card, format="gguf", type="q8_0"))
    assert "Those in this folder are rounded (`q8_0`) and were not measured." in rounded
    assert "rounded" not in cards.markdown(replace(card, format="gguf", type="f32"))
    assert "The weights in this folder are those that were measured, in " in cards.markdown(card)


def test_without_the_corpus_the_card_says_why_there_are_no_figures(mini, corpus, tmp_path, capsys):
    known = mini.facts.corpus.model_dump()
    moved = changed(mini, tmp_path / "run", corpus=known | {"folder": str(tmp_path / "gone")})
    card = api.export(moved, tmp_path / "out")
    shown = (tmp_path / "out/README.md").read_text()
    assert card.likelihood is None
    assert "None were measured when this folder was written: the corpus of the run was not at hand." in shown
    assert str(tmp_path) not in shown
    assert known["hash"] in shown
    assert "no corpus at" in capsys.readouterr().err
    assert api.export(moved, tmp_path / "named", corpus=corpus).likelihood is not None


def test_what_stands_before_each_text_is_in_the_card(card):
    told = replace(card, document=card.document | {"format": "{title} | "}, fields={"title": {}})
    assert '`"{title} | "`' in cards.markdown(told)


def test_names_from_a_stranger_stay_in_their_backticks(card):
    shown = cards.markdown(replace(card, base={"name": "x`\n# A heading `y", "licence": "", "terms": ""}))
    assert "`x' # A heading 'y`" in shown
    assert "\n# A heading" not in shown
