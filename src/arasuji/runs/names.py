"""What a name means, the folder of a run or a pretrained model, and what is known about it."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from arasuji import bases, files, folders, forks, models, tokenizers
from arasuji.config import SamplingConfig
from arasuji.corpus import Corpus
from arasuji.errors import CorpusError, RunError, nearest
from arasuji.runs import int8_cache
from arasuji.runs.directory import RunDirectory
from arasuji.runs.opening import TrainedModel, enough_memory, open_pair

BASE_SAMPLING = SamplingConfig.model_validate({"top_p": 0.95})
"""The sampling settings of a base model that was not trained further."""
MOST_RUNS = 1000
"""A mistyped name is compared with at most this many runs."""


def is_run(name: str) -> bool:
    """Whether a name is taken for a run: it is a folder, but not that of a pretrained model."""
    return Path(name).is_dir() and not (Path(name) / "config.json").exists()


def sampling_of(name: str) -> SamplingConfig:
    """The default sampling settings of a model, which is not opened."""
    return RunDirectory(Path(name)).sampling if is_run(name) else BASE_SAMPLING


def settings_of(run: Path, preset: str) -> list[str]:
    """The settings that a run of a preset was started with; none where there is no such run."""
    directory = RunDirectory(run)
    if not (run / folders.MANIFEST).exists() or directory.facts.name != preset:
        return []
    return directory.facts.settings or []


def corpus_of(name: str) -> dict[str, Any]:
    """The hash and the folder of the corpus that a run was trained on; empty for a base, and for an imported run that
    knows none. The run is not opened."""
    known = RunDirectory(Path(name)).facts.corpus.model_dump() if is_run(name) else {}
    return known if known.get("hash") else {}


def own_corpus(folder: Path) -> Corpus:
    """The corpus of a run, in the folder where the run was trained on it. Raises CorpusError where it is not there."""
    try:
        return Corpus.load(folder)
    except CorpusError as error:
        what = f"no corpus at {folder}, where the run found it" if not folder.exists() else str(error)
        raise CorpusError(f"{what}; if it was moved, name its place with --corpus DIR") from error


def weights_of(name: str) -> Path:
    """The folder of a run's best model, or of a base model. Raises BaseModelError for what `bases.check` refuses."""
    if not is_run(name):
        return _base(name)[0]
    best = Path(name) / "best"
    if best.is_dir():
        bases.check(best, best)
    return best


def mark_of(name: str) -> dict[str, str]:
    """SHA-256 of each file of a run's best model or of a base model. They change when the weights, the configuration,
    the tokenizer or the format does."""
    return {path.name: files.file_hash(path) for path in sorted(weights_of(name).iterdir()) if path.is_file()}


def marks_of(trained: TrainedModel) -> dict[str, str]:
    """The same as `mark_of`, for an opened model. For a run the sums are those of its manifest, which was verified."""
    sealed = trained.facts.get("files")
    if not sealed:
        return mark_of(trained.name)
    sums = {name: entry["sha256"] for name, entry in sealed.items()}
    return sums | ({"format": trained.format} if trained.format else {})


def open_model(name: str, precision: torch.dtype) -> TrainedModel:
    """Open the best model of a run folder, or a base model by its name or folder.

    Raises RunError for a folder that is neither, and BaseModelError for a base that is unknown or cannot be fetched.
    """
    forks.check()
    path = Path(name)
    if is_run(name):
        return replace(RunDirectory(path).load_best(precision), source=name, precision=precision)
    folder, found = _base(name)
    place = int8_cache.place_of(path.name, folder)
    with enough_memory(folder):
        model, tokenizer = open_pair(models.PRETRAINED, tokenizers.PRETRAINED, folder, precision, place)
    return TrainedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        sampling=BASE_SAMPLING,
        facts={"family": models.PRETRAINED, "base": name, "found": found, "corpus": None},
        source=name,
        precision=precision,
    )


def _base(name: str) -> tuple[Path, str]:
    """The folder of a base model, and a sentence about where it was found."""
    if not os.path.exists(name) and name not in bases.KNOWN and not bases.is_cached(name):
        raise RunError(
            f"no run {name}; {nearest(name, [*_runs_near(name), *bases.KNOWN])} "
            "(`arasuji models get OWNER/NAME` fetches another model from the hub)"
        )
    return bases.find(name, option="")


def _runs_near(name: str) -> list[str]:
    """The runs that a mistyped name may mean: those in the same folder, in this folder, and in its subfolders."""
    logs = chain(*(Path(name).parent.glob("*/metrics.jsonl"), Path().glob("*/metrics.jsonl"),
                   Path().glob("*/*/metrics.jsonl")))  # fmt: skip
    return [str(log.parent) for log in islice(logs, MOST_RUNS)]
