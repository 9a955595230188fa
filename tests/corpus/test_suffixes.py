"""The suffixes of the training split know where every sequence of words stands, and are kept with the corpus."""

from __future__ import annotations

import shutil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scored_models import training_of

from arasuji.corpus.suffixes import suffixes_of

texts = st.lists(st.lists(st.sampled_from("abc"), max_size=12).map(" ".join), min_size=1, max_size=8)
sequences = st.lists(st.integers(-1, 2), max_size=10)


@given(texts, sequences.filter(bool))
def test_a_sequence_is_found_where_it_stands_with_what_follows_it(texts, sequence):
    suffixes = training_of(*texts)
    if not all(0 <= word < len(suffixes.words.number_of) for word in sequence):
        return
    places, after = 0, {}
    for number, words in enumerate(suffixes.words.texts()):
        for i in range(len(words) - len(sequence) + 1):
            if words[i : i + len(sequence)] == sequence:
                places += 1
                for word in words[i + len(sequence) :][:1]:
                    after.setdefault(word, set()).add(number)
    low, high = suffixes.find(sequence)
    assert high - low == places
    assert {word: set(found.tolist()) for word, found in suffixes.following(sequence).items()} == after


def test_the_order_is_kept_with_the_corpus_and_made_again_where_it_is_damaged(corpus, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(corpus, folder)
    made = suffixes_of(folder)
    kept = next(folder.rglob("order.npy"))
    before = kept.stat().st_mtime_ns
    assert np.array_equal(suffixes_of(folder).order, made.order)
    assert next(folder.rglob("order.npy")).stat().st_mtime_ns == before
    kept.write_bytes(kept.read_bytes()[:-4])
    assert np.array_equal(suffixes_of(folder).order, made.order)
