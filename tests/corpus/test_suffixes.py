"""The suffixes of the training split know where every sequence of words stands, and are kept with the corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scored_models import training_of

from arasuji.corpus.folder import SUFFIXES
from arasuji.corpus.suffixes import LAYOUT, Suffixes, _is_order_of, _suffixes_of, suffixes_of
from arasuji.folders import seal

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
    assert np.array_equal(anew(folder).order, made.order)
    assert next(folder.rglob("order.npy")).stat().st_mtime_ns == before
    kept.write_bytes(kept.read_bytes()[:-4])
    assert np.array_equal(anew(folder).order, made.order)


def anew(folder: Path) -> Suffixes:
    """As another process would open them."""
    _suffixes_of.cache_clear()
    return suffixes_of(folder)


def test_an_order_that_somebody_sealed_and_is_wrong_is_not_believed(corpus, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(corpus, folder)
    made = suffixes_of(folder)
    count = len(made.order)
    for wrong in (made.order[::-1], np.zeros(count, np.int32), made.order + 1, np.roll(made.order, 1)):
        np.save(folder / SUFFIXES / "order.npy", wrong.astype(np.int32))
        seal(folder / SUFFIXES, {"of": [LAYOUT, made.corpus]})
        assert np.array_equal(anew(folder).order, made.order)


@given(texts)
def test_what_is_made_is_found_to_be_in_order(texts):
    made = training_of(*texts, *texts[:1])  # equal texts as well
    assert _is_order_of(made.order, made.words)
