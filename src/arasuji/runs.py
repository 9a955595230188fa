"""A run folder: what `train` leaves behind and everything else opens.

    RUN/manifest.json    the experiment, the corpus's hash, the base and where it was found, versions
    RUN/metrics.jsonl    a line a step, validations included
    RUN/samples.jsonl    texts from fixed prompts, at each validation
    RUN/tensorboard/     both for TensorBoard, where it is installed
    RUN/best/            the model with the best validation score: weights, configuration, tokenizer, manifest
    RUN/int8/            its weights in 8 bits, made when it first writes, and anew when they change
    RUN/last/            what is needed to continue: learnt tensors, optimizer, generators, position, manifest

`best`, `int8` and `last` are sealed folders (see `files`): a half-written one is never opened.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from arasuji import bases, files, forks, models, processes, tokenizers
from arasuji.config import Experiment, SamplingConfig
from arasuji.corpus import Corpus
from arasuji.errors import BaseModelError, CorpusError, RunError, StorageError, nearest
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BASE_SAMPLING = SamplingConfig.model_validate({"top_p": 0.95})
"""How an untuned model writes."""
MOST_RUNS = 1000
"""Runs that a mistyped name is compared with."""
INT8_LAYOUT = 4
"""Raised when what is kept in 8 bits changes, so that it is made again."""


@dataclass
class TrainedModel:
    """A model that can write and be scored, with its tokenizer and its way of writing."""

    name: str
    model: LanguageModel
    tokenizer: Tokenizer
    sampling: SamplingConfig
    facts: dict[str, Any]
    """The checkpoint's manifest: family, step, validation score; for a base model, where it was found."""


def versions() -> dict[str, str]:
    """The versions that a figure depends on."""
    names = ("arasuji", "torch", "transformers", "tokenizers", "nltk", "peft", "accelerate")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """A verified folder that still does not fit was written by another version."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} was written by another version of arasuji; train into a new folder") from error


class RunDirectory:
    """The folder of one run. Of several processes that train together, the first one writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples.jsonl"

    def __fspath__(self) -> str:
        """A run may be handed over wherever its folder may."""
        return str(self.path)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run was started with."""
        try:
            content = json.loads((self.path / files.MANIFEST).read_text("utf-8"))
            if "experiment" not in content:
                raise RunError(f"{self.path} is not a run; make one with `arasuji train`")
            Experiment(**content["experiment"])
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path} is not a run: it has no {files.MANIFEST}; make one with `arasuji train`"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.path / files.MANIFEST} is damaged; train again into a new folder") from error
        return dict(content)

    @processes.main_only
    def start(self, experiment: Experiment, facts: dict[str, Any]) -> None:
        """Make the folder, with its manifest."""
        content = {"experiment": experiment.model_dump(), **facts, "versions": versions()}
        files.write_json(self.path / files.MANIFEST, content)

    @processes.main_only
    def log(self, path: Path, line: dict[str, Any]) -> None:
        """Append a line to metrics or samples."""
        with files.disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """The lines of its metrics, without one that a kill has cut short."""
        lines = []
        for line in self.metrics.read_bytes().split(b"\n") if self.metrics.exists() else []:
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
        return lines

    @processes.main_only
    def rewind(self, step: int) -> None:
        """Drop logged lines beyond a step: they will be written again."""
        for path in (self.metrics, self.samples):
            if path.exists():
                kept = []
                for line in path.read_bytes().split(b"\n"):
                    try:
                        entry = json.loads(line)
                        if entry["step"] <= step and not entry.get("at_stop"):
                            kept.append(line.decode() + "\n")
                    except ValueError:  # the line that a kill cut short, and what follows the last one
                        continue
                files.write_text(path, "".join(kept))

    @processes.main_only
    def save_best(
        self, experiment: Experiment, model: LanguageModel, tokenizer: Tokenizer, facts: dict[str, Any]
    ) -> None:
        """Seal the model and its tokenizer as the best so far."""
        with files.new_folder(self.path / "best") as folder:
            model.save(folder)
            tokenizer.save(folder)
            kinds = {"family": experiment.family, "tokenizer": experiment.tokenizer.name}
            files.seal(folder, {**kinds, **facts, "versions": versions()})

    @processes.main_only
    def save_last(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Seal what is needed to continue."""
        with files.new_folder(self.path / "last") as folder:
            save_file(
                {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}, folder / "state.safetensors"
            )
            files.write_json(folder / "state.json", state)
            files.seal(folder, {"step": state["progress"]["step"]})

    def load_last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What `save_last` wrote; None before the first checkpoint."""
        found = files.open_folder(self.path / "last")
        if found is None:
            if (self.path / "last").exists():
                raise RunError(f"{self.path}/last is damaged and cannot be continued; train into a new folder")
            return None
        folder, _ = found
        return load_file(folder / "state.safetensors"), json.loads((folder / "state.json").read_text("utf-8"))

    def load_best(self, precision: torch.dtype) -> TrainedModel:
        """The best model of the run, ready to write and to score."""
        manifest = self.manifest
        place, best = self.path / "int8", self.path / "best"
        if precision == torch.int8 and _fresh_int8(place, best):  # what it was made of need not be verified again
            folder, facts = best, best_of(self.path) or {}
        else:
            folder, facts = self._verified_best()
        experiment = Experiment(**manifest["experiment"])
        with as_written(folder):
            model, tokenizer = _opened(facts["family"], facts["tokenizer"], folder, precision, place)
        return TrainedModel(
            name=self.path.name,
            model=model,
            tokenizer=tokenizer,
            sampling=experiment.sampling,
            facts={**facts, "corpus": manifest["corpus"]},
        )

    def _verified_best(self) -> tuple[Path, dict[str, Any]]:
        found = files.open_folder(self.path / "best")
        if found is None:
            if (self.path / "best").exists():
                raise RunError(f"{self.path}/best is damaged (a file is missing or changed); train again")
            raise RunError(f"{self.path} has no validated model yet; continue it with train --resume")
        folder, facts = found
        if not {"family", "tokenizer"} <= facts.keys():
            raise RunError(f"{folder} is damaged: its manifest does not say what it holds; train again")
        bases.check(folder, folder)
        return folder, facts


def _opened(
    family: str, kind: str, folder: Path, precision: torch.dtype, place: Path
) -> tuple[LanguageModel, Tokenizer]:
    """The model and tokenizer of a verified folder; their 8-bit form is kept at `place`. What has none is opened in
    float32."""
    module, tokens = models.family(family), tokenizers.kind(kind)
    if precision != torch.int8 or not hasattr(module, "quantize"):
        wanted = torch.float32 if precision == torch.int8 else precision
        return module.load(folder, wanted), tokens.load(folder)
    if light := _fresh_int8(place, folder):
        return module.load(light, precision), tokens.load(light)

    def make(target: Path) -> None:
        module.quantize(folder, target)
        tokens.load(folder).save(target)

    try:
        with files.new_folder(place) as target:
            make(target)
            files.seal(target, {"of": _mark(folder)})
        return module.load(place, precision), tokens.load(place)
    except BaseModelError:  # a shape that has none; or no model at all, which is then said again
        return module.load(folder, torch.float32), tokens.load(folder)
    except StorageError:  # nothing may be written here, so it is made each time
        with tempfile.TemporaryDirectory() as passing:
            make(Path(passing))
            return module.load(Path(passing), precision), tokens.load(Path(passing))


def _fresh_int8(place: Path, folder: Path) -> Path | None:
    """Where the 8-bit form of a folder's model is kept; None where there is none, or of other weights."""
    found = files.open_folder(place)
    return found[0] if found and found[1].get("of") == _mark(folder) else None


def _mark(folder: Path) -> str:
    """What changes when a folder's model does, or the layout of its 8-bit form; found without reading it."""
    weights = sorted(path for path in folder.glob("*") if path.suffix in (".safetensors", ".json"))
    return repr([INT8_LAYOUT, *((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in weights)])


def best_of(run: Path) -> dict[str, Any] | None:
    """The manifest of a run's best model, read without verifying its weights; None where there is none yet."""
    try:
        return dict(json.loads((run / "best" / files.MANIFEST).read_text("utf-8")))
    except (OSError, ValueError):
        return None


def is_run(name: str) -> bool:
    """Whether a name is a folder that is no pretrained model's; then it is taken for a run."""
    return Path(name).is_dir() and not (Path(name) / "config.json").exists()


def sampling_of(name: str) -> SamplingConfig:
    """How a model writes where nothing else is said; told without opening it."""
    return Experiment(**RunDirectory(Path(name)).manifest["experiment"]).sampling if is_run(name) else BASE_SAMPLING


def corpus_of(name: str) -> dict[str, Any]:
    """The hash and the folder of the corpus that a run was trained on, told without opening it; empty for a base."""
    return dict(RunDirectory(Path(name)).manifest["corpus"]) if is_run(name) else {}


def own_corpus(folder: Path) -> Corpus:
    """The corpus in the folder where a run was trained on it."""
    try:
        return Corpus.load(folder)
    except CorpusError as error:
        what = f"no corpus at {folder}, where the run found it" if not folder.exists() else str(error)
        raise CorpusError(f"{what}; if it was moved, name its place with --corpus DIR") from error


def weights_of(name: str) -> Path:
    """The folder of a run's best model, or of a base model."""
    return Path(name) / "best" if is_run(name) else _base(name)[0]


def _base(name: str) -> tuple[Path, str]:
    """Where a base model is, and how it was found."""
    if not os.path.exists(name) and name not in bases.KNOWN and not bases.is_cached(name):
        raise RunError(
            f"no run {name}; {nearest(name, [*_runs_near(name), *bases.KNOWN])} "
            "(`arasuji models get OWNER/NAME` fetches another model from the hub)"
        )
    return bases.find(name, option="")


def _runs_near(name: str) -> list[str]:
    """The runs that a mistyped name may mean: those beside it, and those in this folder and the next ones below."""
    logs = chain(*(Path(name).parent.glob("*/metrics.jsonl"), Path().glob("*/metrics.jsonl"),
                   Path().glob("*/*/metrics.jsonl")))  # fmt: skip
    return [str(log.parent) for log in islice(logs, MOST_RUNS)]


def mark_of(name: str) -> dict[str, str]:
    """What changes when the weights, the configuration or the tokenizer of a run or a base model do: the sum of each
    file."""
    return {path.name: files.file_hash(path) for path in sorted(weights_of(name).iterdir()) if path.is_file()}


def open_model(name: str, precision: torch.dtype) -> TrainedModel:
    """A run folder's best model, or an untuned base model by its name or folder.

    Raises:
        RunError: a folder that is neither; BaseModelError: an unknown or unreachable base.
    """
    forks.check()
    path = Path(name)
    if is_run(name):
        return RunDirectory(path).load_best(precision)
    folder, found = _base(name)
    place = bases.home() / "int8" / f"{path.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    model, tokenizer = _opened(models.PRETRAINED, tokenizers.PRETRAINED, folder, precision, place)
    return TrainedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        sampling=BASE_SAMPLING,
        facts={"family": models.PRETRAINED, "base": name, "found": found, "corpus": None},
    )
