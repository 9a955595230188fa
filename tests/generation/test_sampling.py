"""What the steps from scores to a token promise: transformers' own results, and honest draws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinLengthLogitsProcessor,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from arasuji.config import SamplingConfig
from arasuji.generation import sampling
from arasuji.generation.processors import NoRepeatedNgrams, RepetitionPenalty, processors_of
from arasuji.generation.sampling import Candidates, candidates, draw, keep_min_p, keep_top_p, uniform

ROWS, VOCABULARY, LENGTH, END = 6, 40, 12, 0


def scores_of(seed: int, vocabulary: int = VOCABULARY) -> torch.Tensor:
    return 3 * torch.randn(ROWS, vocabulary, generator=torch.Generator().manual_seed(seed))


def written_of(seed: int, vocabulary: int = 6, length: int = LENGTH) -> torch.Tensor:
    """Tokens of few kinds, so that runs repeat."""
    return torch.randint(1, vocabulary, (ROWS, length), generator=torch.Generator().manual_seed(seed))


def spread(found: Candidates, vocabulary: int = VOCABULARY) -> torch.Tensor:
    """The candidates' scores at their places among all tokens: (B, V), -inf elsewhere."""
    return torch.full((ROWS, vocabulary), float("-inf")).scatter(-1, found.ids, found.scores)


def processed(scores, written, new, make):
    """The scores after each row has read its tokens, by processors that `make` gives anew for each row."""
    scores = scores.clone()
    for row, tokens, count in zip(scores, written, new, strict=True):
        for processor in make():
            for token in tokens:
                processor.read(token)
            change(row, processor, count)
    return scores


def change(row, processor, count):
    """The row's scores with what one processor changes and forbids."""
    processor(row, count)
    row[list(processor.forbidden(count))] = float("-inf")


def shaped(scores, written, new, config, end_id, never):
    """What each row chooses among, all steps together."""
    scores = scores.clone()
    scores[:, never] = float("-inf")
    scores = processed(scores, written, new, lambda: processors_of(config, end_id))
    return candidates(scores, [config] * len(scores), end_id)


def penalty(by):
    return lambda s, w: processed(s, w, [0] * ROWS, lambda: [RepetitionPenalty(by)])


def no_ngrams(size):
    return lambda s, w: processed(s, w, [0] * ROWS, lambda: [NoRepeatedNgrams(size)])


SINGLE = {
    "repetition 1.3": (penalty(1.3), RepetitionPenaltyLogitsProcessor(1.3)),
    "repetition 0.7": (penalty(0.7), RepetitionPenaltyLogitsProcessor(0.7)),
    "1-grams": (no_ngrams(1), NoRepeatNGramLogitsProcessor(1)),
    "2-grams": (no_ngrams(2), NoRepeatNGramLogitsProcessor(2)),
    "3-grams": (no_ngrams(3), NoRepeatNGramLogitsProcessor(3)),
    "n-grams as long as the text": (no_ngrams(12), NoRepeatNGramLogitsProcessor(12)),
    "n-grams longer than the text": (no_ngrams(20), NoRepeatNGramLogitsProcessor(20)),
    "top-p 0.9": (lambda s, w: keep_top_p(s, 0.9), TopPLogitsWarper(0.9)),
    "top-p 0.3": (lambda s, w: keep_top_p(s, 0.3), TopPLogitsWarper(0.3)),
    "top-p 1e-6": (lambda s, w: keep_top_p(s, 1e-6), TopPLogitsWarper(1e-6)),
    "min-p 0.05": (lambda s, w: keep_min_p(s, math.log(0.05)), MinPLogitsWarper(0.05)),
    "min-p 1": (lambda s, w: keep_min_p(s, 0.0), MinPLogitsWarper(1.0)),
}


@pytest.mark.parametrize("name", SINGLE)
def test_each_step_equals_that_of_transformers(name):
    ours, theirs = SINGLE[name]
    for seed in range(5):
        scores, written = scores_of(seed), written_of(seed)
        before = scores.clone()
        expected = theirs(written, scores.clone())
        torch.testing.assert_close(ours(scores, written.tolist()), expected, rtol=0, atol=0)
        torch.testing.assert_close(scores, before, rtol=0, atol=0)  # the scores given are left alone


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    levels=st.lists(st.sampled_from([float("-inf"), -200.0, -5.0, 0.0, 0.001, 1.0, 9.0]), min_size=2, max_size=3000),
    p=st.floats(1e-9, 0.999999),
)
def test_the_nucleus_is_the_fewest_that_reach_p_also_of_many_and_of_ties(levels, p):
    scores = torch.tensor([levels, [float("-inf")] * len(levels), [1.0] * len(levels)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "SORTED", 0)
        kept = keep_top_p(scores, p).isfinite()
    for row, mask in zip(scores.double(), kept, strict=True):
        shares = row.softmax(0).nan_to_num(0)
        if shares.sum() == 0:
            continue
        falling = shares.sort(descending=True).values
        count = int(mask.sum())
        assert torch.equal(shares[mask].sort(descending=True).values, falling[:count])  # the likeliest
        assert falling[:count].sum() >= p - 1e-5  # they reach p
        assert count == 1 or falling[: count - 1].sum() < p + 1e-5  # one less does not


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    size=st.integers(1, 700),
    count=st.integers(1, 9),
    block=st.sampled_from([2, 7, 64]),
    seed=st.integers(0, 1000),
    levels=st.sampled_from([3, 10**6]),
)
def test_the_likeliest_are_found_by_blocks_as_one_by_one(size, count, block, seed, levels):
    scores = torch.randint(0, levels, (3, size), generator=torch.Generator().manual_seed(seed)).float()
    scores[1, : size // 2] = float("-inf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "BLOCK", block)
        kept = shaped(scores, [[]] * 3, [0] * 3, SamplingConfig(temperature=1.0, top_k=count, top_p=1.0), 0, [])
    assert (kept.ids.diff() > 0).all()  # rising, so none twice
    torch.testing.assert_close(kept.scores.sort(descending=True).values, scores.topk(min(count, size)).values)


def theirs_of(config: SamplingConfig, prompt: int, never: list[int]) -> LogitsProcessorList:
    """What transformers' `generate` composes from the same settings, in its order."""
    steps = LogitsProcessorList([SuppressTokensLogitsProcessor(never)])
    if config.repetition_penalty != 1:
        steps.append(RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
    if config.no_repeat_ngram_size:
        steps.append(NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if config.min_length:
        steps.append(MinLengthLogitsProcessor(prompt + config.min_length, END))
    if config.temperature:
        if config.temperature != 1:
            steps.append(TemperatureLogitsWarper(config.temperature))
        if config.top_k:
            steps.append(TopKLogitsWarper(config.top_k))
        if config.top_p < 1:
            steps.append(TopPLogitsWarper(config.top_p))
        if config.min_p:
            steps.append(MinPLogitsWarper(config.min_p))
    return steps


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    config=st.builds(
        SamplingConfig,
        min_length=st.sampled_from([0, 3, 8]),
        repetition_penalty=st.sampled_from([1.0, 1.2, 2.0]),
        no_repeat_ngram_size=st.integers(0, 3),
        temperature=st.sampled_from([0.0, 0.6, 1.0, 1.7]),
        top_k=st.sampled_from([0, 1, 5, 1000]),
        top_p=st.sampled_from([0.5, 0.95, 1.0]),
        min_p=st.sampled_from([0.0, 0.1]),
    ),
    seed=st.integers(0, 1000),
    new=st.integers(0, LENGTH),
    sorted_up_to=st.sampled_from([0, 1024]),
)
def test_all_steps_together_equal_transformers_composition(config, seed, new, sorted_up_to):
    scores, written, never = scores_of(seed), written_of(seed), [1, 39]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "SORTED", sorted_up_to)  # how the likeliest are found changes nothing
        ours = spread(shaped(scores, written.tolist(), [new] * ROWS, config, END, never))
    expected = theirs_of(config, LENGTH - new, never)(written, scores)
    if config.temperature == 0:  # the likeliest are enough
        expected = expected.masked_fill(expected < expected.topk(2).values[:, -1:], float("-inf"))
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)


def test_rows_of_different_lengths_are_shaped_as_each_alone():
    config = SamplingConfig(min_length=3, repetition_penalty=1.5, no_repeat_ngram_size=2, top_k=8, top_p=0.9)
    scores = scores_of(0)
    written = [written_of(1)[i, : 2 * i].tolist() for i in range(ROWS)]
    new = list(range(ROWS))
    together = shaped(scores, written, new, config, END, [1])
    for i in range(ROWS):
        alone = shaped(scores[i : i + 1], written[i : i + 1], new[i : i + 1], config, END, [1])
        torch.testing.assert_close(together.scores[i : i + 1], alone.scores, rtol=0, atol=0)
        assert torch.equal(together.ids[i : i + 1], alone.ids)


def test_of_equally_likely_tokens_the_same_are_kept_in_any_batch():
    tied = torch.zeros(3000)  # an n-gram model gives all tokens that it has not seen the same probability
    other = torch.zeros(3000)
    other[:7] = 5
    alone, together = keep_top_p(tied[None], 0.5), keep_top_p(torch.stack([tied, other]), 0.5)
    assert torch.equal(alone[0], together[0])
    assert alone[0].isfinite().nonzero()[:, 0].tolist() == list(range(alone[0].isfinite().sum()))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    before=st.lists(st.integers(1, 5), max_size=12),
    one=st.lists(st.integers(1, 5), max_size=6),
    other=st.lists(st.integers(1, 5), max_size=6),
    size=st.integers(1, 4),
)
def test_a_processor_that_forks_reads_on_alone(before, one, other, size):
    config = SamplingConfig(min_length=2, repetition_penalty=1.5, no_repeat_ngram_size=size)

    def scores(processors):
        row = scores_of(0)[0].clone()
        for processor in processors:
            change(row, processor, len(one))
        return row

    def read(processors, tokens):
        for processor in processors:
            for token in tokens:
                processor.read(token)
        return processors

    first = read(processors_of(config, END), before)
    second = read([processor.fork() for processor in first], other)
    read(first, one)
    assert torch.equal(scores(first), scores(read(processors_of(config, END), before + one)))
    assert torch.equal(scores(second), scores(read(processors_of(config, END), before + other)))


def test_a_text_that_may_write_nothing_more_ends():
    config = SamplingConfig(min_length=50, no_repeat_ngram_size=1)
    every = [list(range(1, VOCABULARY))] * ROWS
    for temperature in (0.0, 1.0):
        chosen = shaped(
            scores_of(0), every, [5] * ROWS, config.model_copy(update={"temperature": temperature}), END, []
        )
        assert spread(chosen).isfinite().sum(1).tolist() == [1] * ROWS
        assert spread(chosen).argmax(1).tolist() == [END] * ROWS


def numbers(seeds):
    """What rows with such seeds draw by."""
    return [uniform(torch.Generator().manual_seed(seed)) for seed in seeds]


def drawn(scores: torch.Tensor, count: int, seed: int = 0) -> torch.Tensor:
    """How often each token is drawn from one row of scores (V,)."""
    own = numbers([seed])
    tokens = torch.cat([draw(scores[None].expand(500, -1), own * 500) for _ in range(count // 500)])
    return torch.bincount(tokens, minlength=len(scores))


def chi_square(counts: torch.Tensor, probabilities: torch.Tensor) -> float:
    expected = probabilities * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def limit(kinds: int) -> float:
    """The chi-square value that chance exceeds once in a thousand (Wilson and Hilferty's approximation)."""
    freedom = kinds - 1
    return freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3


def test_draws_follow_the_probabilities():
    scores = scores_of(3, vocabulary=12)[0] / 3
    assert chi_square(drawn(scores, 20_000), scores.softmax(0)) < limit(12)


def test_the_top_k_are_drawn_by_their_renormalised_probability_and_not_alike():
    """The article drew uniformly among them."""
    scores = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0, 1.5])
    found = shaped(scores[None], [[]], [0], SamplingConfig(top_k=3), END, [])
    kept = torch.tensor([0, 1, 5])
    assert torch.equal(found.ids[0], kept)
    counts = drawn(found.scores[0], 10_000)
    assert chi_square(counts, scores[kept].softmax(0)) < limit(3)
    assert chi_square(counts, torch.full((3,), 1 / 3)) > 100 * limit(3)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(allowed=st.sets(st.integers(0, VOCABULARY - 1), min_size=1), seed=st.integers(0, 10**6))
def test_what_is_forbidden_is_not_drawn(allowed, seed):
    scores = torch.full((ROWS, VOCABULARY), float("-inf"))
    kept = sorted(allowed)
    scores[:, kept] = 20 * scores_of(seed)[:, kept]
    assert set(draw(scores, numbers(range(seed, seed + ROWS))).tolist()) <= allowed


def test_a_row_is_drawn_by_its_own_numbers_alone():
    scores = scores_of(5)
    together = draw(scores, numbers(range(ROWS)))
    for i in range(ROWS):
        assert draw(scores[i : i + 1], numbers([i])).item() == together[i]
    others = draw(scores.flip(0), numbers(reversed(range(ROWS)))).flip(0)
    assert torch.equal(others, together)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    draw(scores, numbers(range(ROWS)))
    assert torch.equal(torch.random.get_rng_state(), before)  # the global generator is not touched


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_draws_what_the_cpu_draws():
    scores = scores_of(5, 50_000)
    own = draw(scores.cuda(), numbers(range(ROWS)))
    assert own.is_cuda
    assert torch.equal(own.cpu(), draw(scores, numbers(range(ROWS))))


def test_numbers_drawn_ahead_are_those_drawn_one_by_one():
    own, alone = numbers([7])[0], torch.Generator().manual_seed(7)
    for _ in range(200):
        assert next(own) == torch.rand((), generator=alone, dtype=torch.float64).item()


def test_temperature_towards_zero_draws_the_likeliest():
    scores = scores_of(6)
    cold = shaped(scores, [[]] * ROWS, [0] * ROWS, SamplingConfig(temperature=1e-3), END, [])
    greedy = shaped(scores, [[]] * ROWS, [0] * ROWS, SamplingConfig(temperature=0), END, [])
    tokens = draw(spread(cold), numbers(range(ROWS)))
    assert torch.equal(tokens, spread(greedy).argmax(-1))


@pytest.mark.parametrize("size", [4096, 50_257, 151_936])
def test_the_nucleus_of_a_flat_row_is_found_where_hardly_any_token_is_left_out(size):
    for p in (0.9, 0.999, 0.9999999):
        kept = torch.isfinite(sampling.keep_top_p(torch.zeros(2, size), p)).sum(1).tolist()
        assert kept[0] == kept[1]
        assert abs(kept[0] - p * size) <= 1
