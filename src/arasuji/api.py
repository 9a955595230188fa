"""What a notebook calls: inspect, prepare, train, load, generate, evaluate, compare.

corpus = prepare(["anime.csv"], "corpora/anime")
for event in train(experiment("lstm-small"), corpus, "runs/small"): print(event)
model = load("runs/small")
for sample in generate(model, ["After years"], n=3): print(sample.text)
print(evaluate(model, [r.text for r in corpus.test], train=corpus.train).bits_per_byte)
print(compare(["runs/small", "smollm2-135m"])["pairs"])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from arasuji import device, models, tokenizers
from arasuji.config import Experiment, SamplingConfig, TrainConfig, checked, load_experiment, override
from arasuji.corpus import Corpus, Record, prepare
from arasuji.errors import OptionError, PromptError
from arasuji.evaluation.charge import Charge
from arasuji.evaluation.compare import compare
from arasuji.evaluation.score import Score, score
from arasuji.generation.decode import Piece, Request, Sample, check_length, decode
from arasuji.inspection import Inspection
from arasuji.inspection.examine import examine as inspect
from arasuji.runs import TrainedModel, open_model
from arasuji.training.events import Started, TrainEvent, Watched
from arasuji.training.loop import Saved, Stepped, Stopped, Validated
from arasuji.training.session import train

__all__ = [
    "PROMPTS",
    "Corpus",
    "Inspection",
    "Piece",
    "Record",
    "Sample",
    "Saved",
    "Score",
    "Started",
    "Stepped",
    "Stopped",
    "TrainEvent",
    "TrainedModel",
    "Validated",
    "Watched",
    "check_prompts",
    "compare",
    "evaluate",
    "experiment",
    "generate",
    "inspect",
    "load",
    "prepare",
    "train",
    "write",
]

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
    """A run folder's best model, or an untuned base model, on this machine's device.

    "int8" is for writing on a CPU: fastest, at some 0.5 % more bits per byte. A model without an 8-bit form is then
    opened in float32.
    """
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
    skip: int = 0,
) -> Iterator[Piece | Sample]:
    """Write `n` texts for each prompt, events as they come: text i of the call is seeded with `seed + i`.

    The first `skip` texts are left out, and the others are what they would be. Prompts are taken as there is room.
    """
    beginnings = (_encodable(prompt) for prompt in prompts for _ in range(n))
    requests = islice((Request(prompt, seed + i) for i, prompt in enumerate(beginnings)), skip, None)
    return decode(trained.model, trained.tokenizer, requests, sampling or trained.sampling, pieces)


def _encodable(prompt: str) -> str:
    """The prompt, where UTF-8 can hold it: a shell hands over other bytes as lone surrogates."""
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"the prompt {prompt!r} holds bytes that are not UTF-8") from error
    return prompt


def check_prompts(trained: TrainedModel, prompts: Iterable[str]) -> None:
    """Raise PromptError for the first prompt that the model cannot continue, before anything is written."""
    for prompt in prompts:
        check_length(trained.model, prompt, trained.tokenizer.encode(_encodable(prompt)))


def generate(
    trained: TrainedModel,
    prompts: Iterable[str] = ("",),
    n: int = 1,
    seed: int = 0,
    sampling: SamplingConfig | None = None,
    skip: int = 0,
) -> Iterator[Sample]:
    """`write`, whole samples only, in the order of the prompts."""
    ready: dict[int, Sample] = {}
    following = 0
    for event in write(trained, prompts, n, seed, sampling, skip=skip):
        if isinstance(event, Sample):
            ready[event.index] = event
        while following in ready:
            yield ready.pop(following)
            following += 1


def evaluate(
    trained: TrainedModel, texts: Sequence[str], groups: Sequence[str] | None = None, train: Sequence[Record] = ()
) -> Score:
    """Bits per byte of texts, each scored alone and as it is.

    `train` is the split that the model has learnt from: what a word tokenizer throws away is charged by it. Without it
    such a model's figure is a lower bound.

    Raises:
        OptionError: there is no text to score.
    """
    if not texts:
        raise OptionError("there is no text to score")
    return score(trained.model, trained.tokenizer, texts, groups, Charge.of(trained.tokenizer, train))
