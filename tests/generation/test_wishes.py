"""A text has the words that it must have and none that it must not, is as long as it may be, and ends whole."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import torch
from conftest import small_model
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.corpus.index import numbered
from arasuji.corpus.script import count_words, words_of
from arasuji.corpus.sentences import is_final
from arasuji.corpus.suffixes import sorted_suffixes
from arasuji.errors import OptionError, PromptError
from arasuji.generation.decode import decode
from arasuji.generation.ending import endings_of
from arasuji.generation.mending import Balanced, DoubledWords, after, marks_of
from arasuji.generation.pieces import pieces_of
from arasuji.generation.texts import Options, Request, Sample
from arasuji.generation.wishes import Wishes, processors_for
from arasuji.tokenizers import word

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


def test_what_is_open_is_closed_before_a_new_line_begins(bpe):
    row = Balanced(marks_of(pieces_of(bpe)))
    row.begin([], 'He said "no', 10)
    lines = [token for token in range(bpe.vocabulary_size) if bpe.decode([token]) in ("\n", "\n\n")]
    scores = torch.zeros(bpe.vocabulary_size).index_fill_(0, torch.tensor(lines), 20.0)
    row(scores, 0)
    assert torch.isinf(scores[[bpe.end_id, *lines]]).all()
    assert bpe.decode([int(scores.argmax())]) == '"'


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
        ({"words": (120, 80)}, "the smaller number comes first"),
        ({"words": (0, 80)}, "1 or more"),
        ({"words": "20..30"}, "the smallest and the largest number"),
        ({"words": (1, 2), "required": "a very old harbour"}, "4 words are to stand in the text"),
        ({"required": ("Sea",), "without": ("sea",)}, "'Sea' is to stand in the text, and 'sea' is not to"),
        ({"required": "the old bellows", "without": " OLD "}, "'OLD' is not to"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(wishes, said):
    with pytest.raises(OptionError, match=said):
        Wishes(**wishes)


def test_a_single_word_may_be_given_as_it_is_in_any_form_of_its_accents():
    assert Wishes(required="harbour").required == ("harbour",)
    assert Wishes(without="Cafe\u0301").without == ("Café",)


def test_a_word_that_must_stand_in_the_text_may_be_a_doubled_one(model, bpe):
    for sample in written(model, bpe, Wishes(required="bye bye"), n=2):
        assert ("bye", "bye") in pairwise(words_of(sample.text))


def test_a_word_that_is_kept_out_of_all_texts_cannot_be_asked_for(bpe):
    with pytest.raises(OptionError, match="'harbour' is to stand in the text, and is kept out"):
        processors_for(Wishes(required="harbour"), pieces_of(bpe), names=("harbour",))


@pytest.mark.parametrize(
    ("prompt", "words", "said"),
    [
        ("A baker and his two sons", (2, 4), "the prompt has 6 words, and 4"),
        ("", (300, 400), "room for 200 more tokens"),
    ],
)
def test_a_length_that_a_prompt_cannot_have_is_refused(bpe, prompt, words, said):
    with pytest.raises(PromptError, match=said):
        written(small_model("lstm", bpe), bpe, Wishes(words=words), [prompt], 1)


def test_a_text_that_must_go_on_begins_no_line_where_it_would_have_ended(bpe):
    endings = endings_of(pieces_of(bpe))
    scores = torch.zeros(bpe.vocabulary_size)
    endings.go_on(scores.index_fill_(0, torch.tensor([bpe.end_id]), 1.0))
    assert set(endings.lines.tolist()) == {
        token for token in range(len(scores)) if bpe.decode([token]) in ("\n", "\n\n")
    }
    assert torch.isinf(scores[[bpe.end_id, *endings.lines.tolist()]]).all()
    scores = torch.zeros(bpe.vocabulary_size).index_fill_(0, torch.tensor([bpe.end_id]), -1.0)
    endings.go_on(scores)
    assert torch.isinf(scores).nonzero().tolist() == [[bpe.end_id]]


def test_a_model_of_words_ends_with_a_sentence_too(starter_texts):
    words = word.build(word.Config(min_count=3), starter_texts)
    model = small_model("lstm", words)
    for sample in written(model, words, Wishes(), n=8, max_length=60):
        assert sample.finished
        assert is_final(sample.text) or sample.tokens < 40
        assert sample.text.count('"') % 2 == 0
    for sample in written(model, words, Wishes(words=(20, 30)), n=8):
        assert sample.finished
        assert is_final(sample.text)
        assert 20 <= count_words(sample.text) <= 30


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
