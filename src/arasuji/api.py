"""What a notebook calls: prepare, train, load, generate, evaluate.

corpus = prepare(["anime.csv"])
for event in train("lstm-small", corpus, Path("runs/small")): print(event)
model = load("runs/small")
for sample in generate(model, ["After years"], n=3): print(sample.text)
print(evaluate(model, [r.text for r in corpus.test]).bits_per_byte)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from arasuji import bases, device, models, tokenizers
from arasuji.config import Experiment, SamplingConfig, TrainConfig, checked, load_experiment, override
from arasuji.corpus import Corpus, Record, prepare
from arasuji.errors import OptionError, PromptError, RunError
from arasuji.evaluation.score import Score, score
from arasuji.generation.decode import Piece, Request, Sample, decode
from arasuji.models import LanguageModel
from arasuji.runs import RunDirectory, TrainedModel, open_model
from arasuji.tokenizers import Tokenizer
from arasuji.training.batches import epoch_batches, truncated
from arasuji.training.loop import Event, Stepped, Stopped, Trainer, Validated
from arasuji.training.plan import Plan, make_plan

__all__ = ["PROMPTS", "evaluate", "experiment", "generate", "load", "prepare", "train", "write"]

PROMPTS = (
    "After years",
    "When the night",
    "This is the story",
    "Spike was",
    "In the year",
    "A shinigami",
    "During the war",
    "A young man",
)
"""The article's prompts."""
WATCHED_PROMPTS = ("", PROMPTS[0], PROMPTS[-1])
"""Prompts of the samples written at each validation; the first is the empty one."""
PROBED_DOCUMENTS = 16
"""Validation documents that are scored before the run, to estimate what a validation takes."""
STOP_SECONDS = 5.0
"""Of `max_minutes`, kept back for the last checkpoint."""


@dataclass(frozen=True)
class Started:
    """What is about to be trained; the first event of a run."""

    name: str
    parameters: int
    trained: int
    documents: int
    truncated: int
    plan: Plan
    resumed_step: int
    base: str
    precision: str


@dataclass(frozen=True)
class Watched:
    """Samples written at a validation."""

    step: int
    samples: list[Sample]


TrainEvent = Started | Watched | Event


def experiment(preset: str, settings: Sequence[str] = ()) -> Experiment:
    """A preset, or a TOML file, with `key=value` settings applied.

    Raises:
        OptionError: an unknown preset, option or value.
    """
    tables = load_experiment(preset)
    # A first look without the settings, since which options there are depends on the family and the tokenizer.
    for setting in settings:
        if setting.startswith(("family=", "tokenizer.name=")):
            raise OptionError(f"--set {setting}: another family is another experiment; write a TOML file")
    plain = checked(Experiment, tables, preset)
    family, tokenizer = models.family(plain.family), tokenizers.kind(plain.tokenizer.name)
    known = {
        "tokenizer": set(tokenizer.Config.model_fields),
        "model": set(family.Config.model_fields),
        "train": set(TrainConfig.model_fields),
        "sampling": set(SamplingConfig.model_fields),
    }
    for setting in settings:
        override(tables, setting, known)
    made: Experiment = checked(Experiment, tables, preset)
    checked(family.Config, made.model, f"{preset}: model")
    checked(tokenizer.Config, made.tokenizer.options, f"{preset}: tokenizer")
    return made


def load(name: str | Path, precision: device.Precision = "fp32") -> TrainedModel:
    """A run folder's best model, or an untuned base model, on this machine's device."""
    trained = open_model(str(name), device.dtype(precision))
    trained.model.to(device.here())
    return trained


def write(
    trained: TrainedModel,
    prompts: Iterable[str],
    n: int = 1,
    seed: int = 0,
    sampling: SamplingConfig | None = None,
    pieces: bool = False,
) -> Iterator[Piece | Sample]:
    """Write `n` texts for each prompt, events as they come: text i of the call is seeded with `seed + i`."""
    beginnings = (_encodable(prompt) for prompt in prompts for _ in range(n))
    requests = (Request(prompt, seed + i) for i, prompt in enumerate(beginnings))
    return decode(trained.model, trained.tokenizer, requests, sampling or trained.sampling, pieces)


def _encodable(prompt: str) -> str:
    """The prompt, where UTF-8 can hold it: a shell hands over other bytes as lone surrogates."""
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"the prompt {prompt!r} holds bytes that are not UTF-8") from error
    return prompt


def generate(
    trained: TrainedModel,
    prompts: Iterable[str] = ("",),
    n: int = 1,
    seed: int = 0,
    sampling: SamplingConfig | None = None,
) -> Iterator[Sample]:
    """`write`, whole samples only, in the order of the prompts."""
    ready: dict[int, Sample] = {}
    following = 0
    for event in write(trained, prompts, n, seed, sampling):
        if isinstance(event, Sample):
            ready[event.index] = event
        while following in ready:
            yield ready.pop(following)
            following += 1


def evaluate(trained: TrainedModel, texts: Sequence[str], groups: Sequence[str] | None = None) -> Score:
    """Bits per byte of texts, each scored alone and as it is.

    Raises:
        OptionError: there is no text to score.
    """
    if not texts:
        raise OptionError("there is no text to score")
    return score(trained.model, trained.tokenizer, texts, groups)


def train(
    chosen: Experiment,
    corpus: Corpus | Path,
    out: Path,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    should_stop: Callable[[], str] = lambda: "",
    name: str = "",
) -> Iterator[TrainEvent]:
    """Train an experiment on a corpus (or the folder of one) into the run folder `out`; yields what happens.

    A resumed run keeps the experiment and the plan it was started with. `should_stop` is asked after every step;
    a reason stops the run cleanly.

    Raises:
        RunError: `out` exists and `resume` is not said, or is damaged, or belongs to another corpus.
    """
    began = time.monotonic()
    run = RunDirectory(out)
    saved = None
    folder = str(corpus.resolve()) if isinstance(corpus, Path) else ""
    if isinstance(corpus, Path):
        corpus = Corpus.load(corpus)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; say another --out")
    if out.exists() and any(not p.name.startswith(".") for p in out.iterdir()):
        if not resume:
            raise RunError(f"{out} exists already; continue it with --resume, or say another --out")
        manifest = run.manifest
        if manifest["corpus"]["hash"] != corpus.hash:
            raise RunError(f"the corpus has changed since {out} was started; train into a new folder")
        if name != manifest["name"]:
            raise RunError(f"{out} is a run of {manifest['name']}, not of {name}; train into a new folder")
        chosen = Experiment(**manifest["experiment"])
        saved = run.load_last()
    device.seed_everything(chosen.train.seed)
    if Path(chosen.base).is_dir():  # a run may be continued from another folder
        chosen.base = str(Path(chosen.base).resolve()) if chosen.base else ""
    base, found = bases.find(chosen.base) if chosen.base else (None, "")
    tokenizer, model = _build(chosen, corpus, base)
    if model.context_length is not None and chosen.train.max_length > model.context_length:
        raise OptionError(
            f"train.max_length {chosen.train.max_length} is more than the model's context of "
            f"{model.context_length} tokens: lower it"
        )
    if saved is None:
        facts = {"name": name, "corpus": {"hash": corpus.hash, "folder": folder}, "base": found}
        run.start(chosen, facts)
        run.rewind(-1)
    accelerator = Accelerator(mixed_precision="bf16" if _is_bf16(chosen) else "no")
    model.to(accelerator.device)
    documents = [tokenizer.encode(record.text) for record in corpus.train]
    checked_on = _validation_records(corpus, chosen.train)

    def batches_of(epoch: int) -> list[Any]:
        return epoch_batches(documents, chosen.train, epoch, tokenizer.end_id, tokenizer.pad_id)

    def validate(records: Sequence[Record] = checked_on) -> float:
        with accelerator.autocast():
            return score(model, tokenizer, [r.text for r in records]).bits_per_byte

    if saved is None:
        validate(checked_on[:PROBED_DOCUMENTS])  # the first time is slower
        asked = time.monotonic()
        validate(checked_on[:PROBED_DOCUMENTS])
        seconds = (time.monotonic() - asked) * max(1.0, len(checked_on) / PROBED_DOCUMENTS)
        left = max_minutes * 60 - (time.monotonic() - began) if max_minutes is not None else None
        plan = make_plan(model, batches_of(0), chosen.train, accelerator, seconds, max_steps, left)
    else:
        plan = Plan(**saved[1]["plan"])

    def stop() -> str:
        if max_minutes is not None and time.monotonic() - began > max_minutes * 60 - STOP_SECONDS:
            return f"{max_minutes:g} minutes are over"
        return should_stop()

    trainer = Trainer(
        model=model,
        config=chosen.train,
        plan=plan,
        accelerator=accelerator,
        epoch_batches=batches_of,
        validate=validate,
        save_best=lambda at: run.save_best(
            chosen.family,
            model,
            chosen.tokenizer.name,
            tokenizer,
            {"step": at.step, "bits_per_byte": at.best_bits, "base": found},
        ),
        save_last=run.save_last,
        should_stop=stop,
    )
    if saved is not None:
        trainer.restore(*saved)
        run.rewind(trainer.progress.step)
    size = model.size()
    yield Started(
        name=name or out.name,
        parameters=size["parameters"],
        trained=size["trained"],
        documents=len(documents),
        truncated=truncated(documents, chosen.train),
        plan=plan,
        resumed_step=trainer.progress.step,
        base=found,
        precision="bf16" if _is_bf16(chosen) else "fp32",
    )
    yield from _logged(trainer, run, chosen, model, tokenizer)
    device.release()


def _logged(
    trainer: Trainer, run: RunDirectory, chosen: Experiment, model: LanguageModel, tokenizer: Tokenizer
) -> Iterator[TrainEvent]:
    """The loop's events, each written to metrics.jsonl; after a validation, samples from fixed prompts."""
    step: dict[str, Any] = {}
    for event in trainer.run():
        if isinstance(event, Stepped):
            if step:
                run.log(run.metrics, step)
            step = {
                "step": event.step,
                "tokens": event.tokens,
                "loss": event.loss,
                "learning_rate": event.learning_rate,
                "seconds": round(event.seconds, 3),
            }
        elif isinstance(event, Validated):
            line = {**step, "step": event.step, "bits_per_byte": event.bits_per_byte}
            run.log(run.metrics, {**line, "at_stop": True} if event.at_stop else line)
            step = {}
            yield event
            yield Watched(event.step, _watch(model, tokenizer, chosen, run, event.step))
            continue
        elif step:  # a checkpoint must not be ahead of its metrics
            run.log(run.metrics, step)
            step = {}
        yield event
        if isinstance(event, Stopped):
            return


def _watch(
    model: LanguageModel, tokenizer: Tokenizer, chosen: Experiment, run: RunDirectory, step: int
) -> list[Sample]:
    """Samples from fixed prompts and seeds, so that validations can be compared."""
    shorter = {"num_beams": 1, "min_length": 0, "max_length": min(60, chosen.sampling.max_length)}
    sampling = chosen.sampling.model_copy(update=shorter)
    training = model.training
    requests = [Request(prompt, chosen.train.seed) for prompt in WATCHED_PROMPTS]
    samples = [s for s in decode(model, tokenizer, requests, sampling) if isinstance(s, Sample)]
    model.train(training)
    for sample in sorted(samples, key=lambda s: s.index):
        run.log(run.samples, {"step": step, "prompt": sample.prompt, "text": sample.text})
    return samples


def _build(chosen: Experiment, corpus: Corpus, base: Path | None) -> tuple[Tokenizer, LanguageModel]:
    kind, family = tokenizers.kind(chosen.tokenizer.name), models.family(chosen.family)
    options = checked(kind.Config, chosen.tokenizer.options, "tokenizer")
    tokenizer = kind.build(options, (record.text for record in corpus.train), base)
    return tokenizer, family.build(checked(family.Config, chosen.model, "model"), tokenizer, base)


def _is_bf16(chosen: Experiment) -> bool:
    return chosen.train.precision == "bf16" or (chosen.train.precision == "auto" and device.has_bf16())


def _validation_records(corpus: Corpus, config: TrainConfig) -> list[Record]:
    """All of the validation split, or a fixed draw of it."""
    records = list(corpus.validation)
    if config.validation_documents and len(records) > config.validation_documents:
        return random.Random(config.seed).sample(records, config.validation_documents)
    return records
