"""What is promised of where tokens stand in a text, and of many texts that are encoded at once."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.errors import BaseModelError
from arasuji.tokenizers import bpe as bpe_module
from arasuji.tokenizers import word
from arasuji.tokenizers._fast import BATCH

LOSSLESS = ["bpe", "gpt2", "padded", "saved", "llama", "saved_llama"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=40) | st.lists(
    st.sampled_from(
        ["the", " the", " ", "   ", "\n", "\n\n", "海", "👩‍🚀", "é", "<|endoftext|>", " n't", ".", "(", " a"]
    ),
    max_size=12,
).map("".join)
MARKS = st.text("ab'\"`. ,!?(){}<>–…İΣßn't\u2028\x1c\n\t“”‘’«»&%$:;[]*_\\/01cangonnanotTisDmowe", max_size=40)


@pytest.mark.parametrize("name", LOSSLESS)
@settings(deadline=None, max_examples=200, derandomize=True)
@given(text=TEXTS)
def test_a_token_ends_where_the_tokens_up_to_it_decode_to(request, name, text):
    tokenizer = request.getfixturevalue(name)
    ids, ends = tokenizer.encode(text), [0]
    for count in range(1, len(ids) + 1):
        ends.append(max(ends[-1], len(tokenizer.decode(ids[:count]).rstrip("\ufffd"))))
    assert tokenizer.spans(text) == list(pairwise(ends))


@settings(deadline=None, max_examples=300, derandomize=True)
@given(text=st.text(max_size=60) | MARKS)
def test_a_word_stands_where_it_is_written(text):
    words, places = word.words_of(text), word.places_of(text)
    assert len(words) == len(places)
    assert "".join(text[start:end] for start, end in places) == "".join(text.split())
    for one, (start, end) in zip(words, places, strict=True):
        forms = {'"', "``", "''"} if one in word.QUOTES else {one}
        assert text[start:end].lower() in forms or "İ" in text[start:end]


@pytest.mark.parametrize("name", ["words", *LOSSLESS])
def test_many_texts_encode_as_each_does(request, name, starter_texts):
    tokenizer = word.build(word.Config(), starter_texts) if name == "words" else request.getfixturevalue(name)
    texts = ["", "👩‍🚀 海", *starter_texts[:30], "<|endoftext|>"] * 40
    assert len(texts) > BATCH
    assert (
        list(tokenizer.encode_batch(iter(texts))) == [tokenizer.encode(text) for text in texts[: len(texts) // 40]] * 40
    )


def test_of_many_texts_only_some_are_read_before_the_first_is_encoded(bpe):
    read = []
    encoded = bpe.encode_batch(read.append(i) or "the" for i in range(3 * BATCH))
    next(encoded)
    assert len(read) == BATCH


def test_a_panic_of_the_library_is_one_line_that_shows_the_text(bpe, tmp_path):
    bpe.save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    content["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    broken = bpe_module.load(tmp_path)
    for call in (broken.encode, broken.spans, lambda text: list(broken.encode_batch(["", text]))):
        with pytest.raises(BaseModelError, match=r"begins 'The sea'.*chunk size must be non-zero") as caught:
            call("The sea")
        assert "\n" not in str(caught.value)
