"""A run folder: what `train` leaves behind and everything else opens.

    RUN/manifest.json    the experiment, the corpus's hash, the base and where it was found, versions
    RUN/metrics.jsonl    a line a step, validations included
    RUN/samples.jsonl    texts from fixed prompts, at each validation
    RUN/tensorboard/     both for TensorBoard, where it is installed
    RUN/best/            the model with the best validation score: weights, configuration, tokenizer, manifest
    RUN/last/            what is needed to continue: learnt tensors, optimizer, generators, position, manifest

`best` and `last` are sealed folders (see `files`): a half-written one is never opened. The best model's weights in 8
bits are made when it first writes, and anew when they change. They are kept in the user's cache folder: a run may come
from a stranger, and is only read by whoever writes with it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from arasuji import bases, files, forks, models, processes, tokenizers
from arasuji.config import Experiment, SamplingConfig
from arasuji.corpus import Corpus
from arasuji.errors import BaseModelError, CorpusError, RunError, StorageError, nearest
from arasuji.models import LanguageModel
from arasuji.models._checked import read_tensors
from arasuji.tokenizers import Tokenizer

BASE_SAMPLING = SamplingConfig.model_validate({"top_p": 0.95})
"""How an untuned model writes."""
MOST_RUNS = 1000
"""Runs that a mistyped name is compared with."""
INT8_LAYOUT = 4
"""Raised when what is kept in 8 bits changes, so that it is made again."""
LOG_BYTES = 2**29
"""The most that is read of a run's metrics or samples: millions of lines."""


class CorpusFacts(BaseModel):
    """The corpus that a run was trained on."""

    hash: str
    folder: str = ""


class RunFacts(BaseModel):
    """A run's manifest, as far as it is relied upon."""

    model_config = ConfigDict(extra="allow")

    experiment: Experiment
    name: str
    corpus: CorpusFacts


class BestFacts(BaseModel):
    """The manifest of `best`, likewise."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    family: str
    tokenizer: str
    bits_per_byte: float


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
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        RuntimeError,
        OSError,
        SafetensorError,
    ) as error:
        raise RunError(
            f"{path} is damaged, or was written by another version of arasuji ({_line(error)}); train into a new folder"
        ) from error


def _line(error: Exception) -> str:
    """The first words of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


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
        path = self.path / files.MANIFEST
        try:
            content = files.read_json(path)
            if not isinstance(content, dict) or "experiment" not in content:
                raise RunError(f"{self.path} is not a run; make one with `arasuji train`")
            RunFacts(**content)
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path} is not a run: it has no {files.MANIFEST}; make one with `arasuji train`"
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged; train again into a new folder") from error
        return content

    @processes.main_only
    def start(self, experiment: Experiment, facts: dict[str, Any]) -> None:
        """Make the folder, with its manifest."""
        content = {"experiment": experiment.model_dump(), **facts, "versions": versions()}
        files.write_json(self.path / files.MANIFEST, content)

    @processes.main_only
    def log(self, path: Path, line: dict[str, Any]) -> None:
        """Append a line to metrics or samples."""
        files.append(path, json.dumps(line, ensure_ascii=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """The lines of its metrics, without one that a kill has cut short."""
        return [entry for _, entry in _logged(self.metrics)]

    @processes.main_only
    def rewind(self, step: int) -> None:
        """Drop logged lines beyond a step: they will be written again."""
        for path in (self.metrics, self.samples):
            if path.is_symlink() or path.exists():
                kept = [line for line, at in _logged(path) if at["step"] <= step and not at.get("at_stop")]
                files.write_text(path, "".join(line + "\n" for line in kept))

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
        found = files.open_folder(self.path / "last", "state.safetensors", "state.json")
        if found is None:
            if (self.path / "last").is_symlink() or (self.path / "last").exists():
                raise RunError(f"{self.path}/last is damaged and cannot be continued; train into a new folder")
            return None
        folder, _ = found
        with as_written(folder):
            state = files.read_json(folder / "state.json")
            if not isinstance(state, dict):
                raise ValueError("state.json holds no names")
            return read_tensors(folder / "state.safetensors"), state

    def load_best(self, precision: torch.dtype) -> TrainedModel:
        """The best model of the run, ready to write and to score."""
        manifest = self.manifest
        best = self.path / "best"
        place = _kept_int8(self.path.resolve().name, best)
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
            if (self.path / "best").is_symlink() or (self.path / "best").exists():
                raise RunError(f"{self.path}/best is damaged (a file is missing, changed or a link); train again")
            raise RunError(f"{self.path} has no validated model yet; continue it with train --resume")
        folder, facts = found
        try:
            BestFacts(**facts)
        except (ValueError, TypeError) as error:
            raise RunError(f"{folder} is damaged: its manifest does not say what it holds; train again") from error
        bases.check(folder, folder)
        return folder, facts


def _logged(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The whole lines of a log, and what they say; what a kill has cut short is left out."""
    try:
        lines = files.read_bytes(path, LOG_BYTES).split(b"\n")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({_line(error)}): move it away") from error
    found = []
    for line in lines:
        try:
            entry = files.parse_json(line)
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                found.append((line.decode(), entry))
        except ValueError:  # the line that a kill cut short, and what follows the last one
            continue
    return found


def _opened(
    family: str, kind: str, folder: Path, precision: torch.dtype, place: Path
) -> tuple[LanguageModel, Tokenizer]:
    """The model and tokenizer of a verified folder; their 8-bit form is kept at `place`. What has none is opened in
    float32."""
    module, tokens = models.family(family), tokenizers.kind(kind)

    def both(of: Path, wanted: torch.dtype) -> tuple[LanguageModel, Tokenizer]:
        tokenizer: Tokenizer = tokens.load(of)
        model: LanguageModel = module.load(of, wanted)
        _check_alike(of, model, tokenizer)
        return model, tokenizer

    quantize = module.quantize
    if precision != torch.int8 or quantize is None:
        return both(folder, torch.float32 if precision == torch.int8 else precision)
    if light := _fresh_int8(place, folder):
        return both(light, precision)

    def make(target: Path) -> None:
        tokens.load(folder).save(target)
        quantize(folder, target)

    try:
        _forget(place.parent)
        if files.verified(place) is None:  # damaged
            shutil.rmtree(place, ignore_errors=True)
        with files.new_folder(place) as target:
            make(target)
            files.seal(target, {"of": _mark(folder), "folder": str(folder.resolve())})
        return both(place, precision)
    except BaseModelError:  # a shape that has none; or no model at all, which is then said again
        return both(folder, torch.float32)
    except StorageError:  # nothing may be written here, so it is made each time
        with tempfile.TemporaryDirectory() as passing:
            make(Path(passing))
            return both(Path(passing), precision)


def _check_alike(folder: Path, model: LanguageModel, tokenizer: Tokenizer) -> None:
    """Every token has a row in the model, and the model has no more rows than tokens or weights."""
    most = max(tokenizer.vocabulary_size, model.size()["parameters"])
    if not tokenizer.vocabulary_size <= model.vocabulary_size <= most:
        raise RunError(
            f"{folder} is damaged: its tokenizer has {tokenizer.vocabulary_size:,} tokens, its model has "
            f"{model.vocabulary_size:,}; train again"
        )


def _kept_int8(name: str, folder: Path) -> Path:
    """Where the 8-bit form of a folder's model is kept: in the user's own cache, so what is there was made here."""
    return bases.home() / "int8" / f"{name}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def _forget(kept: Path) -> None:
    """Let go of the 8-bit forms of folders that are gone."""
    for place in kept.glob("*/"):
        found = files.open_folder(place) if not place.name.startswith(".") else None
        if found and not Path(str(found[1].get("folder", kept))).exists():
            shutil.rmtree(place, ignore_errors=True)


def _fresh_int8(place: Path, folder: Path) -> Path | None:
    """Where the 8-bit form of a folder's model is kept; None where there is none, or of other weights."""
    found = files.open_folder(place)
    return found[0] if found and found[1].get("of") == _mark(folder) else None


def _mark(folder: Path) -> str:
    """What changes when a folder's model does, or the layout of its 8-bit form; found without reading its weights.

    Sizes and times come out of an archive as its author likes, so its files' numbers and when the system last changed
    them count as well: whatever is new here has others, and is verified.
    """
    kept = (".safetensors", ".json")
    found = [(path.name, path.stat()) for path in sorted(folder.glob("*")) if path.suffix in kept]
    of = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev) for name, s in found]
    return repr([INT8_LAYOUT, str(folder.resolve()), *of])


def best_of(run: Path) -> dict[str, Any] | None:
    """The manifest of a run's best model, read without verifying its weights; None where there is none yet."""
    try:
        content = files.read_json(run / "best" / files.MANIFEST)
        BestFacts(**content)
    except (OSError, ValueError, TypeError):
        return None
    return dict(content)


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
    place = _kept_int8(path.name, folder)
    model, tokenizer = _opened(models.PRETRAINED, tokenizers.PRETRAINED, folder, precision, place)
    return TrainedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        sampling=BASE_SAMPLING,
        facts={"family": models.PRETRAINED, "base": name, "found": found, "corpus": None},
    )
