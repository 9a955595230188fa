"""What the decode loop promises, whatever model writes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from arasuji import models
from arasuji.config import SamplingConfig
from arasuji.errors import PromptError
from arasuji.generation import decode as module
from arasuji.generation.decode import Piece, decode
from arasuji.generation.texts import Options, Request, Sample

PROMPTS = ["", "After years", "The old keeper of a light house finds a letter", "Spike was", "zorblax", "🌊 storm"]
ARTICLE = {"min_length": 3, "no_repeat_ngram_size": 2, "temperature": 0.6, "top_k": 20, "top_p": 0.95}


@pytest.fixture(params=models.families())
def model(request, make, words):
    return make(request.param, words)


def sampling(**values) -> SamplingConfig:
    return SamplingConfig(**{"max_length": 12} | values)


def samples(model, tokenizer, requests, config) -> list[Sample]:
    """In the order of the requests."""
    given = [event for event in decode(model, Options(tokenizer, config), requests) if isinstance(event, Sample)]
    assert sorted(s.index for s in given) == list(range(len(requests)))
    return sorted(given, key=lambda s: s.index)


def same(sample: Sample) -> tuple[str, int, bool]:
    """All that a batch must not change."""
    return sample.text, sample.tokens, sample.finished


def transformers_continuation(model, tokenizer, prompt: str, **options) -> tuple[str, int, bool]:
    """transformers' own `generate` on one prompt, alone: completion, new tokens, whether it ended."""
    before = tokenizer.encode(prompt)
    ids = torch.tensor([[tokenizer.end_id, *before]])
    new = model.network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=12,
        eos_token_id=tokenizer.end_id,
        pad_token_id=tokenizer.pad_id,
        suppress_tokens=tokenizer.never_written,
        **options,
    )[0, ids.shape[1] :].tolist()
    if tokenizer.end_id in new:
        new = new[: new.index(tokenizer.end_id) + 1]
    new = [token for token in new if token != tokenizer.pad_id]
    finished = new[-1:] == [tokenizer.end_id]
    return tokenizer.continuation(before, new[:-1] if finished else new), len(new), finished


def ending(model, tokenizer, eagerness: float):
    """The same GPT-2 with the end token made likelier, so that texts end at all lengths."""
    body = model.network.transformer
    with torch.no_grad():
        end = body.wte.weight[tokenizer.end_id]
        body.ln_f.bias += eagerness * end / end.norm()
    return model


@pytest.mark.parametrize("ours", [{}, {"no_repeat_ngram_size": 2, "min_length": 4}])
def test_at_temperature_zero_a_ragged_batch_equals_transformers_generate_on_each_alone(make, words, ours):
    theirs = {"no_repeat_ngram_size": ours.get("no_repeat_ngram_size"), "min_new_tokens": ours.get("min_length")}
    ended = set()
    for seed in range(4):
        model = ending(make("transformer", words, seed), words, eagerness=0.8 * seed)
        for sample in samples(model, words, [Request(p, 0) for p in PROMPTS], sampling(temperature=0, **ours)):
            expected = transformers_continuation(model, words, sample.prompt, **theirs)
            assert (sample.completion, sample.tokens, sample.finished) == expected
            ended.add(sample.finished)
    assert ended == {True, False}  # both ways of stopping were seen


@pytest.mark.parametrize("ours", [{}, {"no_repeat_ngram_size": 2, "min_length": 4}])
def test_beams_at_temperature_zero_equal_transformers_beam_search(make, words, ours):
    theirs = {"no_repeat_ngram_size": ours.get("no_repeat_ngram_size"), "min_new_tokens": ours.get("min_length")}
    ended = set()
    for seed in range(6):
        model = ending(make("transformer", words, seed), words, eagerness=0.5 * seed)
        config = sampling(temperature=0, num_beams=5, **ours)
        for sample in samples(model, words, [Request(p, 0) for p in PROMPTS], config):
            expected = transformers_continuation(
                model, words, sample.prompt, num_beams=5, length_penalty=1.0, early_stopping=False, **theirs
            )
            assert (sample.completion, sample.tokens, sample.finished) == expected
            ended.add(sample.finished)
    assert ended == {True, False}


@pytest.mark.parametrize(
    "settings", [{}, ARTICLE, ARTICLE | {"num_beams": 2}, {"repetition_penalty": 1.5, "min_p": 0.02}]
)
def test_a_text_does_not_depend_on_the_batch_it_is_written_in(model, words, settings, monkeypatch):
    config = sampling(**settings)
    requests = [Request(PROMPTS[i % len(PROMPTS)], 70 + i) for i in range(20)]
    alone = [same(samples(model, words, [request], config)[0]) for request in requests]
    for rows in (4, 32):
        monkeypatch.setattr(module, "BATCH_ROWS", rows)
        assert [same(sample) for sample in samples(model, words, requests, config)] == alone


@pytest.mark.parametrize("beams", [1, 3])
def test_the_same_seed_writes_the_same_text_and_another_seed_another(model, words, beams):
    config = sampling(num_beams=beams)
    requests = [Request("After years", seed) for seed in range(6)]
    first, again = samples(model, words, requests, config), samples(model, words, requests, config)
    assert first == again
    assert [s.seed for s in first] == list(range(6))
    assert len({s.text for s in first}) > 1


def test_the_global_generator_is_neither_read_nor_moved(model, words):
    torch.manual_seed(1)
    first = samples(model, words, [Request("", 0)], sampling())
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert samples(model, words, [Request("", 0)], sampling()) == first
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("beams", [1, 3])
def test_lengths_are_respected_and_finished_says_how_a_text_stopped(model, words, beams):
    config = sampling(min_length=4, max_length=9, num_beams=beams)
    written = samples(model, words, [Request(PROMPTS[i % 3], i) for i in range(30)], config)
    for sample in written:
        assert len(words.encode(sample.completion)) == sample.tokens - sample.finished
        assert sample.tokens - sample.finished >= 4
        assert sample.tokens <= 9
        assert sample.finished or sample.tokens == 9
    if beams == 1:
        assert {s.finished for s in written} == {True, False}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_tokens_is_written_twice(make, words, size):
    model = make("transformer", words)
    config = sampling(no_repeat_ngram_size=size, max_length=30, temperature=0.5)
    for sample in samples(model, words, [Request("the old keeper", i) for i in range(8)], config):
        ids = words.encode(sample.text)
        runs = [tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)]
        assert len(runs) == len(set(runs))


def test_a_vocabulary_used_up_ends_the_text(make, words):
    config = sampling(no_repeat_ngram_size=1, min_length=200, max_length=200)
    for beams in (1, 2):
        model = make("lstm", words)
        (sample,) = samples(model, words, [Request("", 0)], config.model_copy(update={"num_beams": beams}))
        assert sample.finished
        assert sample.tokens == words.vocabulary_size - len(words.never_written)  # every word once, and the end


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t", "🌊👩‍🚀", "zorblax QWERTZ", "the", "The old keeper\n", "..."])
@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_any_prompt_is_continued_and_stands_unchanged_before_its_completion(model, request, kind, prompt, make):
    tokenizer = request.getfixturevalue(kind)
    family = next(name for name in models.families() if type(model).__module__.endswith(name))
    (sample,) = samples(make(family, tokenizer), tokenizer, [Request(prompt, 3)], sampling(min_length=2))
    assert sample.prompt == prompt
    assert sample.text == (prompt.rstrip() + sample.completion).strip()
    assert 1 <= sample.tokens <= 12


def test_a_prompt_of_spaces_is_an_empty_one(model, words):
    empty, spaces = samples(model, words, [Request("", 5), Request(" \n ", 5)], sampling())
    assert spaces.completion == empty.completion


def test_what_was_written_is_what_the_prompt_did_not_hold(make, words):
    (sample,) = samples(make("lstm", words), words, [Request("Spike Wasn't zorblax", 5)], sampling(min_length=3))
    assert sample.text.startswith("Spike Wasn't zorblax ")
    assert "<unk>" not in sample.text


@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_stops_where_the_context_is_full(make, words, beams):
    model = make("transformer", words, context_length=10)
    for length in range(9):
        prompt = " ".join(["the"] * length)
        config = sampling(min_length=50, max_length=50, num_beams=beams)
        (sample,) = samples(model, words, [Request(prompt, 0)], config)
        assert 1 + length + sample.tokens == 10
        assert not sample.finished


@pytest.mark.parametrize("length", [9, 10, 30])
def test_a_prompt_beyond_the_context_is_refused_in_one_line(make, words, length):
    model = make("transformer", words, context_length=10)
    with pytest.raises(PromptError) as caught:
        samples(model, words, [Request("the\n" * length, 0)], sampling())
    assert "\n" not in str(caught.value)
    assert "shorten it" in str(caught.value)


def test_a_model_without_a_limit_takes_a_prompt_of_any_length(make, words):
    (sample,) = samples(make("lstm", words), words, [Request("the " * 500, 0)], sampling())
    assert sample.tokens


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_the_pieces_of_a_text_joined_are_its_completion(request, make, kind, beams):
    tokenizer = request.getfixturevalue(kind)
    shown: dict[int, str] = {}
    done: dict[int, Sample] = {}
    for event in decode(
        make("lstm", tokenizer),
        Options(tokenizer, sampling(num_beams=beams, max_length=20)),
        [Request(PROMPTS[i % len(PROMPTS)], i) for i in range(40)],
        pieces=True,
    ):
        if isinstance(event, Piece):
            assert event.text
            assert event.index not in done  # a text's pieces come before its sample
            shown[event.index] = shown.get(event.index, "") + event.text
        else:
            done[event.index] = event
    assert len(done) == 40
    assert {i: s.completion for i, s in done.items() if s.completion} == shown


def test_no_requests_write_nothing(make, words):
    assert list(decode(make("lstm", words), Options(words, sampling()), [])) == []


def test_requests_are_taken_as_there_is_room_and_not_all_at_once(make, words, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 4)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield Request("", len(taken))

    writing = decode(make("lstm", words), Options(words, sampling()), endless())
    for _ in range(3):
        next(writing)
    assert len(taken) < 20


def test_beams_find_a_text_at_least_as_likely_as_the_greedy_one(make, words):
    """Where both end at the same length; otherwise a mean says nothing about the other."""

    def mean(model, sample):
        prompt, new = words.encode(sample.prompt), words.encode(sample.completion)
        new += [words.end_id] * sample.finished
        ids = [words.end_id, *prompt, *new]
        targets = [-100] * len(prompt) + new
        nats, _ = model(torch.tensor([ids[:-1]]), torch.tensor([targets]))
        return -nats.sum().item() / len(new)

    better = []
    for seed in range(8):
        model = make("lstm", words, seed)
        for prompt in PROMPTS[:3]:
            greedy, beam = (
                samples(model, words, [Request(prompt, 0)], sampling(temperature=0, num_beams=n, min_length=12))[0]
                for n in (1, 8)
            )
            assert greedy.tokens == beam.tokens == 12
            better.append(mean(model, beam) - mean(model, greedy))
    assert sum(gain > 1e-4 for gain in better) > len(better) / 2
    assert sum(better) > 0


def test_repetition_is_penalised_over_prompt_and_text(make, words):
    def repeats(penalty: float) -> int:
        config = sampling(repetition_penalty=penalty, max_length=30, min_length=30, temperature=0.7)
        ids = [
            words.encode(s.text)
            for s in samples(make("transformer", words), words, [Request("the old", i) for i in range(6)], config)
        ]
        return sum(len(one) - len(set(one)) for one in ids)

    assert repeats(3.0) < repeats(1.0)


def test_neighbouring_seeds_give_unrelated_first_words(make, words):
    written = samples(
        make("lstm", words), words, [Request("", seed) for seed in range(40)], sampling(max_length=1, temperature=3)
    )
    first = [s.completion for s in written]
    assert len(set(first)) > 10
    assert sum(a == b for a, b in pairwise(first)) < 20
