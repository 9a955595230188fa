"""What the byte-level BPE of one's own corpus promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from arasuji.errors import OptionError
from arasuji.tokenizers import bpe as module

SPECIAL = [module.END, module.PAD]
ANYTHING = st.text(max_size=60) | st.lists(
    st.sampled_from([*SPECIAL, " ", "🌊", "👩‍🚀", "é", "海", "\n\n", " the"])
).map("".join)
"""Any Unicode text (lone surrogates are none), and texts in which the special tokens are typed."""


@settings(deadline=None, max_examples=200, derandomize=True)
@given(text=ANYTHING)
def test_any_text_survives_and_none_holds_the_end_or_the_pad(bpe, text):
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert not {bpe.end_id, bpe.pad_id} & set(ids)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(prompt=ANYTHING, more=ANYTHING)
def test_a_continuation_is_what_was_added(bpe, prompt, more):
    assert bpe.continuation(bpe.encode(prompt), bpe.encode(more)) == more


def test_the_starter_texts_survive_and_get_shorter(bpe, starter_texts):
    for text in starter_texts:
        ids = bpe.encode(text)
        assert bpe.decode(ids) == text
        assert len(ids) < len(text.encode())


def test_the_end_and_the_pad_are_two_and_only_the_pad_is_never_written(bpe):
    assert bpe.end_id != bpe.pad_id
    assert bpe.never_written == [bpe.pad_id]
    assert bpe.decode([bpe.end_id, *bpe.encode("sea"), bpe.pad_id]) == "sea"


def test_the_vocabulary_has_the_size_asked_for_or_less_where_the_texts_hold_less(bpe):
    assert bpe.vocabulary_size == 400
    assert module.build(module.Config(size=300), []).vocabulary_size == 256 + len(SPECIAL)


def test_the_same_texts_give_the_same_merges(bpe, starter_texts):
    again = module.build(module.Config(size=400), starter_texts[:60])
    assert again.fast.to_str() == bpe.fast.to_str()


@pytest.fixture(scope="module")
def folder(bpe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    bpe.save(folder)
    return folder


def test_what_is_saved_loads_as_it_was_from_plain_json(bpe, folder, starter_texts):
    loaded = module.load(folder)
    assert (loaded.end_id, loaded.pad_id, loaded.vocabulary_size) == (bpe.end_id, bpe.pad_id, bpe.vocabulary_size)
    for text in [*starter_texts[:10], "".join(SPECIAL), "👩‍🚀"]:
        assert loaded.encode(text) == bpe.encode(text)
    assert {path.suffix for path in folder.iterdir()} == {".json"}


def test_transformers_opens_the_folder_to_the_same_ids(bpe, folder, starter_texts):
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert (theirs.eos_token_id, theirs.bos_token_id, theirs.pad_token_id) == (bpe.end_id, bpe.end_id, bpe.pad_id)
    assert len(theirs) == bpe.vocabulary_size
    for text in [*starter_texts[:20], "  two  spaces\n\n👩‍🚀 海"]:
        ids = theirs.encode(text, add_special_tokens=False)
        assert ids == bpe.encode(text)
        assert theirs.decode(ids) == text


def test_a_base_is_refused_since_merges_come_from_the_corpus(tmp_path):
    with pytest.raises(OptionError, match="pretrained"):
        module.build(module.Config(), [], tmp_path)
