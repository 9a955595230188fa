"""Which model is better, and by how much: one report, as plain numbers and texts, that a page is made of.

    runs ──examine (a process each, kept)──▶ what each model pays and writes ──▶ measures, beside real texts ──▶ report

Every model is asked the same: the same documents are scored, the same prompts continued under the same settings with
the same seeds. What a model has answered is kept and not asked again until the model or the question changes.
"""

from __future__ import annotations

import json
import math
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from arasuji import arguments, device, models
from arasuji.corpus import Corpus, Progress, Record
from arasuji.corpus.index import training_words
from arasuji.corpus.script import placed_words, words_of
from arasuji.errors import OptionError, RunError
from arasuji.evaluation import bootstrap, calibration
from arasuji.evaluation.examine import FEW, Job
from arasuji.evaluation.kept import kept
from arasuji.evaluation.originality import Copied, copied
from arasuji.evaluation.texts import FEWEST, Texts, copies, measured
from arasuji.runs import RunDirectory, best_of, is_run, mark_of, own_corpus, versions, weights_of

LAYOUT = 2
"""Of the report; raised when it changes."""
PROMPT_WORDS = 8
"""Words of a prompt: the beginning of a held-out text."""
LEAST_WORDS, MOST_WORDS = 10, 60
"""Between these is the number of words that all continuations are cut to."""
RECENT, MOST_RECENT = 2025, 100
"""Titles from this year on are told apart: later than SmolLM2's texts."""
SHOWN, SHOWN_SAMPLES = 3, 4
SHOWN_CHARACTERS = range(200, 700)
"""Length of the held-out texts that are shown."""


@dataclass(frozen=True)
class Task:
    """What is asked of every model, and the real texts that the answers are laid beside."""

    job: Job
    real: Texts
    """How the texts that were begun go on, then how others do."""
    words: int
    """Continuations are cut to so many."""


def compare(
    names: Iterable[arguments.AnyPath] | arguments.AnyPath,
    corpus: arguments.AnyPath | None = None,
    samples: int = 200,
    seeds: int = 3,
    documents: int = 250,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """The report on runs and untuned base models, all on one corpus: by default that of the first run.

    `samples` prompts are continued by each model, `seeds` times, and `documents` of the test split are scored; `seed`
    chooses them, and text i is seeded with `seed` + i. Raises OptionError (nothing to compare, no corpus) and RunError
    (a run of another corpus, a model that cannot be examined).
    """
    names = arguments.names(names)
    folder = arguments.path(corpus) if corpus else _corpus_of(names)
    opened = Corpus.load(folder) if corpus else own_corpus(folder)
    _check(names, folder, opened)
    task = _task(folder, opened, samples, seeds, documents, seed)
    progress("reading the training split", 0, 1)
    training = training_words(folder)
    answers = [_asked(name, task.job, _part(progress, i, len(names))) for i, name in enumerate(names)]
    prompts = len(task.job.prompts) // seeds
    groups = task.real.groups
    real = Texts(task.real.texts[:prompts], groups[:prompts])
    others = Texts(task.real.texts[prompts:], groups[prompts:])
    written = [Texts([sample["text"] for sample in answer["samples"]], real.groups) for answer in answers]
    measures: list[dict[str, Any]] = []
    for figures in measured([(real, others), *((own, task.real) for own in written)], task.words):
        progress("comparing the texts", len(measures), len(names) + 1)
        measures.append(figures)
    of_real, *of_written = measures
    copied_by_people, *copied_by = copies([real, *written], task.words, training)
    shown = iter(copied([text for own in written for text in own.texts[:SHOWN_SAMPLES]], training))
    models = [
        {
            "name": title,
            **_model(name, answer, [next(shown) for _ in own.texts[:SHOWN_SAMPLES]]),
            "samples": {**like, "ends": statistics.fmean(sample["finished"] for sample in answer["samples"])},
            "originality": originality,
        }
        for title, name, answer, own, like, originality in zip(
            _titles(names), names, answers, written, of_written, copied_by, strict=True
        )
    ]
    asked = {"samples": samples, "seeds": seeds, "documents": documents, "seed": seed}
    command = f"arasuji.api.compare({list(names)!r}, {str(folder)!r}, **{asked})"
    return {
        "models": models,
        "real": {"samples": of_real, "originality": copied_by_people},
        "pairs": _pairs(models),
        "shown": [opened.test[i].text for i in task.job.shown],
        "prompts": task.job.prompts[:SHOWN_SAMPLES],
        "nearest": _titles_of(opened, [found for model in models for found in model["texts"]]),
        "meta": {"command": command, "seed": seed, "prompts": prompts, "seeds": seeds, **_meta(opened, task)},
    }


def _meta(corpus: Corpus, task: Task) -> dict[str, Any]:
    """What the figures depend on, besides what was asked for."""
    written_in = str(device.dtype(device.for_writing())).removeprefix("torch.")
    return {
        "layout": LAYOUT,
        "corpus": corpus.hash,
        "documents": len(task.job.documents),
        "recent": len(task.job.recent),
        "few": min(FEW, len(task.job.documents)),
        "prompt_words": PROMPT_WORDS,
        "words": task.words,
        "training_documents": len(corpus.train),
        "scored_in": str(device.dtype("auto")).removeprefix("torch."),
        "written_in": written_in,
        "machine": _machine(),
        "versions": versions() | ({"8-bit products by": models.way_to_multiply()} if written_in == "int8" else {}),
    }


def _corpus_of(names: Sequence[str]) -> Path:
    """The corpus that the first of the runs knows."""
    for name in names:
        if is_run(name) and (folder := RunDirectory(Path(name)).manifest["corpus"].get("folder")):
            return Path(folder)
    raise OptionError("no run among these knows a corpus folder: say --corpus DIR")


def _check(names: Sequence[str], folder: Path, corpus: Corpus) -> None:
    """Refuse at once what would be refused in the end."""
    if len(names) < 2:
        raise OptionError("one model is no comparison: name two runs or more, or a run and its untuned base")
    if len({str(Path(name).resolve()) if is_run(name) else name for name in names}) < len(names):
        raise OptionError("a model is named twice")
    for name in names:
        if is_run(name) and best_of(Path(name)) is None:
            raise RunError(f"{name} has no best model yet: train it first")
        if is_run(name) and RunDirectory(Path(name)).manifest["corpus"]["hash"] != corpus.hash:
            raise RunError(
                f"{name} was trained on another corpus than {folder}, whose held-out texts it may have learnt from: "
                "compare runs of one corpus"
            )
        weights_of(name)


def _titles(names: Sequence[str]) -> list[str]:
    """What the models are called: the folder's name, or the whole path where two are the same."""
    short = [Path(name).resolve().name if is_run(name) else name for name in names]
    return [title if short.count(title) == 1 else name for title, name in zip(short, names, strict=True)]


def _machine() -> str:
    """The chip, as far as it is known, and how many threads use it."""
    if device.here().type == "cuda":
        return torch.cuda.get_device_name()
    chip = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux
        named = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
        chip = named[1] if named else chip
    return f"{chip}, {torch.get_num_threads()} threads"


def _part(progress: Progress, i: int, count: int) -> Progress:
    """Progress of the i-th of several equal parts."""
    return lambda what, done, total: progress(what, round(1000 * (i + done / max(1, total))), 1000 * count)


def _task(folder: Path, corpus: Corpus, samples: int, seeds: int, documents: int, seed: int) -> Task:
    """Chosen by the seed alone, whatever models there are."""
    order = list(range(len(corpus.test)))
    random.Random(seed).shuffle(order)
    chosen = order[:documents]
    long = [corpus.test[i] for i in order if len(words_of(_rest(corpus.test[i]))) >= LEAST_WORDS]
    if not long:
        raise OptionError(f"no test text of {folder} is long enough to be begun: {PROMPT_WORDS + LEAST_WORDS} words")
    rests = [_rest(record) for record in long]
    lengths = sorted(len(words_of(rest)) for rest in rests)
    sizes = sorted(len(rest.encode()) for rest in rests)
    fitting = [i for i in chosen if len(corpus.test[i].text) in SHOWN_CHARACTERS]
    job = Job(
        corpus=str(folder.resolve()),
        hash=corpus.hash,
        documents=chosen,
        recent=[i for i in order if corpus.test[i].metadata.get("year", 0) >= RECENT][:MOST_RECENT],
        shown=(fitting or chosen)[:SHOWN],
        prompts=[_beginning(record) for record in long[:samples]] * seeds,
        rounds=seeds,
        seed=seed,
        limit=sizes[math.ceil(0.95 * len(sizes)) - 1],
        samples_shown=SHOWN_SAMPLES,
    )
    words = min(MOST_WORDS, max(LEAST_WORDS, lengths[len(lengths) // 4]))
    return Task(job, Texts(rests, [record.group for record in long]), words)


def _cut(record: Record) -> int:
    """Where the prompt ends that a text begins with: before white space, since not every model can go on within what
    stands together."""
    words = placed_words(record.text)
    end = words[min(PROMPT_WORDS, len(words)) - 1][2] if words else 0
    gap = re.compile(r"\s|$").search(record.text, end)
    assert gap is not None
    return gap.start()


def _beginning(record: Record) -> str:
    return record.text[: _cut(record)]


def _rest(record: Record) -> str:
    return record.text[_cut(record) :]


def _asked(name: str, job: Job, progress: Progress) -> dict[str, Any]:
    """What `examine` finds, or found when it was asked the same of the same weights on such a machine."""
    question = asdict(job)
    where = question.pop("corpus")  # which may be moved

    def find() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in _process(name, {**question, "corpus": where}):
            if "error" in event:
                raise RunError(f"{name}: {event['error']}")
            if "doing" in event:
                progress(f"{name}: {event['doing']}", event["done"], event["total"])
            found = event.get("found", {})
        return found

    with_what = [versions(), _machine(), *map(str, (device.dtype("auto"), device.dtype(device.for_writing())))]
    answer, before = kept([mark_of(name), question, with_what], find)
    return {**answer, "kept": before}


def _process(name: str, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of a process that examines one model; the last one is what it found, or why it did not."""
    quiet = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "true"}
    with tempfile.TemporaryDirectory() as folder:
        path, errors = Path(folder) / "job.json", Path(folder) / "stderr"
        path.write_text(json.dumps(job), "utf-8")
        # -P: no file of the folder that this is called in is imported in place of a library.
        command = [sys.executable, "-P", "-m", "arasuji.evaluation.examine", name, str(path)]
        with (
            errors.open("w") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | quiet) as process,
        ):
            assert process.stdout is not None
            event: dict[str, Any] = {}
            try:
                for line in process.stdout:
                    event = json.loads(line)
                    yield event
                process.wait()
            finally:
                process.kill()
        if not event.keys() & {"found", "error"}:
            last = (errors.read_text("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
            raise RunError(f"{name}: the process that examined it ended ({process.returncode}): {last}")


def _model(name: str, answer: dict[str, Any], texts: Sequence[Copied]) -> dict[str, Any]:
    """What a model has answered, as the report has it; `texts` are its first ones."""
    bins = [calibration.Bin(*b) for b in answer["calibration"]]
    shown = zip(answer["tinted_samples"], texts, strict=False)
    return {
        "family": answer["family"],
        "parameters": answer["parameters"],
        **_rated(answer["documents"]),
        "recent": _rated(answer["recent"]) if len(set(answer["recent"]["groups"])) >= FEWEST else None,
        "price_of_writing": answer["price_of_writing"],
        "position": answer["position"],
        "frequency": answer["frequency"],
        "calibration": answer["calibration"],
        "calibration_error": calibration.error(bins),
        **_trained(name, answer),
        "documents": answer["documents"],
        "texts": [
            {"pieces": pieces, "copied": one.spans, "nearest": one.nearest, "likeness": one.likeness}
            for pieces, one in shown
        ],
        "tinted": answer["tinted"],
    }


def _rated(documents: dict[str, Any]) -> dict[str, Any]:
    """Bits per byte of scored documents."""
    size = sum(documents["bytes"]) * math.log(2)
    low, high = bootstrap.interval(documents["nats"], documents["bytes"], documents["groups"])
    charges = documents["charges"]
    return {
        "bits_per_byte": sum(documents["nats"]) / size,
        "low": low / math.log(2),
        "high": high / math.log(2),
        "charge": None if charges is None else sum(charges) / size,
        "scored": len(documents["bytes"]),
        "tokens_a_byte": documents["tokens"] / sum(documents["bytes"]),
    }


def _trained(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """How a run learnt, and what the model costs."""
    timed = [line for line in RunDirectory(Path(name)).history() if "tokens" in line] if is_run(name) else []
    validated = [line for line in timed if "bits_per_byte" in line]
    cost = {
        "disk_bytes": sum(path.stat().st_size for path in weights_of(name).glob("*") if path.is_file()),
        "training_seconds": timed[-1]["seconds"] if timed else None,
        "training_tokens": timed[-1]["tokens"] if timed else None,
        "writing_alone": answer["writing"]["alone"],
        "writing_together": answer["writing"]["together"],
        "writing_bytes": answer["writing"]["bytes"],
        "memory_bytes": answer["writing"]["memory"],
        "kept": answer["kept"],
    }
    return {"curve": [[line["tokens"], line["seconds"], line["bits_per_byte"]] for line in validated], "cost": cost}


def _pairs(models: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every two models, the better one first, on the same documents."""
    ordered = sorted(models, key=lambda model: float(model["bits_per_byte"]))
    found = []
    for a, b in combinations(ordered, 2):
        one, other = a["documents"], b["documents"]
        paid = [x - y for x, y in zip(one["nats"], other["nats"], strict=True)]
        low, high = (x / math.log(2) for x in bootstrap.interval(paid, one["bytes"], one["groups"]))
        verdict = "better" if high < 0 else "no difference shown"
        if len(set(one["groups"])) < FEWEST:
            verdict = "too few texts"
        if a["charge"] is None or b["charge"] is None:
            verdict = "not comparable"  # a lower bound
        difference = a["bits_per_byte"] - b["bits_per_byte"]
        names = {"a": a["name"], "b": b["name"]}
        found.append({**names, "difference": difference, "low": low, "high": high, "verdict": verdict})
    return found


def _titles_of(corpus: Corpus, texts: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The titles, or else the ids, of the training texts that are nearest to some texts, by their numbers."""
    numbers = {text["nearest"] for text in texts if text["nearest"] is not None}
    records = {number: corpus.train[number] for number in sorted(numbers)}
    return {str(number): record.metadata.get("title") or record.id for number, record in records.items()}
