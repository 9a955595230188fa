"""All that is measured with one model, in a process of its own, so that its memory and its speed are its own.

    python -m arasuji.evaluation.examine JOB.json

The process writes lines of JSON: {"doing", "done", "total"} as it goes, and at last {"found"}, which is an `Answer`, or
{"error"}.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil

from arasuji import device
from arasuji.config import SamplingConfig
from arasuji.corpus import Corpus, Record
from arasuji.corpus.index import training_words
from arasuji.errors import ArasujiError
from arasuji.evaluation.answer import Answer, ScoredDocuments, Speed, Token, Written
from arasuji.evaluation.calibration import calibration
from arasuji.evaluation.charge import Charge
from arasuji.evaluation.score import Score, score
from arasuji.evaluation.where import bits_of_characters, by_frequency, by_position, pieces
from arasuji.generation.decode import decode
from arasuji.generation.texts import Options, Request, Sample
from arasuji.runs import TrainedModel, open_model

AT_ONCE = 16
"""The number of documents that are scored between two reports of progress; `FEW` is a multiple of it."""
ALONE = 100
"""The number of tokens of the text that is timed alone."""
FEW = 48
"""The number of documents by which the calibration and the quantization cost are found."""
TOP_P = 0.95
"""All models sample from the likeliest tokens that have this probability together, at temperature 1."""


@dataclass(frozen=True)
class Job:
    """What every model of a comparison is asked, so that the answers can be compared."""

    corpus: str
    """The folder of the corpus."""
    hash: str
    """The hash of the corpus."""
    documents: list[int]
    """The places of the documents of the test split that are scored."""
    recent: list[int]
    """The places of test documents that are too new for a pretrained model to have met."""
    shown: list[int]
    """The places of test documents that are shown with the probability of each token."""
    prompts: list[str]
    """All prompts, those of one round after those of the other."""
    prompted: list[int]
    """The places of the test documents whose beginnings are the prompts of a round."""
    rounds: int
    """The number of times that the same prompts are continued."""
    seed: int
    """The seed of the first text; each further text has the next seed."""
    limit: int
    """The most bytes of a continuation, about."""
    samples_shown: int
    """The number of continuations that are shown with the probability of each token."""
    genres: list[list[str]] = field(default_factory=list)
    """What a model that can be told genres writes texts for, and is told nothing else."""
    shots: int = 0
    """The number of training texts, drawn by `seed`, that stand in the model's context before each text."""


def examine(model: str, job: Job) -> Iterator[dict[str, Any]]:
    """What is being done, and at last what was found."""
    held = 0 if device.here().type == "cuda" else psutil.Process().memory_info().rss
    corpus = Corpus.load(job.corpus)
    test = corpus.test
    records = [test[i] for i in job.documents]
    texts = [record.text for record in records]
    yield _doing("opening", 0, 1)
    writer = _opened(model, device.for_writing()).with_shots(corpus.train, job.shots, job.seed)
    device.forget_peak()  # of making the 8-bit weights, which is done once
    samples: list[Sample] = []
    speed: dict[str, Any] = {}
    fields = [test[i].metadata for i in job.prompted]
    sampling = _sampling(writer, job.limit, texts)
    yield from _write(writer, job, fields, sampling, samples, speed)
    speed["memory"] = device.peak_memory() - held
    told = yield from _write_told(writer, job, sampling)
    yield _doing("scoring", 0, len(texts))
    charge = Charge.of(writer.tokenizer, corpus.train)
    few = records[:FEW]
    as_written = _score(writer, charge, few).bits_per_byte
    del writer
    trained = _opened(model, "auto").with_shots(corpus.train, job.shots, job.seed)
    scores = []
    for start in range(0, len(texts), AT_ONCE):
        scores.append(_score(trained, charge, records[start : start + AT_ONCE]))
        yield _doing("scoring", min(start + AT_ONCE, len(texts)), len(texts))
    scored = _joined(scores)
    bits = bits_of_characters(scored, trained.tokenizer, texts)
    yield _doing("calibration", 0, 1)
    whole = [
        Record("", sample.prompt.rstrip() + sample.completion, metadata=of)
        for sample, of in zip(samples[: job.samples_shown], cycle(fields), strict=False)
    ]
    answer = Answer(
        family=trained.facts["family"],
        shots=[record.id for record in trained.shots.records],
        fields=[*trained.fields],
        parameters=trained.model.size()["parameters"],
        documents=_documents(scored),
        recent=_documents(_score(trained, charge, [test[i] for i in job.recent])),
        bits_by_position=by_position(bits, texts),
        bits_by_frequency=by_frequency(bits, texts, training_words(Path(job.corpus))),
        calibration=calibration(trained.model, trained.tokenizer, few, trained.format, trained.shots),
        speed=Speed(**speed),
        quantization_cost=as_written / _joined(scores[: FEW // AT_ONCE]).bits_per_byte - 1,
        samples=[Written(text=sample.completion, finished=sample.finished) for sample in samples],
        shown_tokens=[_tokens(trained, charge, test[i]) for i in job.shown],
        sample_tokens=[_tokens(trained, charge, record) for record in whole],
        told=told,
    )
    yield {"found": answer.model_dump(mode="json")}


def _doing(what: str, done: int, total: int) -> dict[str, Any]:
    return {"doing": what, "done": done, "total": total}


def _sampling(trained: TrainedModel, limit: int, texts: Sequence[str]) -> SamplingConfig:
    """The settings that all models write with. `limit` is in bytes: some texts say how many tokens these are."""
    rate = sum(len(trained.tokenizer.encode(text)) for text in texts) / sum(len(text.encode()) for text in texts)
    return SamplingConfig.model_validate({"top_p": TOP_P, "max_length": max(1, round(limit * rate))})


def _write(
    trained: TrainedModel,
    job: Job,
    fields: Sequence[Mapping[str, Any]],
    sampling: SamplingConfig,
    samples: list[Sample],
    speed: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Continue the prompts in their order, and time one text alone. The speed is the median of three times, and that of
    the rounds. `fields` are those of the prompts of a round. Fills `samples` and `speed`, and yields its progress."""
    each = len(job.prompts) // job.rounds
    prompts = list(zip(job.prompts[:each], fields, strict=True))
    alone = sampling.model_copy(update={"min_length": ALONE, "max_length": ALONE})
    for _ in continued(trained, prompts, job.seed, sampling.model_copy(update={"max_length": 2})):  # a warm-up
        pass
    times = []
    for _ in range(3):
        began = time.perf_counter()
        tokens = sum(sample.tokens for sample in continued(trained, prompts[:1], job.seed, alone))
        times.append((time.perf_counter() - began) / tokens)
    tokens_a_second, bytes_a_second = [], []
    for start in range(0, len(job.prompts), each):
        began, found = time.perf_counter(), {}
        for sample in continued(trained, prompts, job.seed + start, sampling):
            found[sample.index] = sample
            yield _doing("writing", start + len(found), len(job.prompts))
        seconds = time.perf_counter() - began
        tokens_a_second.append(sum(sample.tokens for sample in found.values()) / seconds)
        bytes_a_second.append(sum(len(sample.completion.encode()) for sample in found.values()) / seconds)
        samples += [found[i] for i in range(each)]
    speed["alone"] = 1 / statistics.median(times)
    speed["together"] = statistics.median(tokens_a_second)
    speed["bytes"] = statistics.median(bytes_a_second)


def _write_told(
    trained: TrainedModel, job: Job, sampling: SamplingConfig
) -> Generator[dict[str, Any], None, list[str]]:
    """A text for each of the job's lists of genres, if the model can be told genres. Yields its progress."""
    asked = job.genres if "genres" in trained.fields else []
    found: dict[int, str] = {}
    for sample in continued(trained, [("", {"genres": genres}) for genres in asked], job.seed, sampling):
        found[sample.index] = sample.completion
        yield _doing("writing for genres", len(found), len(asked))
    return [found[i] for i in range(len(asked))]


def continued(
    trained: TrainedModel, prompts: Sequence[tuple[str, Mapping[str, Any]]], seed: int, sampling: SamplingConfig
) -> Iterator[Sample]:
    """A text for each prompt and its fields, as they are finished; text i is seeded with `seed` + i."""
    requests = [Request(prompt, seed + i, fields) for i, (prompt, fields) in enumerate(prompts)]
    for event in decode(
        trained.model, Options(trained.tokenizer, sampling, format=trained.format, shots=trained.shots), requests
    ):
        assert isinstance(event, Sample)
        yield event


def _opened(model: str, precision: device.Precision) -> TrainedModel:
    trained = open_model(model, device.dtype(precision))
    trained.model.to(device.here())
    return trained


def _score(trained: TrainedModel, charge: Charge | None, records: Sequence[Record]) -> Score:
    groups = [record.group for record in records]
    return score(trained.model, trained.tokenizer, records, groups, charge, trained.format, trained.shots)


def _joined(scores: Sequence[Score]) -> Score:
    charges = [charged for s in scores for charged in s.charges or []]
    return Score(
        [tokens for s in scores for tokens in s.nll],
        charges if all(s.charges is not None for s in scores) else None,
        [size for s in scores for size in s.bytes],
        [group for s in scores for group in s.groups],
    )


def _documents(scored: Score) -> ScoredDocuments:
    """The sums of each document."""
    return ScoredDocuments(
        nll=scored.document_nll,
        charges=None if scored.charges is None else [sum(charges) for charges in scored.charges],
        bytes=scored.bytes,
        groups=scored.groups,
        tokens=scored.tokens,
    )


def _tokens(trained: TrainedModel, charge: Charge | None, record: Record) -> list[Token]:
    """The text in tokens, each with its negative log-likelihood, the charge included."""
    scored, text = _score(trained, charge, [record]), record.text
    charges = scored.charges[0] if scored.charges else [0.0] * len(scored.nll[0])
    places = pieces(trained.tokenizer, text)
    return [
        Token(text[start:end], round(nll + more, 3))
        for (start, end), nll, more in zip(places, scored.nll[0], charges, strict=True)
    ]


def main(model: str, job: Path) -> None:
    """Print the events of `examine`, or its error, a line each. What a library prints goes to stderr."""
    lines, sys.stdout = sys.stdout, sys.stderr
    try:
        for event in examine(model, Job(**json.loads(job.read_text("utf-8")))):
            print(json.dumps(event), file=lines, flush=True)
    except ArasujiError as error:
        print(json.dumps({"error": str(error)}), file=lines, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
