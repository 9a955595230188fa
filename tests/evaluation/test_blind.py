"""What is shown of two texts differs in nothing but the writing."""

from __future__ import annotations

import json

import pytest

from arasuji.corpus import Corpus, prepare
from arasuji.corpus.script import words_of
from arasuji.errors import OptionError
from arasuji.evaluation.blind import beginnings_of, shown
from arasuji.evaluation.task import rest_of


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (" sails for the ice, and never returns.", "sails for the ice"),
        ("\n\nSails  for\tthe \u200b ice! ", "Sails for the ice"),
        ("  “sails for”\n\n the (ice).", "“sails for”\nthe (ice"),
        (" cafe\u0301s for the ice", "caf\u00e9s for the ice"),
        (" 氷の海へ", "氷の海へ"),
        (" sails for the", None),  # too short
        ("s for the ice and never returns", None),  # within the last word of the prompt
        (", who sails for the ice", None),
        (" ", None),
        ("", None),
    ],
)
def test_the_same_number_of_words_is_shown_without_what_stands_around_them(rest, text):
    assert shown(rest, 4) == text


def test_all_beginnings_are_held_out_and_go_on_long_enough(corpus):
    opened = Corpus.load(corpus)
    found = beginnings_of(opened)
    assert {*found.records} <= {record.id for record in opened.test}
    assert len(found.records) >= len(opened.test) / 2
    assert all(len(words_of(shown(rest_of(record), found.words))) == found.words for record in found.records.values())


def test_a_corpus_of_short_texts_has_no_beginnings(tmp_path):
    source = tmp_path / "short.jsonl"
    texts = [f"Baker number {i} sails for the ice of winter {i}, and returns." for i in range(80)]
    source.write_text("\n".join(json.dumps({"synopsis": text}) for text in texts), "utf-8")
    prepare([source], tmp_path / "short")
    with pytest.raises(OptionError, match="long enough"):
        beginnings_of(Corpus.load(tmp_path / "short"))
