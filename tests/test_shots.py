"""Shots: texts of the training split in a model's context, read as documents of a stream and never counted."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_models import opinionated

from arasuji import api, models
from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.documents import NO_SHOTS, Document, document_of, drawn_shots
from arasuji.errors import OptionError, PromptError
from arasuji.evaluation.calibration import calibration
from arasuji.evaluation.charge import Charge
from arasuji.evaluation.score import score
from arasuji.generation.decode import decode
from arasuji.generation.engine import Engine, Finished
from arasuji.generation.engine import Request as EngineRequest
from arasuji.generation.texts import Options, Request, Sample
from arasuji.models import IGNORED
from arasuji.runs import TrainedModel
from arasuji.tokenizers import word

FORMAT = "{title}: "


@pytest.fixture(scope="module")
def train(starter_texts) -> list[Record]:
    return [Record(f"t{i}", text[:36], metadata={"title": f"Title {i}"}) for i, text in enumerate(starter_texts[:30])]


@pytest.fixture(scope="module")
def held_out(starter_texts) -> list[Record]:
    return [
        Record(f"h{i}", t[: 20 + 15 * i], metadata={"title": f"Other {i}"}) for i, t in enumerate(starter_texts[-6:])
    ]


def model_of(family: str, bpe):
    return opinionated(family, bpe, **({"context_length": 512} if family == "transformer" else {}))


def concatenated(shots, record: Record, bpe, format: str = "") -> tuple[list[int], int]:
    """By hand: an end token, fields and text of each shot and of the record, its end; and where its text begins."""
    ids = []
    for one in [*shots.records, record]:
        fields = bpe.encode(format.format(**one.metadata)) if format else []
        ids += [bpe.end_id, *fields]
        start = len(ids)
        ids += bpe.encode(one.text)
    return [*ids, bpe.end_id], start


# Which texts


@settings(deadline=None, derandomize=True, max_examples=30)
@given(count=st.integers(0, 30), seed=st.integers(0, 2**32))
def test_a_seed_draws_the_same_different_texts_and_fewer_of_them_first(train, bpe, count, seed):
    drawn = drawn_shots(train, count, seed, bpe)
    assert drawn == drawn_shots(train, count, seed, bpe)
    assert len({record.id for record in drawn.records}) == len(drawn.records) == count
    assert drawn_shots(train, 30, seed, bpe).records[:count] == drawn.records
    assert all(record in train for record in drawn.records)


def test_every_text_is_drawn_as_often(bpe):
    few = [Record(str(i), "a") for i in range(5)]
    found = Counter(record.id for seed in range(1000) for record in drawn_shots(few, 2, seed, bpe).records)
    assert all(340 < count < 460 for count in found.values())  # 400 on average, 15 the standard deviation


def test_shots_stand_as_documents_stand_in_a_stream(train, held_out, bpe):
    shots = drawn_shots(train, 3, 1, bpe, FORMAT)
    document = document_of(held_out[2], bpe, FORMAT, shots=shots)
    ids, start = concatenated(shots, held_out[2], bpe, FORMAT)
    assert (document.ids, document.counted_from, document.shots) == (ids, start, len(shots.ids))
    assert document.text_ids == document_of(held_out[2], bpe, FORMAT).text_ids


def test_shots_that_do_not_fit_are_refused_and_it_is_said_how_many_fit(train, bpe):
    sizes = [len(document_of(record, bpe).ids) - 1 for record in drawn_shots(train, 4, 0, bpe).records]
    half = sum(sizes[:2])
    assert len(drawn_shots(train, 2, 0, bpe, context_length=2 * half).records) == 2
    with pytest.raises(OptionError, match="asked for: 4, shots that fit: 2,"):
        drawn_shots(train, 4, 0, bpe, context_length=2 * half)
    with pytest.raises(OptionError, match="that fit: 1,"):
        drawn_shots(train, 2, 0, bpe, context_length=2 * half - 1)
    for count in (-1, 31):
        with pytest.raises(OptionError, match=f"{count} shots cannot be drawn.*30 texts"):
            drawn_shots(train, count, 0, bpe)


# Scored


@torch.no_grad()
@pytest.mark.parametrize("format", ["", FORMAT])
def test_the_nll_after_shots_is_transformers_loss_on_the_concatenation(train, held_out, bpe, format):
    model = model_of("transformer", bpe)
    shots = drawn_shots(train, 4, 0, bpe, format)
    scored = score(model, bpe, held_out, format=format, shots=shots)
    for record, nll in zip(held_out, scored.document_nll, strict=True):
        ids, start = concatenated(shots, record, bpe, format)
        labels = torch.tensor([[IGNORED] * start + ids[start:]])
        theirs = model.network(input_ids=torch.tensor([ids]), labels=labels).loss.item() * (len(ids) - start)
        assert nll == pytest.approx(theirs, rel=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("family", models.families())
def test_every_family_reads_shots_and_does_not_count_them(family, train, held_out, bpe):
    model = model_of(family, bpe)
    shots = drawn_shots(train, 3, 0, bpe)
    scored, alone = score(model, bpe, held_out, shots=shots), score(model, bpe, held_out)
    for record, nll in zip(held_out, scored.nll, strict=True):
        ids, start = concatenated(shots, record, bpe)
        targets = torch.tensor([[IGNORED] * (start - 1) + ids[start:]])
        expected = model(torch.tensor([ids[:-1]]), targets)[0][0, start - 1 :]
        torch.testing.assert_close(torch.tensor(nll), expected, rtol=1e-4, atol=1e-4)
    assert (scored.tokens, scored.bytes, scored.charges) == (alone.tokens, alone.bytes, alone.charges)
    assert (scored.document_nll == alone.document_nll) == (family == "ngram")  # which sees its last tokens alone
    assert score(model, bpe, held_out, shots=NO_SHOTS) == alone


def test_a_word_tokenizers_charge_is_that_without_shots(train, held_out, starter_texts):
    words = word.build(word.Config(min_count=1), starter_texts[:30])
    model, charge = opinionated("lstm", words), Charge.of(words, train)
    scored = score(model, words, held_out, charge=charge, shots=drawn_shots(train, 2, 0, words))
    alone = score(model, words, held_out, charge=charge)
    assert (scored.charge, scored.tokens) == (alone.charge, alone.tokens)


def test_what_has_no_room_beside_the_shots_is_scored_as_without_them(train, held_out, bpe):
    model = opinionated("transformer", bpe, context_length=64)
    shots = drawn_shots(train[:1], 1, 0, bpe, context_length=64)
    room = 64 - len(shots.ids)
    for record in (Record("", held_out[3].text * 2), Record("", held_out[5].text * 3)):
        (with_shots,), (alone,) = (score(model, bpe, [record], shots=given).nll for given in (shots, NO_SHOTS))
        assert len(with_shots) == len(alone) > room
        assert with_shots[room:] == pytest.approx(alone[room:], abs=1e-4)
        assert all(abs(a - b) > 1e-6 for a, b in zip(with_shots[:room], alone, strict=False))


@torch.no_grad()
@pytest.mark.parametrize("family", models.families())
def test_calibration_is_of_the_model_with_shots(family, train, held_out, bpe):
    model = model_of(family, bpe)
    shots = drawn_shots(train, 2, 3, bpe)
    found = calibration(model, bpe, held_out[:1], shots=shots)
    document = document_of(held_out[0], bpe, whole=False, shots=shots)
    state, confidences = None, []
    for i, token in enumerate(document.ids[:-1]):
        scores, state = model.step(torch.tensor([[token]]), torch.tensor([1]), state)
        if i >= document.counted_from - 1:
            confidences.append(float(scores[0, : bpe.vocabulary_size].softmax(-1).max()))
    assert sum(one.tokens for one in found) == len(confidences)
    mean = sum(one.confidence * one.tokens for one in found) / len(confidences)
    assert mean == pytest.approx(sum(confidences) / len(confidences), abs=1e-4)


# Written


@pytest.mark.parametrize("family", models.families())
def test_texts_equal_those_after_a_longer_prompt_of_ids(family, train, bpe):
    model, config = model_of(family, bpe), SamplingConfig(max_length=12, repetition_penalty=1.2, top_k=20)
    shots = drawn_shots(train, 3, 2, bpe)
    prompts = ["", "The old keeper", "After years"]
    written = decode(model, Options(bpe, config, shots=shots), [Request(p, i) for i, p in enumerate(prompts)])
    found = {sample.index: sample.completion for sample in written if isinstance(sample, Sample)}
    engine, expected = Engine(model, bpe), {}
    for i, prompt in enumerate(prompts):
        ids = [token for one in shots.records for token in (bpe.end_id, *bpe.encode(one.text))]
        by_hand = Document([*ids, bpe.end_id, *bpe.encode(prompt)], len(ids) + 1)
        engine.submit(EngineRequest(by_hand, config, seed=i))
    while engine.busy or engine.waiting:
        expected |= {event.id: event.completion for event in engine.step() if isinstance(event, Finished)}
    assert found == expected


@pytest.mark.parametrize("family", models.families())
def test_texts_with_different_shots_in_one_batch_equal_the_same_texts_alone(family, train, bpe):
    model, config = model_of(family, bpe), SamplingConfig(max_length=8)
    kinds = [NO_SHOTS, drawn_shots(train, 1, 0, bpe), drawn_shots(train, 2, 1, bpe)]

    def written(numbers: list[int]) -> dict[int, list[int]]:
        engine, texts = Engine(model, bpe, rows=4, joining=4), {}
        number_of = {}
        for i in numbers:
            document = document_of(Record("", "The sea"), bpe, whole=False, shots=kinds[i % 3])
            number_of[engine.submit(EngineRequest(document, config, seed=i))] = i
        while engine.busy or engine.waiting:
            texts |= {number_of[e.id]: e.ids for e in engine.step() if isinstance(e, Finished)}
        return texts

    together = written([0, 1, 2, 4, 3, 7, 5])
    assert together == {i: written([i])[i] for i in together}


def test_shots_are_read_once_for_the_texts_that_join_together(train, bpe):
    model, read = model_of("transformer", bpe), []
    step = model.step
    model.step = lambda ids, lengths, state=None: read.append(int(lengths.sum())) or step(ids, lengths, state)
    shots = drawn_shots(train, 2, 0, bpe)
    [
        *decode(
            model, Options(bpe, SamplingConfig(max_length=1), shots=shots), [Request("The sea", i) for i in range(10)]
        )
    ]
    assert read == [len(shots.ids), 10 * (1 + len(bpe.encode("The sea")))]


def test_a_prompt_that_has_no_room_beside_the_shots_is_refused_in_one_line(train, bpe):
    model = opinionated("transformer", bpe, context_length=64)
    shots = drawn_shots(train[:1], 1, 0, bpe, context_length=64)
    with pytest.raises(
        PromptError, match=f"holds 64 with an end token, {len(shots.ids)} tokens of shots and a new one"
    ):
        [*decode(model, Options(bpe, SamplingConfig(), shots=shots), [Request("sea " * 30, 0)])]


def test_a_model_with_shots_writes_and_is_scored_with_them(train, held_out, bpe):
    plain = TrainedModel("m", model_of("lstm", bpe), bpe, SamplingConfig(max_length=9), {}, FORMAT, {"title": {}})
    few_shot = plain.with_shots(train, 2, seed=5)
    assert few_shot.shots == drawn_shots(train, 2, 5, bpe, FORMAT)
    expected = score(plain.model, bpe, held_out, format=FORMAT, shots=few_shot.shots)
    assert api.evaluate(few_shot, held_out) == expected
    fields = {"title": held_out[0].metadata["title"]}
    (sample,) = api.generate(few_shot, "The", seed=3, fields=fields, wishes=api.Wishes(mended=False))
    (by_hand,) = decode(
        plain.model, Options(bpe, plain.sampling, format=FORMAT, shots=few_shot.shots), [Request("The", 3, fields)]
    )
    assert sample.text == by_hand.text
    assert next(api.generate(plain, "The", seed=3, fields=fields)).text != sample.text
