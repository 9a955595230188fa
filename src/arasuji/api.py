"""What a notebook calls: inspect, prepare, train, tune, sweep, load, generate, evaluate, compare, export.

corpus = prepare("anime.csv", "corpora/anime")
run = train("lstm-small", corpus, "runs/small")
model = load(run)
for sample in generate(model, "After years", n=3): print(sample.text)
print(evaluate(run, [r.text for r in corpus.test], train=corpus.train).bits_per_byte)
print(compare([run, "smollm2-135m"]).pairs)
print(memory(load(run, "fp32"), "After years").most_moved(1))  # the inside of an LSTM; attention: of a transformer
few_shot = load("smollm2-135m").with_shots(corpus.train, 4)  # scores and writes with 4 training texts in its context

Where a list of texts or files is taken, a single one may be given as it is; where a model is, also the folder of a run
or the name of a base model, which is then opened for this one call. In paths, ~ is the home folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch

from arasuji import arguments, models, notebook, processes, tokenizers
from arasuji.arguments import AnyPath
from arasuji.config import (
    DocumentConfig,
    Experiment,
    SamplingConfig,
    TeachingConfig,
    TrainConfig,
    checked,
    load_experiment,
    override,
)
from arasuji.corpus import Corpus, Progress, Record, prepare
from arasuji.documents import records_of, told_only
from arasuji.errors import OptionError, nearest
from arasuji.evaluation.charge import Charge
from arasuji.evaluation.compare import READER, compare
from arasuji.evaluation.rows import corpus_of_runs
from arasuji.evaluation.score import Score, score
from arasuji.evaluation.texts import FEWEST
from arasuji.exports.card import Card
from arasuji.exports.export import export as export_run
from arasuji.generation.decode import Piece, Redrawn
from arasuji.generation.explain import Explanation
from arasuji.generation.texts import Sample
from arasuji.generation.wishes import Wishes
from arasuji.inside import Attention, Memory, attention, memory
from arasuji.inspection import Inspection
from arasuji.inspection.examine import examine as inspect
from arasuji.runs import CorpusFacts, RunDirectory, TrainedModel, is_run, own_corpus, settings_of
from arasuji.runs.imported import import_model as import_run
from arasuji.teaching.lesson import Taught
from arasuji.training import session
from arasuji.training.average import average as average_runs
from arasuji.training.events import Started, TrainEvent, Watched
from arasuji.training.loop import Saved, Stepped, Stopped, Validated
from arasuji.training.shown import show
from arasuji.tuning import Search, Trial, TrialEnded, TrialStarted, TuneEvent
from arasuji.tuning.grid import choices_of
from arasuji.tuning.shown import show as show_search
from arasuji.tuning.space import read_space
from arasuji.tuning.sweep import sweep as sweep_run
from arasuji.tuning.swept import Sweep
from arasuji.writing import (
    Model,
    check_prompts,
    explain,
    generate,
    load,
    titles,
    variation_of,
    write,
)

__all__ = [
    "PROMPTS",
    "Attention",
    "Card",
    "Corpus",
    "Explanation",
    "Inspection",
    "Memory",
    "Piece",
    "Record",
    "Redrawn",
    "RunDirectory",
    "Sample",
    "Saved",
    "Score",
    "Search",
    "Started",
    "Stepped",
    "Stopped",
    "Sweep",
    "Taught",
    "TrainEvent",
    "TrainedModel",
    "Trial",
    "TrialEnded",
    "TrialStarted",
    "TuneEvent",
    "Validated",
    "Watched",
    "Wishes",
    "attention",
    "average",
    "check_prompts",
    "compare",
    "evaluate",
    "experiment",
    "explain",
    "export",
    "generate",
    "import_model",
    "inspect",
    "load",
    "memory",
    "prepare",
    "sweep",
    "titles",
    "train",
    "train_events",
    "tune",
    "tune_events",
    "variation_of",
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


def experiment(preset: AnyPath, settings: Iterable[str] | str = ()) -> Experiment:
    """A preset, or a TOML file, with `key=value` settings applied.

    Raises:
        OptionError: an unknown preset, option or value.
    """
    preset, settings = arguments.name(preset), [*arguments.texts(settings)]
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
        "document": set(DocumentConfig.model_fields),
        "teaching": set(TeachingConfig.model_fields),
    }
    for setting in settings:
        override(tables, setting, known)
    made: Experiment = checked(Experiment, tables, preset)
    for sized in (made, *map(made.sized, made.sizes)):
        checked(family.Config, sized.model, f"{preset}: model")
    checked(tokenizer.Config, made.tokenizer.options, f"{preset}: tokenizer")
    return made


def train_events(
    chosen: Experiment | AnyPath,
    corpus: Corpus | AnyPath,
    out: AnyPath,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    should_stop: Callable[[], str] = lambda: "",
    name: str = "",
    settings: Iterable[str] | str = (),
) -> Iterator[TrainEvent]:
    """Train an experiment, or a preset by its name, on a corpus (or the folder of one) into the run folder `out`;
    yields what happens, and trains as its events are taken.

    `settings` change a preset, as `--set` does. A resumed run keeps the experiment and the plan it was started with,
    and is refused another; `max_steps` may give it another end.
    A teacher's work (see `config.TeachingConfig`) comes first, and is no part of `max_minutes`.
    `should_stop` is asked after every step; a reason stops the run cleanly. (Where several processes train together,
    see `processes`, take all events in each of them.) Where tensorboard is installed, `out` has logs for it.

    Raises:
        RunError: `out` exists and `resume` is not said, or is damaged, or belongs to another corpus.
        OptionError: the experiment does not fit the corpus or the model, or is not the one of the resumed run.
        TrainingError: the loss or the score is no longer a number.
    """
    settings = [*arguments.texts(settings)]
    if not isinstance(chosen, Experiment):
        name = name or Path(chosen).stem
        kept = settings_of(arguments.path(out), name) if resume else []
        chosen = experiment(chosen, [*kept, *settings])
    elif settings:
        raise OptionError(f"settings change a preset, and not an experiment that is made: {settings[0]}")
    return session.train_events(chosen, corpus, out, max_minutes, max_steps, resume, should_stop, name, settings)


def train(
    chosen: Experiment | AnyPath,
    corpus: Corpus | AnyPath,
    out: AnyPath,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    name: str = "",
    settings: Iterable[str] | str = (),
) -> RunDirectory:
    """Train to the end (see `train_events`), shown on stderr. The run that it returns may be handed to `load`,
    `generate`, `evaluate` and `compare`."""
    show(train_events(chosen, corpus, out, max_minutes, max_steps, resume, name=name, settings=settings))
    return RunDirectory(arguments.path(out))


def average(runs: Iterable[AnyPath], out: AnyPath, corpus: Corpus | AnyPath | None = None) -> RunDirectory:
    """Write a run whose best model has the mean of the weights of `runs` (a model soup; Wortsman et al. 2022): two or
    more that were fine-tuned from one base on one corpus, by default that of the first one. With other seeds or options
    each has learnt other things by heart, and their mean often predicts unseen texts better.

    It is scored as the first one was, on the validation split, and its metrics have one line: what all have cost.

    Raises:
        OptionError: the runs have no mean, since they have not the same base, tokens, fields and corpus.
        RunError: `out` exists already, or a run has no best model.
    """
    folders = [arguments.path(run) for run in runs]
    if corpus is None:
        corpus = own_corpus(corpus_of_runs([str(run) for run in folders]))
    elif not isinstance(corpus, Corpus):
        corpus = Corpus.load(arguments.path(corpus))
    return average_runs(folders, arguments.path(out), corpus)


def tune_events(
    preset: AnyPath,
    corpus: Corpus | AnyPath,
    out: AnyPath,
    settings: Iterable[str] | str,
    trials: int,
    minutes: float | None = None,
    max_steps: int | None = None,
    max_minutes: float | None = None,
    seed: int = 0,
    keep: bool = False,
    should_stop: Callable[[], str] = lambda: "",
) -> Iterator[TuneEvent]:
    """Search for options with which a preset, or a TOML file, needs the fewest bits per byte of the validation split;
    yields what happens, the `Search` at last, and trains as its events are taken.

    `settings` name what is searched: "key=a..b" is a range, "key=a|b|c" are choices, and other "key=value" hold for all
    trials. Each trial is a run in `out`/trials of at most `minutes` and `max_steps`; one that does worse than others
    ends early (median rule; Golovin et al. 2017). Values come from the tree-structured Parzen estimator (Bergstra et
    al. 2011), by Optuna. Only the best trial keeps its weights, unless `keep`; `out`/best.toml is the preset with its
    values. The same call continues a search that was stopped, by `max_minutes` or otherwise; it may name other numbers
    of `trials` and `max_minutes`.

    Raises:
        OptionError: a key, a value, a range or a number that cannot be searched; or Optuna is not installed.
        RunError: `out` is not a folder of this search, or another process writes it.
        TrainingError: no trial has ended with a score.
    """
    if not find_spec("optuna"):
        raise OptionError("a search needs Optuna, which is not installed: pip install 'arasuji[tune]'")
    limits = [limit for limit in (minutes, max_minutes) if limit is not None]
    if trials < 1 or not all(0 < limit < math.inf for limit in limits) or not 0 <= seed < 2**32:
        raise OptionError(f"trials {trials}, minutes {limits}, seed {seed}: at least 1 trial, above 0 minutes, a seed")
    if limits != sorted(limits):
        raise OptionError(f"max_minutes {max_minutes:g} of the search are fewer than the {minutes:g} of one trial")
    if processes.count() > 1:
        raise OptionError("a search trains in one process: start it without torchrun")
    from arasuji.tuning.search import Limits, search_events  # imports Optuna

    return search_events(
        arguments.name(preset),
        partial(experiment, preset),
        read_space(arguments.texts(settings)),
        corpus if isinstance(corpus, Corpus) else arguments.path(corpus),
        arguments.path(out),
        Limits(trials, minutes, max_steps, max_minutes),
        seed,
        keep,
        should_stop,
    )


def tune(
    preset: AnyPath,
    corpus: Corpus | AnyPath,
    out: AnyPath,
    settings: Iterable[str] | str,
    trials: int,
    minutes: float | None = None,
    max_steps: int | None = None,
    max_minutes: float | None = None,
    seed: int = 0,
    keep: bool = False,
) -> Search:
    """Search to the end (see `tune_events`), shown on stderr."""
    return show_search(tune_events(preset, corpus, out, settings, trials, minutes, max_steps, max_minutes, seed, keep))


@notebook.shows_progress
def sweep(
    run: AnyPath,
    settings: Iterable[str] | str = (),
    samples: int = 100,
    seed: int = 0,
    reader: AnyPath = READER,
    corpus: AnyPath | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Sweep:
    """Try sampling settings with a run, and write those into RUN/sampling.toml with which its texts are hardest to tell
    from real ones. `generate` then uses them wherever no others are given; `compare` has the same settings for all
    models.

    `settings` change the grid (see `tuning.grid`): "key=a|b|c" are other choices, "key=value" is a single one; lengths
    stay those of the run. In the first stage each setting continues about `samples` beginnings of validation texts
    (where there are fewer, all of them as many times as comes nearest); in the second one the best quarter, and the
    settings that the run had, write four times as many new texts. Text i of a stage has the same seed for all settings.
    `reader` is the base model by which texts are judged (`evaluation.judge`).

    The best setting is the one of the second stage whose texts are the hardest to tell from real ones (the least area
    under the ROC curve). Settings come last whose texts repeat themselves more than real ones do, or of whose texts
    more hold 13 words in a row from the training split, beyond chance.

    What was written and read is kept, so that the same call after a stop continues.

    Raises:
        OptionError: settings that cannot be tried; texts that are too few or too short to be judged; a base model.
        RunError: the run has no best model yet, or is of another corpus.
        BaseModelError: the reader is not on this machine, or cannot be opened.
    """
    name = arguments.name(run)
    if not is_run(name):
        raise OptionError(f"{name} is no run folder, so it cannot keep its settings: name one that `train` has written")
    if samples < 2 * FEWEST or not 0 <= seed < 2**32:
        raise OptionError(f"samples {samples}, seed {seed}: at least {2 * FEWEST} samples, a seed")
    choices = choices_of(arguments.texts(settings))
    folder = arguments.path(corpus) if corpus else corpus_of_runs([name])
    opened = Corpus.load(folder) if corpus else own_corpus(folder)
    return sweep_run(arguments.path(name), folder, opened, choices, samples, seed, arguments.name(reader), progress)


def evaluate(
    trained: Model,
    texts: Iterable[str | Record] | str,
    groups: Sequence[str] | None = None,
    train: Sequence[Record] = (),
    fields: Collection[str] | None = None,
) -> Score:
    """Bits per byte of texts, each scored alone and as it is, and never in 8 bits: a model that was opened so is opened
    again, as `arasuji evaluate` opens it.

    Of records, the model is told the fields that it was trained with, or only those named in `fields`. A model of
    titles is scored on the titles of the records, and one of middles on what stands between their first and last
    sentences, where it is told these (see `DocumentConfig`). `train` is the split that the model has learnt
    from: what a word tokenizer throws away is charged by it. Without it such a model's figure is a lower bound.

    A model `with_shots` reads them before each text; they are not counted.

    Raises:
        OptionError: there is no text to score, or the model cannot be told a field.
    """
    passages = records_of([texts] if isinstance(texts, str) else texts)
    if not passages:
        raise OptionError("there is no text to score")
    if not isinstance(trained, TrainedModel):
        trained = load(trained, "auto")
    elif trained.precision == torch.int8:
        trained = replace(load(trained.source, "auto"), shots=trained.shots)
    if fields is not None and not trained.fields:
        raise OptionError(f"{trained.name} was trained without fields, so it can be told nothing")
    for name in fields or ():
        if name not in trained.fields:
            raise OptionError(f"{trained.name} cannot be told {name!r}; {nearest(name, trained.fields)}")
    if any(lacking := [trained.predicts == "title" and not record.metadata.get("title") for record in passages]):
        raise OptionError(f"{trained.name} predicts titles, and {sum(lacking)} of the texts have none")
    charge = Charge.of(trained.tokenizer, train)
    read = [told_only(record, trained.predicts, fields) for record in passages]
    return score(trained.model, trained.tokenizer, read, groups, charge, trained.format, trained.shots)


@notebook.shows_progress
def export(
    run: AnyPath,
    out: AnyPath,
    to: str = "hf",
    type: str = "",
    corpus: AnyPath | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Card:
    """Write the best model of a run for other programs, into the new folder `out`, with a model card (README.md): how
    it opens, how many bits it needs for each byte of the test split, what it copies, how it was made, its licences.

    `to` is "hf" (transformers 5 and 4.57), "gguf" (llama.cpp), "onnx" or "ctranslate2"; `type` the type of the weights,
    by default the first one of the format. Figures are measured where the corpus of the run is found, or is named by
    `corpus`; elsewhere the card says why there are none.

    Raises:
        OptionError: an unknown format or type; a model that the format cannot hold; a package that is not installed.
        RunError: `run` has no best model, `out` exists already, or `corpus` is not that of the run.
    """
    named = arguments.path(corpus) if corpus is not None else None
    return export_run(arguments.path(run), arguments.path(out), to, type, named, progress)


def import_model(folder: AnyPath, out: AnyPath, corpus: AnyPath | None = None) -> RunDirectory:
    """Make a run, in the new folder `out`, of a causal language model that was trained elsewhere: a folder as
    transformers writes it, in safetensors. `corpus` is one to measure it on, which `compare` needs.

    Nothing is known of what such a model has learnt from, so it may have seen the test texts. Of a folder that `export`
    has written, the run takes over the fields, the sampling settings and the corpus's hash.

    Raises:
        BaseModelError: there is no such folder, or what it holds is refused.
        RunError: `out` exists already.
    """
    facts = None
    if corpus is not None:
        opened = Corpus.load(arguments.path(corpus))
        facts = CorpusFacts(hash=opened.hash, folder=str(opened.folder))
    return import_run(arguments.path(folder), arguments.path(out), facts)
