"""A run may predict a title of a text, or what stands between its first and last sentence."""

from __future__ import annotations

import pytest

from arasuji import api
from arasuji.corpus import Corpus, Record
from arasuji.documents import told_only
from arasuji.errors import OptionError

RECORD = Record("1", "One is here. Two goes on. Three ends it.", metadata={"title": "The Keeper", "genres": ["Sea"]})


def lstm_that_predicts(what: str, format: str, corpus, out):
    settings = ["embedding=16", "hidden=16", "batch_size=4", "validation_documents=20", "tokenizer.size=400"]
    settings += [f"document.predicts={what}", f'document.format="{format}"']
    return api.train("lstm-control", corpus, out, max_steps=4, settings=settings)


def test_a_middle_stands_between_the_sentences_that_are_told():
    assert told_only(RECORD, "middle").text == "Two goes on."
    assert told_only(RECORD, "middle", ["from"]).text == "Two goes on. Three ends it."
    assert told_only(RECORD, "middle", ["to"]).text == "One is here. Two goes on."
    assert told_only(RECORD, "middle", []).text == RECORD.text
    assert told_only(RECORD, "middle").metadata["to"] == "Three ends it."


def test_a_text_of_two_sentences_has_no_middle():
    short = Record("1", "One is here. Two ends it. ")
    assert told_only(short, "middle") == short


def test_a_title_is_told_the_text():
    found = told_only(RECORD, "title", ["text"])
    assert (found.text, found.metadata) == ("The Keeper", {"text": RECORD.text})


def test_a_run_proposes_different_titles_that_no_training_text_has(corpus, tmp_path):
    run = lstm_that_predicts("title", "{text}\\n", corpus, tmp_path / "run")
    found = [sample.text for sample in api.titles(run, "A lighthouse shines one night in the year.", n=3)]
    known = {record.metadata["title"].casefold() for record in Corpus.load(corpus).train}
    assert len(found) == len({title.casefold() for title in found}) == 3
    assert not known & {title.casefold() for title in found}
    score = api.evaluate(run, list(Corpus.load(corpus).test))
    assert sum(score.bytes) == sum(len(r.metadata["title"].encode()) for r in Corpus.load(corpus).test)


def test_a_middle_is_written_between_both_sentences(corpus, tmp_path):
    run = lstm_that_predicts("middle", "{from} | {to}\\n", corpus, tmp_path / "run")
    fields = {"from": "The lamp went out.", "to": "Nobody rowed home."}
    (sample,) = api.generate(run, fields=fields)
    assert sample.text == f"The lamp went out. {sample.completion.strip()} Nobody rowed home."


def test_a_run_that_predicts_texts_proposes_no_titles_and_fills_nothing(corpus, tmp_path):
    run = api.train("lstm-control", corpus, tmp_path / "run", max_steps=2, settings=["embedding=16", "hidden=16"])
    with pytest.raises(OptionError, match="proposes no titles"):
        list(api.titles(run, "A text."))
    with pytest.raises(OptionError, match="cannot fill"):
        list(api.generate(run, fields={"from": "One."}))


def test_a_variation_begins_as_the_text_is_about_as_long_and_copies_no_long_part_of_it():
    text = "The lamp went out. Nobody rowed home that night, and the keeper counted boats until the morning came back."
    prompt, wishes = api.variation_of(text)
    assert prompt == "The lamp went out."
    assert wishes.words == (15, 23)
    assert wishes.like == text


@pytest.mark.parametrize("text", ["", "Too short to vary."])
def test_a_text_of_a_few_words_is_not_varied(text):
    with pytest.raises(OptionError, match="needs a text of 8 words"):
        api.variation_of(text)
