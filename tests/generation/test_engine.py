"""What the engine promises to whoever hands in texts and takes them back: a page, a notebook, a report."""

from __future__ import annotations

import sys
import threading

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arasuji import api, device, models
from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.documents import Document, document_of
from arasuji.errors import PromptError
from arasuji.generation import decode as prompts
from arasuji.generation.decode import decode
from arasuji.generation.engine import Engine, Event, Finished, Request, Token
from arasuji.generation.processors import Processor
from arasuji.generation.texts import Options, Sample
from arasuji.models import LanguageModel
from arasuji.runs import TrainedModel

PROMPTS = ["", "After years", "The old keeper of a light house finds a letter", "zorblax", "🌊 storm"]
SETTINGS = [
    {},
    {"temperature": 0},
    {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "no_repeat_ngram_size": 2, "min_length": 3},
    {"top_k": 5},
    {"repetition_penalty": 1.5, "min_p": 0.02},
    {"num_beams": 3, "temperature": 0.8},
    {"num_beams": 2, "temperature": 0, "no_repeat_ngram_size": 2},
]


class Once:
    """A state that may be used once, as the contract of families has it."""

    def __init__(self, state):
        self.state, self.used = state, False

    def use(self):
        assert not self.used, "a state was used after `step`, `select` or `join` was given it"
        self.used = True
        return self.state

    def select(self, rows):
        return Once(self.use().select(rows))

    def join(self, other):
        return Once(self.use().join(other.use()))


class Careful(LanguageModel):
    """A model of any family, whose states may be used once."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.context_length, self.vocabulary_size = inner, inner.context_length, inner.vocabulary_size

    def step(self, ids, lengths, state=None):
        scores, after = self.inner.step(ids, lengths, state.use() if state else None)
        return scores, Once(after)

    def forward(self, ids, targets, state=None):
        raise AssertionError("writing only steps")

    def save(self, folder):
        raise AssertionError("writing only steps")


@pytest.fixture(params=models.families())
def model(request, make, words):
    return Careful(make(request.param, words))


def beginning_of(prompt: str, tokenizer) -> Document:
    return document_of(Record("", prompt), tokenizer, whole=False)


def request(tokenizer, index: int, streamed: bool = False, likeliest: int | None = None, **changes) -> Request:
    """The same text each time, of one of several prompts and settings."""
    config = SamplingConfig(**{"max_length": 12} | SETTINGS[index % len(SETTINGS)] | changes)
    document = beginning_of(PROMPTS[index % len(PROMPTS)], tokenizer)
    return Request(document, config, seed=index, streamed=streamed, likeliest=likeliest)


def run(engine: Engine) -> list[Event]:
    """All events until nothing is left to write."""
    events: list[Event] = []
    while engine.busy or engine.waiting:
        events += engine.step()
    return events


def finished(events: list[Event]) -> dict[int, tuple[list[int], str, bool]]:
    return {e.id: (e.ids, e.completion, e.ended) for e in events if isinstance(e, Finished)}


def alone(model, tokenizer, wanted: Request) -> tuple[list[int], str, bool]:
    engine = Engine(model, tokenizer)
    number = engine.submit(wanted)
    return finished(run(engine))[number]


def test_texts_with_different_settings_in_one_batch_equal_the_same_texts_alone(model, words):
    engine = Engine(model, words)
    wanted = {engine.submit(request(words, i)): request(words, i) for i in range(3 * len(SETTINGS))}
    together = finished(run(engine))
    assert together == {number: alone(model, words, one) for number, one in wanted.items()}


def test_a_submit_in_the_middle_changes_no_other_text(model, words):
    engine = Engine(model, words)
    first = {engine.submit(request(words, i)): i for i in range(5)}
    events = [event for _ in range(3) for event in engine.step()]
    late = {engine.submit(request(words, i)): i for i in range(5, 8)}
    texts = finished(events + run(engine))
    for number, i in (first | late).items():
        assert texts[number] == alone(model, words, request(words, i))


@pytest.fixture(params=["lstm", "transformer"])
def exact(request, make, words, tmp_path):
    """A model in 8 bits: a row of its products does not change with the number of rows, as it does in float32."""
    family = models.family(request.param)
    (tmp_path / "whole").mkdir()
    (tmp_path / "light").mkdir()
    make(request.param, words).save(tmp_path / "whole")
    family.quantize(tmp_path / "whole", tmp_path / "light")
    return family.load(tmp_path / "light", torch.int8)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_cancelled_text_is_gone_at_the_next_step_and_the_others_are_the_same_to_the_last_bit(exact, words, beams):
    def events_of(cancelled: bool) -> list[Event]:
        engine = Engine(exact, words)
        for i in range(4):
            engine.submit(request(words, 3, streamed=True, min_length=9, num_beams=beams if i == 1 else 1))
        events = [event for _ in range(3) for event in engine.step()]
        if cancelled:
            engine.cancel(1)
            before = engine.busy
            events += engine.step()
            assert engine.busy == before - 1
        return events + run(engine)

    kept = [event for event in events_of(cancelled=False) if event.id != 1]
    left = events_of(cancelled=True)
    assert not [event for event in left if event.id == 1 and isinstance(event, Finished)]
    assert [event for event in left if event.id != 1] == kept


def test_a_text_that_waits_can_be_cancelled_and_one_that_is_finished_too(make, words):
    engine = Engine(make("lstm", words), words, rows=1)
    first, second, third = (engine.submit(request(words, i)) for i in range(3))
    engine.step()
    engine.cancel(second)
    events = run(engine)
    assert {event.id for event in events} == {first, third}
    engine.cancel(first)
    engine.cancel(12345)
    assert engine.step() == []


def test_a_prompt_that_is_too_long_is_refused_at_once_and_no_other_text_ends(make, words):
    engine = Engine(make("transformer", words, context_length=10), words)
    good = engine.submit(request(words, 1, max_length=5))
    engine.step()
    with pytest.raises(PromptError, match="shorten it"):
        engine.submit(Request(beginning_of("the " * 20, words), SamplingConfig(), seed=0))
    assert list(finished(run(engine))) == [good]


@pytest.mark.parametrize("bad", ["the " * 20, "\udcff", 5])
def test_a_bad_prompt_ends_its_own_text_and_the_error_comes_when_the_others_are_written(make, words, bad):
    trained = TrainedModel("m", make("transformer", words, context_length=10), words, SamplingConfig(), {})
    written = api.generate(trained, ["the", bad, "after", "years"])
    assert [next(written).prompt for _ in range(3)] == ["the", "after", "years"]
    with pytest.raises(PromptError):
        next(written)


def test_each_token_of_a_streamed_text_is_told_with_its_probability_and_rank(make, words):
    model = make("lstm", words)
    engine = Engine(model, words)
    wanted = request(words, 2, streamed=True, likeliest=2)
    engine.submit(request(words, 0))  # is not streamed, and has no events but its end
    number = engine.submit(wanted)
    events = run(engine)
    assert {event.id for event in events if isinstance(event, Token)} == {number}
    told = [event for event in events if isinstance(event, Token)]
    (end,) = [event for event in events if isinstance(event, Finished) and event.id == number]
    assert [event.token for event in told] == end.ids
    assert "".join(event.text for event in told) + end.rest == end.completion
    read = wanted.document.ids
    for event in told:
        with torch.no_grad():
            scores, _ = model.step(torch.tensor([read]), torch.tensor([len(read)]))
        probabilities = scores[0].softmax(0)
        assert event.probability == pytest.approx(float(probabilities[event.token]), rel=1e-3)
        assert event.rank == int((probabilities > probabilities[event.token]).sum())
        assert [token for token, _ in event.likeliest] == probabilities.topk(2).indices.tolist()
        read = [*read, event.token]


def test_what_is_streamed_costs_the_same_for_the_last_token_as_for_the_first(make, bpe, monkeypatch):
    """Counted in tokens that are decoded, and not in seconds."""
    decoded = []
    kind = type(bpe)
    decode = kind.decode
    monkeypatch.setattr(kind, "decode", lambda self, ids: decoded.append(len(ids)) or decode(self, ids))
    model = make("lstm", bpe)
    with torch.no_grad():
        model.linear.bias[[bpe.encode(letter)[0] for letter in "abcdefgh"]] += 20  # whole characters
    engine = Engine(model, bpe)
    engine.submit(request(bpe, 0, streamed=True, min_length=300, max_length=300))
    counts = []
    while engine.busy or engine.waiting:
        decoded.clear()
        engine.step()
        counts.append(sum(decoded))
    assert len(counts) == 300
    assert max(counts[:-1]) <= 6  # at the end the whole completion is decoded once


class Forbidden(Processor):
    """A word that is not written. It has read a prompt of `prompt` tokens, and then each new one once."""

    def __init__(self, token: int, prompt: int) -> None:
        self.token, self.prompt, self.tokens = token, prompt, []

    def read(self, token):
        self.tokens.append(token)

    def __call__(self, scores, new):
        assert len(self.tokens) == self.prompt + new
        scores[self.token] = float("-inf")

    def fork(self):
        other = Forbidden(self.token, self.prompt)
        other.tokens = list(self.tokens)
        return other


@pytest.mark.parametrize("beams", [1, 3])
def test_a_processor_of_a_request_changes_its_own_text_alone(make, words, beams):
    model = make("lstm", words)
    plain = [request(words, 3, num_beams=beams, min_length=8) for _ in range(2)]
    before = alone(model, words, plain[0])
    unwanted = before[0][0]
    guard = Forbidden(unwanted, len(plain[0].document.text_ids))
    engine = Engine(model, words)
    guarded = Request(plain[0].document, plain[0].sampling, plain[0].seed, processors=(guard,))
    numbers = engine.submit(guarded), engine.submit(plain[1])
    texts = finished(run(engine))
    assert unwanted not in texts[numbers[0]][0]
    assert texts[numbers[1]] == before
    assert guard.tokens == []  # a request can be handed in again


def test_what_stands_before_a_text_is_read_and_is_no_part_of_it(make, words):
    model = make("lstm", words)
    fields, text = words.encode("spike boy and robot"), words.encode("the night")
    document = Document([words.end_id, *fields, *text], counted_from=1 + len(fields))
    config = SamplingConfig(max_length=8, min_length=8, no_repeat_ngram_size=1)
    ids, completion, _ = alone(model, words, Request(document, config, seed=1))
    assert not set(ids) & set(text)  # what the text holds is not written again; what stands before it may be
    assert completion == words.continuation(text, ids)
    assert ids != alone(model, words, Request(beginning_of("the night", words), config, seed=1))[0]


@settings(deadline=None, max_examples=4, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_hundred_texts_of_random_lengths_settings_and_cancellations(make, words, data):
    family = data.draw(st.sampled_from(models.families()), "family")
    model = Careful(make(family, words))
    engine = Engine(model, words, rows=data.draw(st.sampled_from([3, 16, 64]), "rows"))
    kinds = st.tuples(st.integers(0, 500), st.integers(1, 15), st.sampled_from(["go on", "step", "cancel"]))
    plan = data.draw(st.lists(kinds, min_size=100, max_size=100), "texts")
    wanted: dict[int, Request] = {}
    cancelled: set[int] = set()
    events: list[Event] = []
    for index, length, then in plan:
        one = request(words, index, streamed=index % 2 == 0, max_length=length, min_length=min(3, length))
        wanted[engine.submit(one)] = one
        if then == "step":
            events += engine.step()
        elif then == "cancel":
            gone = data.draw(st.sampled_from(sorted(wanted)), "cancelled")
            if gone not in finished(events):
                engine.cancel(gone)
                cancelled.add(gone)
    texts = finished(events + run(engine))
    assert texts.keys() == wanted.keys() - cancelled
    for number in sorted(texts)[::9]:
        assert texts[number] == alone(model, words, wanted[number])


def test_threads_hand_in_and_take_back_texts_while_another_one_writes(make, words):
    engine = Engine(make("ngram", words), words, rows=4)
    done = threading.Event()
    events, handed_in, taken_back = [], [], []

    def write() -> None:
        while not done.is_set() or engine.busy or engine.waiting:
            events.extend(engine.step())

    def hand_in(start: int) -> None:
        for i in range(start, start + 60):
            number = engine.submit(request(words, i, max_length=3, min_length=0, num_beams=1))
            handed_in.append(number)
            if i % 3 == 0:
                engine.cancel(number)
                taken_back.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        others = [threading.Thread(target=hand_in, args=[100 * i]) for i in range(3)]
        writer = threading.Thread(target=write)
        for thread in (writer, *others):
            thread.start()
        for thread in others:
            thread.join()
        done.set()
        writer.join()
    finally:
        sys.setswitchinterval(interval)
    ended = [event.id for event in events]
    assert len(ended) == len(set(ended))
    assert set(handed_in) - set(taken_back) <= set(ended) <= set(handed_in)
    assert len(set(handed_in)) == 180


def test_a_step_that_fails_gives_up_the_texts_that_were_written_and_no_other(make, words):
    class Fails(Forbidden):
        def __call__(self, scores, new):
            if new == 2:
                raise RuntimeError("no")

        def fork(self):
            return self

    model = make("lstm", words)
    engine = Engine(model, words, rows=2)
    bad = request(words, 3, min_length=5)
    engine.submit(Request(bad.document, bad.sampling, bad.seed, processors=(Fails(0, 0),)))
    engine.submit(request(words, 1, min_length=5))
    waits = engine.submit(request(words, 2))
    with pytest.raises(RuntimeError, match="no"):
        run(engine)
    assert engine.busy == 0
    assert finished(run(engine)) == {waits: alone(model, words, request(words, 2))}


def test_rows_of_one_kind_with_other_numbers_are_narrowed_as_each_alone(make, words):
    model = make("transformer", words)
    engine = Engine(model, words)
    settings = [
        {"temperature": 0.5 + 0.07 * i, "top_p": 0.3 + 0.03 * i, "min_p": 0.01 + 0.002 * i, "top_k": 9}
        for i in range(16)
    ]
    wanted = {}
    for i, changes in enumerate(settings):
        one = Request(beginning_of(PROMPTS[i % 5], words), SamplingConfig(max_length=12, **changes), seed=i)
        wanted[engine.submit(one)] = one
    together = finished(run(engine))
    assert together == {number: alone(model, words, one) for number, one in wanted.items()}


def test_several_threads_write_at_once_as_each_would_alone(make, words):
    trained = TrainedModel("m", make("transformer", words), words, SamplingConfig(max_length=20), {})
    before = torch.get_num_threads()
    expected = {seed: [s.text for s in api.generate(trained, PROMPTS, n=3, seed=seed)] for seed in range(4)}
    found: dict[int, list[str]] = {}
    numbers = []

    def write(seed: int) -> None:
        for _ in range(3):
            found[seed] = [s.text for s in api.generate(trained, PROMPTS, n=3, seed=seed)]
        numbers.append(torch.get_num_threads())

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    assert {torch.get_num_threads(), device.threads(), *numbers} == {before}  # and none is left with one thread


def test_decode_hands_its_requests_to_one_engine(make, words):
    config = SamplingConfig(max_length=12)
    given = list(decode(make("lstm", words), Options(words, config), [prompts.Request("the", i) for i in range(5)]))
    assert all(isinstance(s, Sample) for s in given)
    for sample in given:
        ids, completion, ended = alone(
            make("lstm", words), words, Request(beginning_of("the", words), config, sample.seed)
        )
        assert (sample.tokens, sample.completion, sample.finished) == (len(ids), completion, ended)


def test_a_guided_text_follows_its_fields_more_and_others_beside_it_not_at_all(make, words):
    model = make("lstm", words)
    told, untold = beginning_of("the night storm", words), beginning_of("storm", words)

    def one(guidance: float, without=untold, seed: int = 0) -> Request:
        config = SamplingConfig(max_length=12, min_length=12, guidance=guidance)
        return Request(told, config, seed, without_fields=without)

    plain, off = alone(model, words, one(1)), alone(model, words, one(1, None))
    assert plain == off
    guided = alone(model, words, one(3))
    assert guided != plain
    engine = Engine(model, words)
    numbers = [engine.submit(r) for r in (one(3), one(1), one(3, seed=1))]
    found = {}
    while engine.busy or engine.waiting:
        found |= {event.id: event.ids for event in engine.step() if isinstance(event, Finished)}
    assert [found[number] for number in numbers] == [guided[0], plain[0], alone(model, words, one(3, seed=1))[0]]


def test_the_first_token_of_a_guided_text_is_drawn_from_the_moved_log_probabilities(make, words):
    model = make("lstm", words).eval()
    told, untold = beginning_of("the night storm", words), beginning_of("storm", words)
    log_p = [
        model.step(torch.tensor([d.ids]), torch.tensor([len(d.ids)]))[0][0].log_softmax(-1) for d in (told, untold)
    ]
    moved = log_p[1] + 4 * (log_p[0] - log_p[1])
    moved[words.never_written] = float("-inf")
    config = SamplingConfig(max_length=1, temperature=0, guidance=4)
    ids = alone(model, words, Request(told, config, 0, without_fields=untold))[0]
    assert ids == [int(moved.argmax())]
