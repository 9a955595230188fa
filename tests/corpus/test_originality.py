"""What the copy finder promises: every run of words that stands in the training split, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_models import training_of

from arasuji.corpus import prepare
from arasuji.corpus.index import training_words
from arasuji.corpus.originality import MARKED, SIZES, copied
from arasuji.corpus.script import words_of

few_words = st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join)


def stands_in(sequence: list[str], texts: list[str]) -> bool:
    return any(
        words[i : i + len(sequence)] == sequence for words in map(words_of, texts) for i in range(len(words) + 1)
    )


@settings(deadline=None, max_examples=500, derandomize=True)
@given(text=few_words, prompt=st.integers(0, 3), texts=st.lists(few_words, min_size=1, max_size=4))
def test_what_is_found_is_what_brute_force_finds(text, prompt, texts):
    words, start = text.split(), min(len(text), max(0, 2 * prompt - 1))
    prompt = min(prompt, len(words))
    sequences = [(i, j) for j in range(prompt + 1, len(words) + 1) for i in range(j) if stands_in(words[i:j], texts)]
    found = copied(text, training_of(*texts), start)
    assert found.longest == max((j - i for i, j in sequences), default=0)
    assert found.found == {size: sum(j - i == size for i, j in sequences) for size in SIZES}
    assert found.shingles == {size: sum(j > prompt for j in range(size, len(words) + 1)) for size in SIZES}
    if found.longest:
        copy = text[slice(*found.span)].split()
        assert len(copy) == found.longest
        assert found.source == min(i for i, other in enumerate(texts) if stands_in(copy, [other]))
    own = {tuple(words[i : i + 4]) for i in range(len(words) - 3) if i + 4 > prompt}
    shared = [sum(stands_in(list(shingle), [other]) for shingle in own) for other in texts]
    assert found.containment == max(shared) / max(1, len(own))
    assert found.nearest == (shared.index(max(shared)) if max(shared) else None)


def test_a_run_does_not_go_on_from_one_training_text_to_the_next():
    found = copied("the lamp burns all night", training_of("She said the lamp", "burns all night long"))
    assert found.longest == 3


def test_case_and_punctuation_hide_no_copy():
    training = training_of("A letter arrives from the sea, and nobody in the village dares to read it aloud.")
    text = "Then: “a LETTER arrives from the sea and nobody... in the village dares” he says"
    found = copied(text, training)
    assert found.longest == 12
    assert found.found == {4: 9, 8: 5, 13: 0}
    ((start, end),) = found.spans
    assert text[start:end] == "a LETTER arrives from the sea and nobody... in the village dares"


def test_a_training_text_itself_is_found_whole_and_nearest(starter_texts):
    training = training_of(*starter_texts[:50])
    found = [copied(text, training) for text in (starter_texts[7], starter_texts[60], "", "zorblax")]
    assert found[0].longest == len(words_of(starter_texts[7]))
    assert found[0].found == found[0].shingles
    assert (found[0].nearest, found[0].containment) == (7, 1.0)
    assert found[1].longest < MARKED
    assert found[1].spans == []
    assert [f.longest for f in found[2:]] == [0, 0]
    assert all(f.shingles == dict.fromkeys(SIZES, 0) for f in found[2:])


def test_the_nearest_text_is_the_one_with_most_of_the_shingles():
    training = training_of("one two three four", "one two three four nine two three four five six", "seven eight")
    found = copied("one two three four five six", training)
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
