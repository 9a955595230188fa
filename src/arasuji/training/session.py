"""From an experiment and a corpus to a run folder: everything around the loop."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from arasuji import arguments, bases, device, forks, models, processes, tokenizers
from arasuji.config import Experiment, TrainConfig, checked
from arasuji.corpus import Corpus, Record
from arasuji.errors import OptionError, RunError
from arasuji.evaluation.score import score
from arasuji.generation.decode import Request, Sample, decode
from arasuji.models import LanguageModel
from arasuji.runs import RunDirectory, as_written
from arasuji.tokenizers import Tokenizer
from arasuji.training.batches import Epoch, epoch_batches, truncated
from arasuji.training.documents import Documents
from arasuji.training.events import Started, TrainEvent, Watched
from arasuji.training.lock import RunLock
from arasuji.training.loop import Progress, Stepped, Trainer, Validated
from arasuji.training.plan import Plan, make_plan
from arasuji.training.tensorboard import logged

WATCHED_PROMPTS = ("", "After years", "A young man")
"""Prompts of the samples written at each validation; the first is the empty one."""
WATCHED_TOKENS = 60
"""The most tokens of such a sample."""
PROBED_DOCUMENTS = 16
"""Validation documents that are scored before the run, to estimate what a validation takes."""
PROBED_TOKENS = 5
"""Tokens of the samples that are written for the same purpose."""
STOP_SECONDS = 5.0
"""Of `max_minutes`, kept back for the last checkpoint."""

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]


def train_events(
    chosen: Experiment,
    corpus: Corpus | arguments.AnyPath,
    out: arguments.AnyPath,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    should_stop: Callable[[], str] = lambda: "",
    name: str = "",
) -> Iterator[TrainEvent]:
    """`api.train_events`, which says what all this is, of an experiment."""
    corpus, out = corpus if isinstance(corpus, Corpus) else arguments.path(corpus), arguments.path(out)
    try:
        with RunLock(out) as lock:
            events = _train(chosen, corpus, out, lock, max_minutes, max_steps, resume, should_stop, name)
            yield from logged(events, out / "tensorboard") if processes.is_main() else events
    finally:  # the model and the optimizer went with the generator's frame
        device.release()


def _train(
    chosen: Experiment,
    corpus: Corpus | Path,
    out: Path,
    lock: RunLock,
    max_minutes: float | None,
    max_steps: int | None,
    resume: bool,
    should_stop: Callable[[], str],
    name: str,
) -> Iterator[TrainEvent]:
    if (max_minutes is not None and not 0 < max_minutes < math.inf) or (max_steps is not None and max_steps < 1):
        raise OptionError(f"max_minutes {max_minutes}, max_steps {max_steps}: above 0 minutes, and 1 step or more")
    deadline = time.monotonic() + max_minutes * 60 if max_minutes is not None else None
    folder = str(corpus.resolve()) if isinstance(corpus, Path) else ""
    corpus = Corpus.load(corpus) if isinstance(corpus, Path) else corpus
    run = RunDirectory(out)
    chosen, saved = _opened(run, chosen, corpus, lock, resume, name)
    with processes.turns():  # the first may have to convert it
        base, found = bases.find(chosen.base) if chosen.base else (None, "")
    work = _build(chosen, corpus, base)
    _check_alike(corpus, saved)
    lock.take()
    if saved is None:
        run.start(chosen, {"name": name, "corpus": {"hash": corpus.hash, "folder": folder}, "base": found})
    plan = _plan(work, saved, max_steps, deadline)

    def save_best(at: Progress) -> None:
        facts = {"base": found, "step": at.step, "bits_per_byte": at.best_bits}
        run.save_best(chosen, work.model, work.tokenizer, facts)

    def stop() -> str:
        late = deadline is not None and time.monotonic() > deadline - STOP_SECONDS
        asked = should_stop()
        anyone_late, anyone_asked = processes.total([late, bool(asked)])
        if anyone_late:
            return f"{max_minutes:g} minutes are over"
        return (asked or "another process was stopped") if anyone_asked else ""

    metrics = _Metrics(run)

    def save_last(tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        metrics.flush()
        run.save_last(tensors, state)

    trainer = Trainer(
        model=work.model,
        config=chosen.train,
        plan=plan,
        bf16=work.bf16,
        epoch_batches=work.batches_of,
        validate=work.validate,
        save_best=save_best,
        save_last=save_last,
        should_stop=stop,
    )
    if saved is not None:
        with as_written(out / "last"):
            trainer.restore(*saved)
        saved = None  # two copies of the optimizer are one too many
    # The same seed may give other weights on another chip.
    processes.copy_main(p.data for p in work.model.parameters() if p.requires_grad)
    run.rewind(trainer.progress.step)
    yield _started(work, plan, trainer.progress.step, name or out.name, found)
    yield from _logged(trainer, run, work, metrics)


def _plan(work: _Work, saved: Checkpoint | None, max_steps: int | None, deadline: float | None) -> Plan:
    """A new run's plan, measured; or the one that was made when the run was started, with another end if asked."""
    config = work.chosen.train
    if saved is None:
        seconds = work.validation_seconds()
        plan = make_plan(work.model, work.batches_of(0), config, work.bf16, seconds, max_steps, deadline)
        return _main_says(plan)
    per_epoch = -(-len(work.batches_of(0)) // config.accumulate)
    with as_written(Path("the run's last checkpoint")):
        plan = TypeAdapter(Plan).validate_python(saved[1]["plan"])
        if plan.steps_per_epoch != per_epoch or not 1 <= plan.steps <= per_epoch * config.epochs:
            raise ValueError(f"its plan is not one of {config.epochs:,} epochs of {per_epoch:,} steps")
        if plan.validate_every < 1:
            raise ValueError("its plan validates every 0 steps")
    return plan if max_steps is None else replace(plan, steps=min(max_steps, plan.steps_per_epoch * config.epochs))


def _check_alike(corpus: Corpus, saved: Checkpoint | None) -> None:
    """All processes have the same texts, and have seen the run folder as it was before one of them writes."""
    with as_written(Path("the run's last checkpoint")):
        step = int(saved[1]["progress"]["step"]) if saved else -1
    if not processes.alike([int(corpus.hash[:12], 16), step]):
        raise RunError("the processes do not see the same corpus and run folder: put both on a disk that all share")


def _main_says(plan: Plan) -> Plan:
    """The plan of the first process: each has measured its own."""
    said = processes.main_says(list(asdict(plan).values()))
    return Plan(**{name: type(n)(s) for (name, n), s in zip(asdict(plan).items(), said, strict=True)})


def _started(work: _Work, plan: Plan, resumed_step: int, name: str, base: str) -> Started:
    size = work.model.size()
    return Started(
        name=name,
        parameters=size["parameters"],
        trained=size["trained"],
        documents=len(work.documents),
        truncated=truncated(work.documents, work.chosen.train),
        plan=plan,
        resumed_step=resumed_step,
        base=base,
        precision="bf16" if work.bf16 else "fp32",
        lower_bound=not work.tokenizer.lossless,
    )


def _opened(
    run: RunDirectory, chosen: Experiment, corpus: Corpus, lock: RunLock, resume: bool, name: str
) -> tuple[Experiment, Checkpoint | None]:
    """The experiment to run and, for a run that exists, its last checkpoint."""
    out = run.path
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; say another --out")
    if (out / "tensorboard").is_symlink():
        raise RunError(f"{out}/tensorboard is a link, which nothing is written through: remove it")
    if not out.exists() or all(path.name.startswith(".") for path in out.iterdir()):
        base = arguments.path(chosen.base)
        if chosen.base and base.is_dir():  # the run may be continued from another folder
            chosen = chosen.model_copy(update={"base": str(base.resolve())})
        return chosen, None
    if not resume:
        raise RunError(f"{out} exists already; continue it with --resume, or say another --out")
    manifest = run.manifest
    if manifest["corpus"]["hash"] != corpus.hash:
        raise RunError(f"the corpus has changed since {out} was started; train into a new folder")
    if name and name != manifest["name"]:
        raise RunError(f"{out} is a run of {manifest['name']}, not of {name}; train into a new folder")
    lock.take()
    return Experiment(**manifest["experiment"]), run.load_last()


@dataclass
class _Work:
    """A model, and what it is trained and validated on."""

    chosen: Experiment
    tokenizer: Tokenizer
    model: LanguageModel
    bf16: bool
    documents: Documents
    records: Sequence[Record]
    """Those of the validation split that are scored."""

    def batches_of(self, epoch: int) -> Epoch:
        """The batches of an epoch, the same each time they are asked for."""
        batches = epoch_batches(self.documents, self.chosen.train, epoch, self.tokenizer.pad_id)
        if not batches:
            raise OptionError(f"batch_size {self.chosen.train.batch_size} is more than the corpus has tokens: lower it")
        return batches

    def validate(self, documents: int | None = None) -> float:
        """Bits per byte of the validation records, or of the first few."""
        texts = [record.text for record in self.records[:documents]]
        with device.autocast(self.bf16):
            found = score(self.model, self.tokenizer, texts[processes.index() :: processes.count()])
        nll, size = processes.total([sum(found.document_nll), sum(found.bytes)])
        return replace(found, nll=[[nll]], charges=None, bytes=[int(size)]).bits_per_byte

    def watch(self, tokens: int = WATCHED_TOKENS) -> list[Sample]:
        """Samples of so many tokens from fixed prompts and seeds, so that validations can be compared."""
        sampling = self.chosen.sampling
        shorter = {"num_beams": 1, "min_length": 0, "max_length": min(tokens, sampling.max_length)}
        requests = [Request(prompt, self.chosen.train.seed) for prompt in WATCHED_PROMPTS]
        training = self.model.training
        written = decode(self.model, self.tokenizer, requests, sampling.model_copy(update=shorter))
        samples = [event for event in written if isinstance(event, Sample)]
        self.model.train(training)
        return sorted(samples, key=lambda sample: sample.index)

    def validation_seconds(self) -> float:
        """What a validation and its samples take, from a few documents and tokens, scored and written twice: the
        first time is slower."""
        for _ in range(2):
            asked = time.monotonic()
            self.validate(PROBED_DOCUMENTS)
            scored = time.monotonic()
            self.watch(PROBED_TOKENS)
            written = time.monotonic()
        scoring = (scored - asked) * max(1.0, len(self.records) / PROBED_DOCUMENTS)
        return scoring + (written - scored) * WATCHED_TOKENS / PROBED_TOKENS


def _build(chosen: Experiment, corpus: Corpus, base: Path | None) -> _Work:
    """The tokenizer from the training split, the model on its device, the documents as tokens."""
    forks.check()
    device.tune_memory()
    device.seed_everything(chosen.train.seed)
    kind, family = tokenizers.kind(chosen.tokenizer.name), models.family(chosen.family)
    options = checked(kind.Config, chosen.tokenizer.options, "tokenizer")
    tokenizer = kind.build(options, (record.text for record in corpus.train), base)
    model = family.build(checked(family.Config, chosen.model, "model"), tokenizer, base)
    if model.context_length is not None and chosen.train.max_length > model.context_length:
        raise OptionError(
            f"train.max_length {chosen.train.max_length} is more than the model's context of "
            f"{model.context_length} tokens: lower it"
        )
    bf16 = device.dtype(chosen.train.precision) == torch.bfloat16
    if bf16:  # frozen weights are kept in the fast type; trained ones stay float32, and autocast does the rest
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.bfloat16()
    model.to(device.here())
    if processes.index():  # what is dropped differs from process to process
        device.seed_everything(chosen.train.seed + processes.index())
    if chosen.train.layout == "stream" and chosen.train.batch_size % processes.count():
        raise OptionError(
            f"batch_size {chosen.train.batch_size} cannot be shared among {processes.count()} processes: "
            f"say a multiple of {processes.count()}"
        )
    documents = Documents((tokenizer.encode(record.text) for record in corpus.train), tokenizer.end_id)
    work = _Work(chosen, tokenizer, model, bf16, documents, _validation_records(corpus, chosen.train))
    work.batches_of(0)  # what cannot be trained is refused before anything is written
    return work


def _validation_records(corpus: Corpus, config: TrainConfig) -> Sequence[Record]:
    """All of the validation split, or a fixed draw of it."""
    records = corpus.validation
    if config.validation_documents and len(records) > config.validation_documents:
        return random.Random(config.seed).sample(records, config.validation_documents)
    return records


class _Metrics:
    """metrics.jsonl, a line a step. A line waits for the validation that may follow its step, but no longer than to
    the next checkpoint: what a checkpoint knows of, the log must not have lost."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.line: dict[str, Any] = {}
        self.waiting = False

    def stepped(self, event: Stepped) -> None:
        self.flush()
        self.line = {**asdict(event), "seconds": round(event.seconds, 3)}
        self.waiting = True

    def validated(self, event: Validated) -> None:
        at_stop = {"at_stop": True} if event.at_stop else {}
        self.line |= {"step": event.step, "bits_per_byte": event.bits_per_byte, **at_stop}
        self.waiting = True
        self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.run.log(self.run.metrics, self.line)
            self.waiting = False


def _logged(trainer: Trainer, run: RunDirectory, work: _Work, metrics: _Metrics) -> Iterator[TrainEvent]:
    """The loop's events, logged; after a validation, samples from fixed prompts."""
    for event in trainer.run():
        if isinstance(event, Stepped):
            metrics.stepped(event)
        elif isinstance(event, Validated):
            metrics.validated(event)
        yield event
        if isinstance(event, Validated) and processes.is_main():
            samples = work.watch()
            at_stop = {"at_stop": True} if event.at_stop else {}
            for sample in samples:
                run.log(run.samples, {"step": event.step, "prompt": sample.prompt, "text": sample.text, **at_stop})
            yield Watched(event.step, samples)
