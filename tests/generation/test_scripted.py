"""The decode loop with a model that does as it is told: who is read when, who leaves, who joins."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from arasuji.config import SamplingConfig
from arasuji.generation import decode as module
from arasuji.generation.beams import Beams
from arasuji.generation.decode import Piece, decode
from arasuji.generation.texts import Options, Request, Sample
from arasuji.models import LanguageModel
from arasuji.tokenizers import word

GREEDY = SamplingConfig(temperature=0, max_length=10)


@dataclass
class Histories:
    """All that each row has read."""

    rows: list[tuple[int, ...]]

    def select(self, rows):
        return Histories([self.rows[i] for i in rows.tolist()])

    def join(self, other):
        return Histories(self.rows + other.rows)


class Scripted(LanguageModel):
    """After the end token and a prompt it wants to write the prompt's script, token by token; `calls` lists what its
    rows had read at each step. `wants` are tokens it wants even more."""

    def __init__(self, tokenizer, scripts, wants=()):
        super().__init__()
        self.size, self.wants, self.calls = tokenizer.vocabulary_size, list(wants), []
        self.scripts = {tuple(tokenizer.encode(p)): script for p, script in scripts.items()}
        self.end_id = tokenizer.end_id

    def step(self, ids, lengths, state=None):
        before = state.rows if state else [()] * len(ids)
        assert len(before) == len(ids) == len(lengths)
        new = [tuple(row[:n].tolist()) for row, n in zip(ids, lengths, strict=True)]
        rows = [b + n for b, n in zip(before, new, strict=True)]
        self.calls.append(rows)
        scores = torch.zeros(len(rows), self.size)
        for row, history in zip(scores, rows, strict=True):
            assert history[0] == self.end_id
            prompt = next(p for p in self.scripts if history[1 : 1 + len(p)] == p)
            row[self.scripts[prompt][len(history) - 1 - len(prompt)]] = 9.0
            row[self.wants] = 20.0
        return scores, Histories(rows)

    def forward(self, ids, targets, state=None):
        raise AssertionError("writing only steps")

    def save(self, folder):
        raise AssertionError("writing only steps")


@pytest.fixture
def letters():
    return word.build(word.Config(min_count=1), ["a b c d x y z"])


def spoken(calls, tokenizer):
    """What each step's rows had read, as words; `|` is the end token."""
    shown = {index: "|" if index == tokenizer.end_id else name for index, name in tokenizer.word_at.items()}
    return [["".join(shown[i] for i in row) for row in rows] for rows in calls]


def test_rows_leave_when_they_end_and_join_where_a_place_is_free(letters, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    x, y, z = (letters.index_of[w] for w in "xyz")
    end = letters.end_id
    model = Scripted(letters, {"a": [end], "b": [x, y, z, end], "c": [y, end], "d": [z, z, end]})
    given = list(decode(model, Options(letters, GREEDY), [Request(p, 0) for p in "abcd"]))
    assert spoken(model.calls, letters) == [
        ["|a", "|b"],  # both prompts are read at once
        ["|bx"],  # a has ended with its first token and is gone
        ["|c"],  # c is read
        ["|bxy", "|cy"],  # and written beside b
        ["|bxyz"],  # c has ended
        ["|d"],
        ["|dz"],  # b has ended as d's first token was written
        ["|dzz"],
    ]
    assert [(s.prompt, s.text, s.tokens, s.finished) for s in given] == [
        ("a", "a", 1, True),
        ("c", "c y", 2, True),
        ("b", "b x y z", 4, True),
        ("d", "d z z", 3, True),
    ]


def test_texts_join_when_enough_places_are_free(letters, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 4)
    monkeypatch.setattr(module, "JOINING", 2)
    x, end = letters.index_of["x"], letters.end_id
    scripts = {"a": [end], "b": [x, end], "c": [x, x, end], "d": [x, x, x, end], "x": [end], "y": [end]}
    model = Scripted(letters, scripts)
    list(decode(model, Options(letters, GREEDY), [Request(p, 0) for p in "abcdxy"]))
    assert spoken(model.calls, letters) == [
        ["|a", "|b", "|c", "|d"],
        ["|bx", "|cx", "|dx"],  # one of four places is free: nobody joins yet
        ["|cxx", "|dxx"],
        ["|x", "|y"],  # two of four: both who wait join
        ["|dxxx"],
    ]


def test_a_long_queue_keeps_the_batch_almost_full(letters):
    """Texts of many lengths: few places are free at a time, and few prompts are read alone."""
    x, end = letters.index_of["x"], letters.end_id
    names = ["a", "a b", "a b c", "a b c d", "b", "b c", "b c d", "c", "c d", "d"]
    scripts = {name: [x] * (3 + 5 * i) + [end] for i, name in enumerate(names)}
    model = Scripted(letters, scripts)
    requests = [Request(names[i * 7 % 10], 0) for i in range(400)]
    config = GREEDY.model_copy(update={"max_length": 60})
    assert len(list(decode(model, Options(letters, config), requests))) == 400
    steps = [len(call) for call in model.calls if any(row[-1] == x for row in call)]  # the others read prompts
    assert sum(steps[:-60]) / len(steps[:-60]) > 0.85 * module.BATCH_ROWS  # at the end the queue is empty


def test_prompts_of_different_lengths_are_each_read_to_their_own_end(letters):
    end = letters.end_id
    model = Scripted(letters, {"a b c": [end], "d": [end]})
    list(decode(model, Options(letters, GREEDY), [Request("a b c", 0), Request("d", 0)]))
    assert spoken(model.calls, letters) == [["|abc", "|d"]]


def test_an_end_as_the_last_token_allowed_is_a_finished_text(letters):
    x, end = letters.index_of["x"], letters.end_id
    for script, finished, text in (([x, x, end], True, "a x x"), ([x, x, x], False, "a x x x")):
        config = GREEDY.model_copy(update={"max_length": 3})
        (sample,) = decode(Scripted(letters, {"a": script}), Options(letters, config), [Request("a", 0)])
        assert (sample.finished, sample.text, sample.tokens) == (finished, text, 3)


def test_an_empty_text_is_a_text(letters):
    (sample,) = decode(Scripted(letters, {"": [letters.end_id]}), Options(letters, GREEDY), [Request("", 0)])
    assert (sample.text, sample.completion, sample.tokens, sample.finished) == ("", "", 1, True)


@pytest.mark.parametrize("changes", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_k": 2}, {"num_beams": 2}])
def test_pads_and_unknown_words_are_never_written_however_much_a_model_wants_them(letters, changes):
    x, end = letters.index_of["x"], letters.end_id
    model = Scripted(letters, {"a": [x, x, end, end]}, wants=letters.never_written)
    list(decode(model, Options(letters, GREEDY.model_copy(update={**changes, "max_length": 4})), [Request("a", 0)]))
    assert not {i for rows in model.calls for row in rows for i in row} & set(letters.never_written)


def test_an_end_that_comes_too_early_is_put_off(letters):
    x, end = letters.index_of["x"], letters.end_id
    model = Scripted(letters, {"a": [x, x, x, end, end]}, wants=[end])
    (sample,) = decode(model, Options(letters, GREEDY.model_copy(update={"min_length": 3})), [Request("a", 0)])
    assert (sample.text, sample.tokens, sample.finished) == ("a x x x", 4, True)


def test_half_a_character_is_not_shown_until_it_is_whole(bpe):
    wave, sea = bpe.encode("🌊"), bpe.encode("!")
    assert len(wave) > 1
    model = Scripted(bpe, {"a": [*wave, *sea, bpe.end_id]})
    pieces = [
        e.text for e in decode(model, Options(bpe, GREEDY), [Request("a", 0)], pieces=True) if isinstance(e, Piece)
    ]
    assert pieces == ["🌊", "!"]


def test_half_a_character_at_the_end_is_shown_as_the_text_shows_it(bpe):
    half = bpe.encode("🌊")[:-1]
    model = Scripted(bpe, {"a": [*half, bpe.end_id]})
    *pieces, sample = decode(model, Options(bpe, GREEDY), [Request("a", 0)], pieces=True)
    assert isinstance(sample, Sample)
    assert "".join(p.text for p in pieces) == sample.completion == "�"


def beams(count: int, seed: int = 0, greedy: bool = False) -> Beams:
    return Beams(count, end_id=0, generator=torch.Generator().manual_seed(seed), greedy=greedy)


def advance(several: Beams, scores: torch.Tensor) -> list[int]:
    """Where every token is a candidate."""
    return several.advance(scores, torch.arange(scores.shape[1]).expand(scores.shape))


def test_beams_keep_the_likeliest_and_a_finished_text_is_worth_its_mean():
    """By hand. Two beams, tokens 0 (end), 1, 2; probabilities as given."""
    kept = beams(2, greedy=True)
    assert advance(kept, torch.tensor([[0.2, 0.5, 0.3]]).log()) == [0, 0]
    assert kept.running == [[1], [2]]  # 0.5 and 0.3; the end has rank 3 of the best four, and only 2 may finish
    assert kept.finished == []
    # After [1]: end .7, 1 .2, 2 .1: 0.35, 0.1, 0.05. After [2]: end .1, 1 .1, 2 .8: 0.03, 0.03, 0.24.
    parents = advance(kept, torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]).log())
    assert (parents, kept.running) == ([1, 0], [[2, 2], [1, 1]])
    ((mean, tokens),) = kept.finished
    assert tokens == [1, 0]
    assert mean == pytest.approx(torch.tensor(0.35).log().item() / 2)
    assert not kept.done  # one of two beams has finished
    # After [2, 2]: end .9: 0.216, whose mean ln(0.216)/3 = -0.51 beats ln(0.35)/2 = -0.52.
    advance(kept, torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.6, 0.3]]).log())
    assert kept.done  # the best that runs: ln(0.06)/3 = -0.94
    assert kept.best() == [2, 2, 0]


def test_sampled_beams_are_drawn_without_replacement_by_their_probability():
    """Of a, b, c with p = .6, .3, .1 two are drawn and the likelier goes on: that is b only where b and c are drawn,
    with probability .3 * .1 / .7 + .1 * .3 / .9 = 0.0762."""
    scores = torch.tensor([[0.0, 0.6, 0.3, 0.1]]).log()
    draws, firsts = 4000, 0
    for seed in range(draws):
        one = beams(1, seed)
        advance(one, scores)
        firsts += one.running == [[2]]
    expected = 0.3 * 0.1 / 0.7 + 0.1 * 0.3 / 0.9
    assert firsts / draws == pytest.approx(expected, abs=4 * (expected * (1 - expected) / draws) ** 0.5)


def test_sampled_beams_never_take_what_is_forbidden_even_where_the_rest_is_next_to_impossible():
    """exp(-300) is zero in float32: the tokens allowed and those forbidden must not look alike."""
    scores = torch.full((1, 50), float("-inf"))
    scores[0, 1:7] = torch.tensor([0.0, -300.0, -310.0, -320.0, -330.0, -340.0])
    for seed in range(50):
        several = beams(3, seed)
        advance(several, scores)
        assert {tokens[0] for tokens in several.running} <= set(range(1, 7))
        assert several.running[0] == [1]
