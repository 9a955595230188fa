"""A text has the words that it must have and none that it must not, is as long as it may be, and ends whole."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from conftest import small_model
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.corpus.index import numbered
from arasuji.corpus.script import count_words, words_of
from arasuji.corpus.sentences import is_final
from arasuji.corpus.suffixes import sorted_suffixes
from arasuji.errors import OptionError
from arasuji.generation.decode import decode
from arasuji.generation.mending import DoubledWords, after
from arasuji.generation.pieces import pieces_of
from arasuji.generation.texts import Options, Request, Sample
from arasuji.generation.wishes import Wishes, processors_for

FAMILIES = ["lstm", "transformer", "ngram"]


@pytest.fixture(params=FAMILIES)
def model(request, bpe):
    more = {"context_length": 512} if request.param == "transformer" else {}
    return small_model(request.param, bpe, **more)  # untrained: whatever it writes, the wishes are granted


def written(model, tokenizer, wishes: Wishes, prompts=("A baker", ""), n: int = 2, **changes) -> list[Sample]:
    config = SamplingConfig.model_validate({"temperature": 1.0, "top_p": 0.95, "max_length": 200} | changes)
    requests = [Request(prompts[i % len(prompts)], i) for i in range(n)]
    made = processors_for(wishes, pieces_of(tokenizer))
    found = decode(model, Options(tokenizer, config, processors=made), requests)
    return sorted((event for event in found if isinstance(event, Sample)), key=lambda sample: sample.index)


@pytest.mark.parametrize("beams", [1, 2])
def test_every_word_that_was_asked_for_stands_in_the_text(model, bpe, beams):
    wishes = Wishes(required=("harbour", "Old Bellows"))
    for sample in written(model, bpe, wishes, num_beams=beams):
        words = words_of(sample.text)
        assert "harbour" in words
        assert ("old", "bellows") in pairwise(words)


def test_a_word_of_the_prompt_is_not_asked_for_again(model, bpe):
    (plain,) = written(model, bpe, Wishes(), ["The harbour burns"], 1)
    (sample,) = written(model, bpe, Wishes(required=("Harbour",)), ["The harbour burns"], 1)
    assert sample.text == plain.text


def test_a_text_in_a_batch_is_the_text_alone(model, bpe):
    wishes = Wishes(required=("harbour",), without=("the",), words=(20, 40))
    together = written(model, bpe, wishes, n=5)
    for i, sample in enumerate(together):
        config = SamplingConfig.model_validate({"temperature": 1.0, "top_p": 0.95, "max_length": 200})
        made = processors_for(wishes, pieces_of(bpe))
        (alone,) = decode(model, Options(bpe, config, processors=made), [Request(("A baker", "")[i % 2], i)])
        assert alone.text == sample.text


@pytest.mark.parametrize("beams", [1, 2])
def test_no_word_stands_in_the_text_that_was_forbidden(model, bpe, beams):
    without = ("the", "A", "of a")
    for sample in written(model, bpe, Wishes(without=without), [""], 4, num_beams=beams):
        words = words_of(sample.text)
        assert not {"the", "a"} & set(words)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(low=st.integers(5, 30), more=st.integers(6, 30), seed=st.integers(0, 99))
def test_a_text_ends_by_itself_within_its_range_of_words(low, more, seed, bpe):
    model = small_model("lstm", bpe)
    config = SamplingConfig.model_validate({"temperature": 1.0, "top_p": 0.95, "max_length": 1000})
    made = processors_for(Wishes(words=(low, low + more)), pieces_of(bpe))
    (sample,) = decode(model, Options(bpe, config, processors=made), [Request("A baker", seed)])
    assert sample.finished
    assert low <= count_words(sample.text) <= low + more


def test_a_text_whose_length_is_used_up_ends_with_a_sentence(model, bpe):
    for sample in written(model, bpe, Wishes(), n=6, max_length=60):
        assert sample.finished
        assert is_final(sample.text) or sample.tokens < 40  # an untrained model may end anywhere before


def test_what_is_opened_is_closed_and_nothing_else_is(model, bpe):
    for sample in written(model, bpe, Wishes(), ['He said "no', "A (small"], 6):
        stack: str | None = ""
        for mark in re.findall(r'[()\[\]“”"]', sample.text):
            stack = after(stack, mark)
            assert stack is not None
        assert stack == ""


def test_no_word_is_doubled(model, bpe):
    for sample in written(model, bpe, Wishes(), ["", "It was the"], 8, temperature=0.3):
        assert not re.search(r"(?i)(?<!\w)(\w+)\s+\1(?!\w)", sample.text)


def test_a_word_that_training_texts_double_may_be_doubled_and_a_slip_may_not():
    def training(doubled: int, single: int):
        texts = ["bye bye"] * doubled + ["bye now"] * single
        return sorted_suffixes(numbered([Record("", text) for text in texts]))

    assert DoubledWords(training(3, 100)).allowed("bye")
    assert not DoubledWords(training(1, 2000)).allowed("bye")
    assert not DoubledWords(training(3, 100)).allowed("now")
    assert not DoubledWords(None).allowed("bye")
    assert DoubledWords(None).allowed("日")


def test_without_mends_the_model_writes_as_it_likes(model, bpe):
    config = SamplingConfig.model_validate({"temperature": 1.0, "top_p": 0.95, "max_length": 200})
    assert processors_for(Wishes(mended=False), pieces_of(bpe)) == []
    plain = list(decode(model, Options(bpe, config), [Request("", 3)]))
    assert plain[0].tokens


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (Wishes(words=(120, 80)), "smaller number first"),
        (Wishes(words=(0, 80)), "from 1 word on"),
        (Wishes(required=("Sea",), without=("sea",)), "is to stand in the text, and is not to"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(wishes, said):
    with pytest.raises(OptionError, match=said):
        wishes.check()


@pytest.mark.parametrize("wishes", [Wishes(required=("...",)), Wishes(without=("  ",))])
def test_what_holds_no_word_is_refused(wishes, bpe):
    with pytest.raises(OptionError, match="holds no word"):
        processors_for(wishes, pieces_of(bpe))


def test_a_variation_has_no_long_part_of_the_text_beyond_its_prompt(bpe, starter_texts):
    model = small_model("ngram", bpe, order=6)
    text = starter_texts[3]
    for seed in range(3):
        config = SamplingConfig.model_validate({"max_length": 80})
        made = processors_for(Wishes(like=text), pieces_of(bpe))
        (sample,) = decode(model, Options(bpe, config, processors=made), [Request(" ".join(text.split()[:12]), seed)])
        own, words = words_of(text), words_of(sample.text)
        sequences = {tuple(own[i : i + 9]) for i in range(len(own) - 8)}
        start = len(words_of(" ".join(text.split()[:12])))
        assert not any(tuple(words[i : i + 9]) in sequences for i in range(start - 8, len(words) - 8))


def test_names_that_are_known_are_not_written(bpe, starter_texts):
    names = tuple({word for text in starter_texts for word in words_of(text)} - {"the", "a", "and", "of", "in"})
    model = small_model("lstm", bpe)
    made = processors_for(Wishes(names=False), pieces_of(bpe), names=names)
    config = SamplingConfig.model_validate({"max_length": 60})
    for sample in decode(model, Options(bpe, config, processors=made), [Request("", seed) for seed in range(4)]):
        assert isinstance(sample, Sample)
        assert not set(names) & set(words_of(sample.text))
