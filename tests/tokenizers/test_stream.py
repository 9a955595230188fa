"""What is promised of a text that is shown while it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.tokenizers import word
from arasuji.tokenizers._stream import Window

TOKENIZERS = ["words", "bpe", "gpt2", "padded", "saved", "llama", "saved_llama"]
TEXTS = st.text(max_size=40) | st.lists(
    st.sampled_from(
        [
            "the",
            " the",
            " ",
            "  ",
            "\n",
            "海",
            "👩‍🚀",
            "é",
            "\ufffd",
            '"',
            "'",
            " n't",
            ".",
            "(",
            " a",
            "<0xE6>",
            "</s>",
        ]
    ),
    max_size=12,
).map("".join)
ANY_TOKENS = st.lists(st.integers(0, 2**30), max_size=30)
"""Numbers that are made into tokens by their remainder: half characters, pads and end tokens among them."""


@pytest.fixture(scope="session")
def words(starter_texts):
    return word.build(word.Config(min_count=1), [*starter_texts[:20], '" \' the `` a " ( .'])


def pieces_of(tokenizer, prompt: list[int], ids: list[int]) -> list[str]:
    stream = tokenizer.stream(prompt)
    return [*(stream.add(token) for token in ids), stream.rest()]


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(deadline=None, max_examples=150, derandomize=True)
@given(prompt=TEXTS, more=TEXTS, data=st.data())
def test_the_pieces_of_a_text_are_its_continuation(request, name, prompt, more, data):
    tokenizer = request.getfixturevalue(name)
    ids = tokenizer.encode(prompt + more)
    cut = data.draw(st.integers(0, len(ids)))
    for before, after in ((ids[:cut], ids[cut:]), (tokenizer.encode(prompt), tokenizer.encode(more))):
        assert "".join(pieces_of(tokenizer, before, after)) == tokenizer.continuation(before, after)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(deadline=None, max_examples=300, derandomize=True)
@given(prompt=ANY_TOKENS, more=ANY_TOKENS)
def test_the_pieces_of_any_tokens_are_their_continuation(request, name, prompt, more):
    tokenizer = request.getfixturevalue(name)
    before, after = ([number % tokenizer.vocabulary_size for number in numbers] for numbers in (prompt, more))
    assert "".join(pieces_of(tokenizer, before, after)) == tokenizer.continuation(before, after)


@pytest.mark.parametrize("name", ["llama", "saved_llama", "bpe"])
@settings(deadline=None, max_examples=300, derandomize=True)
@given(data=st.data())
def test_the_pieces_of_bytes_in_any_order_are_their_continuation(request, name, data):
    """Bytes that are part of a character, and of none, beside words, spaces and end tokens."""
    tokenizer = request.getfixturevalue(name)
    known = [*tokenizer.encode("the 海 é👩‍🚀 \ufffd"), *tokenizer.encode("é"), tokenizer.end_id]
    before, after = (data.draw(st.lists(st.sampled_from(known), max_size=20)) for _ in range(2))
    assert "".join(pieces_of(tokenizer, before, after)) == tokenizer.continuation(before, after)


@pytest.mark.parametrize("name", ["llama", "saved_llama"])
def test_a_special_token_among_single_bytes_changes_nothing(request, name):
    tokenizer = request.getfixturevalue(name)
    complete, cut = tokenizer.encode("é")[-2:]
    ids = [complete, cut, tokenizer.never_written[0], cut]
    assert "".join(pieces_of(tokenizer, [], ids)) == tokenizer.continuation([], ids) == "\ufffd" * 3


@pytest.mark.parametrize("name", ["bpe", "gpt2", "saved"])
def test_a_character_is_shown_when_it_is_complete_and_not_before(request, name):
    tokenizer = request.getfixturevalue(name)
    ids = tokenizer.encode("🌊")
    assert len(ids) > 1
    assert pieces_of(tokenizer, [], ids) == [""] * (len(ids) - 1) + ["🌊", ""]
    assert pieces_of(tokenizer, [], ids[:-1])[-1] == "\ufffd"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_word_is_shown_with_its_space_as_soon_as_it_is_written(request, name):
    tokenizer = request.getfixturevalue(name)
    prompt = tokenizer.encode("the")
    ids = (tokenizer.encode("the the")[len(prompt) :]) * 3
    assert "".join(pieces_of(tokenizer, prompt, ids)[:-1]) == " the" * 3


@pytest.mark.parametrize("name", TOKENIZERS)
def test_an_end_token_has_no_text(request, name):
    tokenizer = request.getfixturevalue(name)
    assert pieces_of(tokenizer, tokenizer.encode("the"), [tokenizer.end_id]) == ["", ""]


@settings(deadline=None, max_examples=50, derandomize=True)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), min_size=1, max_size=40))
def test_a_token_costs_the_same_however_many_were_written_before_it(bpe, text):
    decoded = []

    def decode(ids: list[int]) -> str:
        decoded.append(len(ids))
        return bpe.decode(ids)

    stream = Window(decode, [], bpe.end_id, ())
    for token in bpe.encode(text * 100):
        stream.add(token)
    assert max(decoded) <= 2 * 4 + 1  # two characters of four bytes, and the token that shows that they are complete
