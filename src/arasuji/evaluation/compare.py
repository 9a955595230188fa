"""Which model is better, and by how much: one report, as plain numbers and texts, that a page is made of.

    runs ──ask (a process each, kept)──▶ Answer ──▶ measures, and those of real texts ──▶ Report

Every model is asked the same: the same documents are scored, the same prompts continued under the same settings with
the same seeds. What a model has answered is kept and not asked again until the model or the question changes.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Literal

from arasuji import arguments, device, models, notebook
from arasuji.corpus import Corpus, Progress
from arasuji.corpus.originality import Copied, copied
from arasuji.corpus.record import part_of
from arasuji.corpus.suffixes import suffixes_of
from arasuji.errors import BaseModelError
from arasuji.evaluation import bootstrap, calibration
from arasuji.evaluation.answer import Answer, ScoredDocuments
from arasuji.evaluation.ask import ask, machine
from arasuji.evaluation.examine import FEW
from arasuji.evaluation.reader import Reader
from arasuji.evaluation.report import (
    ComparedModel,
    Cost,
    CurvePoint,
    Genre,
    Likelihood,
    Meta,
    Obedience,
    Originality,
    Pair,
    RealTexts,
    Report,
    Sample,
    TextMeasures,
)
from arasuji.evaluation.rows import Row, check, corpus_of_runs, rows_of
from arasuji.evaluation.task import PROMPT_WORDS, SHOWN_SAMPLES, Task, task_of
from arasuji.evaluation.texts import FEWEST, Texts, copies, measured, most_of_all
from arasuji.runs import RunDirectory, is_run, own_corpus, versions, weights_of

READER = "smollm2-135m"
"""The base model that judges texts by default."""


@notebook.shows_progress
def compare(
    names: Iterable[arguments.AnyPath] | arguments.AnyPath,
    corpus: arguments.AnyPath | None = None,
    samples: int = 200,
    seeds: int = 3,
    documents: int = 250,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
    shots: Iterable[int] | int = (),
    readers: Iterable[arguments.AnyPath] | arguments.AnyPath = (),
) -> Report:
    """The report on runs and untuned base models, all on one corpus: by default that of the first run.

    `samples` prompts are continued by each model, `seeds` times, and `documents` of the test split are scored; `seed`
    chooses them, and text i is seeded with `seed` + i. Each number of `shots` adds a row for every untuned base model,
    which then has this number of training texts, drawn by `seed`, in its context before each text.

    `readers` are base models that the texts are judged by (see `judge`), each on its own: by default `READER`, and the
    texts are not judged where it is not on this machine.

    Raises:
        OptionError: there is nothing to compare, no corpus, or the shots do not fit.
        RunError: a run of another corpus, or a model that cannot be examined.
        BaseModelError: a reader that is not on this machine, or cannot be opened.
    """
    names = arguments.names(names)
    folder = arguments.path(corpus) if corpus else corpus_of_runs(names)
    opened = Corpus.load(folder) if corpus else own_corpus(folder)
    counts = [shots] if isinstance(shots, int) else [*shots]
    rows = rows_of(names, counts)
    check(rows, folder, opened, seed)
    opened_readers, without_judge = _readers(arguments.names(readers))
    task = task_of(folder, opened, samples, seeds, documents, seed)
    progress("reading the training split", 0, 1)
    training = suffixes_of(folder)
    parts = len(rows) + len(opened_readers) * (len(rows) + 1) + 1
    answers = [
        ask(row.name, replace(task.job, shots=row.shots), part_of(progress, i, parts)) for i, row in enumerate(rows)
    ]
    written = [Texts([sample.text for sample in answer.samples], task.real.groups) for answer, _ in answers]
    sets = [task.real, *written]
    most = most_of_all(sets, task.words)
    measures = [measured(own, task.words, most) for own in sets]
    beside = min(seeds * most_of_all(written, task.words, 1), len(task.pool.texts) // 2)
    from arasuji.evaluation.judge import judge_from_pool  # imports scikit-learn

    doing = (part_of(progress, i, parts) for i in range(len(rows), parts))
    for own, of_set in zip([None, *written], measures, strict=True):
        judges = [judge_from_pool(own, task.pool, task.words, reader, beside, next(doing)) for reader in opened_readers]
        of_set.judge, *of_set.more_judges = judges or [None]
    originality = copies(sets, task.words, training)
    told = [answer.told for answer, _ in answers]
    genres, real_obedience, obeyed = _obedience(opened, task, told, opened_readers, next(doing))
    figures = zip(measures[1:], originality[1:], obeyed, strict=True)
    compared = [
        _model(row, *answer, like, copying, obeying, [copied(text, training) for text in own.texts[:SHOWN_SAMPLES]])
        for row, answer, own, (like, copying, obeying) in zip(rows, answers, written, figures, strict=True)
    ]
    asked = {"samples": samples, "seeds": seeds, "documents": documents, "seed": seed, "shots": counts}
    asked["readers"] = [reader.name for reader in opened_readers]
    command = f"arasuji.api.compare({list(names)!r}, {str(folder)!r}, **{asked})"
    return Report(
        models=compared,
        real=RealTexts(samples=measures[0], originality=originality[0], obedience=real_obedience),
        pairs=pairs_of(compared),
        shown=[opened.test[i].text for i in task.job.shown],
        prompts=task.job.prompts[:SHOWN_SAMPLES],
        nearest=_nearest_titles(opened, [sample for model in compared for sample in model.texts]),
        genres=genres,
        meta=_meta(command, opened, task, beside, without_judge),
    )


def _readers(names: Sequence[str]) -> tuple[list[Reader], str]:
    """The readers; and why there are none, where none is named and the one by default is not on this machine."""
    try:
        return [Reader(name) for name in dict.fromkeys(names or [READER])], ""
    except BaseModelError:
        if names:
            raise
        return [], f"The texts are not judged, since {READER} is not on this machine: `arasuji models get {READER}`"


def _obedience(
    corpus: Corpus, task: Task, told: Sequence[Sequence[str]], readers: Sequence[Reader], progress: Progress
) -> tuple[list[Genre], Obedience | None, list[Obedience | None]]:
    """The genres by which the first reader measures obedience; how surely real texts show them; and how surely those
    that each model has written for genres, if it can be told any."""
    from arasuji.evaluation.genres import Labelled  # as the next one
    from arasuji.evaluation.obedience import obedience_in  # imports scikit-learn

    written = [Labelled(texts, task.job.genres, task.told_groups) for texts in told if texts]
    found = (
        obedience_in(corpus, written, task.words, readers[0], task.job.seed, progress) if written and readers else None
    )
    if found is None:
        return [], None, [None for _ in told]
    of_written = iter(found.written)
    return found.genres, found.real, [next(of_written) if texts else None for texts in told]


def _model(
    row: Row,
    answer: Answer,
    from_cache: bool,
    measures: TextMeasures,
    originality: Originality,
    obedience: Obedience | None,
    shown: Sequence[Copied],
) -> ComparedModel:
    """A model's part of the report; `shown` are its first texts."""
    history = RunDirectory(Path(row.name)).history() if is_run(row.name) else []
    timed = [line for line in history if "tokens" in line]
    finished = statistics.fmean(sample.finished for sample in answer.samples)
    return ComparedModel(
        name=row.title,
        shots=answer.shots,
        fields=answer.fields,
        family=answer.family,
        parameters=answer.parameters,
        **dict(_likelihood(answer.documents)),
        recent=_likelihood(answer.recent) if len(set(answer.recent.groups)) >= FEWEST else None,
        quantization_cost=answer.quantization_cost,
        bits_by_position=answer.bits_by_position,
        bits_by_frequency=answer.bits_by_frequency,
        calibration=answer.calibration,
        calibration_error=calibration.error(answer.calibration),
        curve=[CurvePoint(x["tokens"], x["seconds"], x["bits_per_byte"]) for x in timed if "bits_per_byte" in x],
        documents=answer.documents,
        samples=measures.model_copy(update={"finished": finished}),
        originality=originality,
        obedience=obedience,
        cost=Cost(
            disk_bytes=sum(path.stat().st_size for path in weights_of(row.name).rglob("*") if path.is_file()),
            training_seconds=timed[-1]["seconds"] if timed else None,
            training_tokens=timed[-1]["tokens"] if timed else None,
            tokens_per_second_alone=answer.speed.alone,
            tokens_per_second_together=answer.speed.together,
            bytes_per_second_together=answer.speed.bytes,
            memory_bytes=answer.speed.memory,
            from_cache=from_cache,
        ),
        texts=[
            Sample(tokens=tokens, copied=one.spans, nearest=one.nearest, containment=one.containment)
            for tokens, one in zip(answer.sample_tokens, shown, strict=True)
        ],
        shown_tokens=answer.shown_tokens,
    )


def _likelihood(documents: ScoredDocuments) -> Likelihood:
    """The bits per byte of scored documents."""
    size = sum(documents.bytes)
    low, high = _bits_interval(documents.nll, documents)
    return Likelihood(
        bits_per_byte=sum(documents.nll) / size / math.log(2),
        low=low,
        high=high,
        charge=None if documents.charges is None else sum(documents.charges) / size / math.log(2),
        scored=len(documents.bytes),
        tokens_per_byte=documents.tokens / size,
    )


def _bits_interval(nll: Sequence[float], documents: ScoredDocuments) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of the bits per byte, given the nats of each document."""
    found = bootstrap.interval(nll, documents.bytes, documents.groups)
    return (found[0] / math.log(2), found[1] / math.log(2)) if found else (None, None)


def pairs_of(models: Sequence[ComparedModel]) -> list[Pair]:
    """Every two models on the same documents, the one with fewer bits first."""
    ordered = sorted(models, key=lambda model: model.bits_per_byte)
    return [_pair(a, b) for a, b in combinations(ordered, 2)]


def _pair(a: ComparedModel, b: ComparedModel) -> Pair:
    differences = [x - y for x, y in zip(a.documents.nll, b.documents.nll, strict=True)]
    low, high = _bits_interval(differences, a.documents)
    verdict: Literal["better", "no difference shown", "too few texts", "not comparable"] = "no difference shown"
    if a.charge is None or b.charge is None:  # a lower bound
        verdict = "not comparable"
    elif high is None or len(set(a.documents.groups)) < FEWEST:
        verdict = "too few texts"
    elif high < 0:
        verdict = "better"
    difference = a.bits_per_byte - b.bits_per_byte
    return Pair(a=a.name, b=b.name, difference=difference, low=low, high=high, verdict=verdict)


def _nearest_titles(corpus: Corpus, samples: Sequence[Sample]) -> dict[int, str]:
    """The titles, or else the ids, of the training texts that are nearest to some samples, by their numbers."""
    records = {number: corpus.train[number] for number in sorted({s.nearest for s in samples if s.nearest is not None})}
    return {number: record.metadata.get("title") or record.id for number, record in records.items()}


def _meta(command: str, corpus: Corpus, task: Task, beside: int, without_judge: str) -> Meta:
    """What the figures depend on."""
    job, written_in = task.job, str(device.dtype(device.for_writing())).removeprefix("torch.")
    return Meta(
        layout=6,
        command=command,
        corpus=corpus.hash,
        seed=job.seed,
        seeds=job.rounds,
        prompts=len(job.prompts) // job.rounds,
        prompt_words=PROMPT_WORDS,
        words=task.words,
        documents=len(job.documents),
        recent=len(job.recent),
        calibration_documents=min(FEW, len(job.documents)),
        training_documents=len(corpus.train),
        scored_in=str(device.dtype("auto")).removeprefix("torch."),
        written_in=written_in,
        real_texts=dict(Counter(task.pool_splits[:beside])),
        without_judge=without_judge,
        machine=machine(),
        versions=versions() | ({"8-bit products by": models.way_to_multiply()} if written_in == "int8" else {}),
    )
