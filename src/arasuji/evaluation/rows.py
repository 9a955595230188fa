"""The rows of a comparison: runs, untuned base models, and the latter with shots; and which of them are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from arasuji import device
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError
from arasuji.runs import RunDirectory, best_of, is_run, open_model, weights_of
from arasuji.speech import say


class Row(NamedTuple):
    """A row of the report."""

    title: str
    """What it is called: the folder's name, or the whole path where two are the same."""
    name: str
    """The run folder or the base model."""
    shots: int
    """The number of training texts that stand in the model's context before each text."""


def corpus_of_runs(names: Sequence[str]) -> Path:
    """The corpus that the first of the runs knows."""
    for name in names:
        if is_run(name) and (folder := RunDirectory(Path(name)).facts.corpus.folder):
            return Path(folder)
    raise OptionError("no run among these knows a corpus folder: say --corpus DIR")


def rows_of(names: Sequence[str], shots: Sequence[int]) -> list[Row]:
    """The models in their order, each untuned one followed by a row for each number of shots; 0 and what is repeated
    add nothing.

    Raises:
        OptionError: no model is untuned, so there is none to have shots.
    """
    counts = [count for count in dict.fromkeys(shots) if count]
    if counts and all(map(is_run, names)):
        raise OptionError("--shots is for untuned base models, and none is named: name one too, such as smollm2-135m")
    short = [Path(name).resolve().name if is_run(name) else name for name in names]
    rows = []
    for title, name in zip(short, names, strict=True):
        rows.append(Row(title if short.count(title) == 1 else name, name, 0))
        if not is_run(name):
            rows += [Row(f"{rows[-1].title} + {count} shot{'s' * (count != 1)}", name, count) for count in counts]
    return rows


def check(rows: Sequence[Row], folder: Path, corpus: Corpus, seed: int) -> None:
    """Refuse at once what would be refused in the end."""
    names = [row.name for row in rows if not row.shots]
    if len(rows) < 2:
        raise OptionError("one model is no comparison: name two runs or more, or a run and its untuned base")
    if len({str(Path(name).resolve()) if is_run(name) else name for name in names}) < len(names):
        raise OptionError("a model is named twice")
    for name in names:
        if is_run(name):
            check_run(name, folder, corpus)
        weights_of(name)
        if most := max(row.shots for row in rows if row.name == name):
            open_model(name, device.dtype("auto")).with_shots(corpus.train, most, seed)


def check_run(name: str, folder: Path, corpus: Corpus) -> None:
    """Refuse a run that has no best model, and one that may have learnt from the held-out texts of the corpus."""
    if best_of(Path(name)) is None:
        raise RunError(f"{name} has no best model yet: train it first")
    facts = RunDirectory(Path(name)).facts
    if facts.experiment.document.predicts == "title":
        raise OptionError(f"{name} predicts titles, which cannot be compared with texts: `evaluate` measures it")
    if facts.imported:
        say(f"note: {name} was trained elsewhere, so it is not known whether it has learnt from the held-out texts")
    if facts.corpus.hash not in ("", corpus.hash):
        raise RunError(
            f"{name} was trained on another corpus than {folder}, whose held-out texts it may have learnt from: name "
            "the corpus of the run with --corpus"
        )
