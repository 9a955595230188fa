"""What the copy finder promises: every run of words that stands in the training split, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_models import training_of

from arasuji.corpus import prepare
from arasuji.corpus.index import training_words
from arasuji.corpus.script import words_of
from arasuji.evaluation.originality import MARKED, SIZES, copied, longest_matches

few_words = st.lists(st.integers(0, 3), max_size=12)


def stands_in(run, texts) -> bool:
    return any(text[i : i + len(run)] == run for text in texts for i in range(len(text)))


@settings(deadline=None, max_examples=500, derandomize=True)
@given(texts=st.lists(few_words, max_size=4), others=st.lists(few_words, max_size=4))
def test_the_longest_matches_are_those_of_brute_force(texts, others):
    by_hand = [
        [max(n for n in range(i + 2) if n == 0 or stands_in(text[i + 1 - n : i + 1], others)) for i in range(len(text))]
        for text in texts
    ]
    assert longest_matches(texts, others) == by_hand


def test_a_run_does_not_go_on_from_one_training_text_to_the_next():
    (found,) = copied(["the lamp burns all night"], training_of("She said the lamp", "burns all night long"))
    assert found.longest == 3


def test_case_and_punctuation_hide_no_copy():
    training = training_of("A letter arrives from the sea, and nobody in the village dares to read it aloud.")
    (found,) = copied(["Then: “a LETTER arrives from the sea and nobody... in the village dares” he says"], training)
    assert found.longest == 12
    assert found.found == {4: 9, 8: 5, 13: 0}
    text = "Then: “a LETTER arrives from the sea and nobody... in the village dares” he says"
    ((start, end),) = found.spans
    assert text[start:end] == "a LETTER arrives from the sea and nobody... in the village dares"


def test_a_training_text_itself_is_found_whole_and_nearest(starter_texts):
    training = training_of(*starter_texts[:50])
    found = copied([starter_texts[7], starter_texts[60], "", "zorblax"], training)
    assert found[0].longest == len(words_of(starter_texts[7]))
    assert found[0].found == found[0].shingles
    assert (found[0].nearest, found[0].containment) == (7, 1.0)
    assert found[1].longest < MARKED
    assert found[1].spans == []
    assert [f.longest for f in found[2:]] == [0, 0]
    assert all(f.shingles == dict.fromkeys(SIZES, 0) for f in found[2:])


def test_the_nearest_text_is_the_one_with_most_of_the_shingles():
    training = training_of("one two three four", "one two three nine two three four five", "six seven")
    (found,) = copied(["one two three four five"], training)
    assert (found.nearest, found.containment) == (1, pytest.approx(3 / 3))


def test_the_index_is_kept_with_the_corpus_and_made_anew_where_it_is_damaged(starter_texts, tmp_path):
    source, folder = tmp_path / "source.txt", tmp_path / "corpus"
    source.write_text("\n\n".join(text.replace("\n", " ") for text in starter_texts[:80]), "utf-8")
    corpus = prepare([source], folder)
    made, kept = training_words(folder), training_words(folder)
    assert (folder / "index").is_dir()
    assert kept.number_of == made.number_of
    assert list(kept.texts()) == list(made.texts())
    assert [len(text) for text in kept.texts()] == [len(words_of(record.text)) for record in corpus.train]
    assert kept.counts().sum() == len(kept.numbers)
    (folder / "index" / "numbers.npy").write_bytes(b"damaged")
    assert np.array_equal(training_words(folder).numbers, made.numbers)
    assert prepare([source], folder).hash == corpus.hash  # an index does not make the folder something else
