"""The folder of one run: training writes and continues it, and its best model is opened from it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from arasuji import bases, files, folders, processes, tokenizers
from arasuji.config import Experiment, SamplingConfig, checked, read_toml
from arasuji.errors import OptionError, RunError, first_line
from arasuji.models import LanguageModel
from arasuji.models._checked import read_tensors
from arasuji.runs import int8_cache
from arasuji.runs.manifests import BestFacts, RunFacts, best_of, is_figures, versions
from arasuji.runs.opening import TrainedModel, as_written, open_pair
from arasuji.tokenizers import Tokenizer

LOG_BYTES = 2**29
"""The metrics or samples of a run are read up to this size, which is millions of lines."""
LESSONS = "teacher"
"""The folder of a run that keeps what a teacher has done for it."""


SAMPLING = "sampling.toml"
"""The file with the sampling settings that were chosen for a run after its training."""


class RunDirectory:
    """The folder of one run. Of several processes that train together, only the first one writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples.jsonl"

    def __fspath__(self) -> str:
        """A run may be given wherever the path of its folder may."""
        return str(self.path)

    @property
    def is_new(self) -> bool:
        """Whether the folder is missing or empty, apart from hidden files that a killed process may have left, and from
        a teacher's lessons that a person has copied there."""
        return not self.path.exists() or all(
            path.name[0] == "." or path.name == LESSONS for path in self.path.iterdir()
        )

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run was started with, as JSON. Raises RunError where the manifest is missing or damaged."""
        path = self.path / folders.MANIFEST
        try:
            content = files.read_json(path)
            if not isinstance(content, dict) or "experiment" not in content:
                raise RunError(f"{self.path} is not a run; make one with `arasuji train`")
            RunFacts(**content)
        except FileNotFoundError as error:
            raise RunError(
                f"{self.path} is not a run: it has no {folders.MANIFEST}; make one with `arasuji train`"
            ) from error
        except (OSError, ValueError, TypeError) as error:
            if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):  # too many files are open
                raise
            raise RunError(f"{path} is damaged; train again into a new folder") from error
        return content

    @property
    def facts(self) -> RunFacts:
        """What the run was started with. Raises RunError where the manifest is missing or damaged."""
        return RunFacts(**self.manifest)

    @property
    def sampling(self) -> SamplingConfig:
        """How the run writes by default: the settings of its experiment, and in place of them those that `sweep` or a
        person has written into sampling.toml.

        Raises:
            RunError: a file is damaged, or holds what is no setting.
        """
        return self._sampling(self.facts.experiment)

    def _sampling(self, experiment: Experiment) -> SamplingConfig:
        path = self.path / SAMPLING
        if not os.path.lexists(path):
            return experiment.sampling
        try:
            chosen = read_toml(path, "the sampling settings", follow=False)
            made: SamplingConfig = checked(SamplingConfig, experiment.sampling.model_dump() | chosen, str(path))
        except OptionError as error:
            raise RunError(f"{error}; correct it, or delete it and the run writes as it was trained to") from error
        return made

    def save_sampling(self, settings: dict[str, Any], comment: str) -> None:
        """Write settings that take the place of those of the experiment, below a line of comment.

        Raises:
            RunError: a link stands in the place of the file.
        """
        if (self.path / SAMPLING).is_symlink():
            raise RunError(f"{self.path / SAMPLING} is a link, which nothing is written through: remove it")
        lines = [f"# {comment}", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
        files.write_text(self.path / SAMPLING, "\n".join(lines) + "\n")

    @processes.main_only
    def start(self, experiment: Experiment, facts: dict[str, Any]) -> None:
        """Create the folder, with its manifest."""
        content = {"experiment": experiment.model_dump(), **facts, "versions": versions()}
        files.write_json(self.path / folders.MANIFEST, content)

    # What a run is continued from

    @processes.main_only
    def save_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Write the tokenizer of the run, once, at its start."""
        with folders.new_folder(self.path / "tokenizer") as folder:
            tokenizer.save(folder)
            folders.seal(folder, {})

    def load_tokenizer(self, kind: str) -> Tokenizer:
        """Read the tokenizer of the run. Raises RunError where it is damaged."""
        found = folders.open_folder(self.path / "tokenizer")
        if found is None:
            raise RunError(f"{self.path}/tokenizer is damaged and cannot be continued with; train into a new folder")
        with as_written(found[0]):
            tokenizer: Tokenizer = tokenizers.kind(kind).load(found[0])
        return tokenizer

    @processes.main_only
    def save_last(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write a checkpoint."""
        with folders.new_folder(self.path / "last") as folder:
            for log in filter(Path.is_file, (self.metrics, self.samples)):
                files.sync(log)  # no checkpoint is on the disk before the lines of its steps
            files.sync_names(self.path)
            save_file(
                {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}, folder / "state.safetensors"
            )
            files.write_json(folder / "state.json", state)
            folders.seal(folder, {"step": state["progress"]["step"]})

    def load_last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read the last checkpoint; None before the first one. Raises RunError where it is damaged."""
        found = folders.open_folder(self.path / "last", "state.safetensors", "state.json")
        if found is None:
            if os.path.lexists(self.path / "last"):
                raise RunError(f"{self.path}/last is damaged and cannot be continued; train into a new folder")
            return None
        folder, _ = found
        with as_written(folder):
            state = files.read_json(folder / "state.json")
            if not isinstance(state, dict):
                raise ValueError("state.json holds no names")
            return read_tensors(folder / "state.safetensors"), state

    # The best model

    @processes.main_only
    def save_best(
        self, experiment: Experiment, model: LanguageModel, tokenizer: Tokenizer, facts: dict[str, Any]
    ) -> None:
        """Write the model and its tokenizer as the best so far."""
        with folders.new_folder(self.path / "best") as folder:
            model.save(folder)
            tokenizer.save(folder)
            kinds = {"family": experiment.family, "tokenizer": experiment.tokenizer.name}
            if experiment.document.format:
                kinds["format"] = experiment.document.format
            folders.seal(folder, {**kinds, **facts, "versions": versions()})

    def saving_seconds(self, model: LanguageModel, tokenizer: Tokenizer) -> float:
        """The seconds that `save_best` takes, measured in a folder that is deleted afterwards. The memory for it is
        then part of `peak_memory`."""
        if not processes.is_main():
            return 0.0
        began = time.perf_counter()
        with files.disk_errors(self.path), folders.work_folder(self.path / "best") as folder:
            model.save(folder)
            tokenizer.save(folder)
            folders.sums(folder)
            return time.perf_counter() - began

    def load_best(self, precision: torch.dtype) -> TrainedModel:
        """Open the best model of the run. Raises RunError where there is none, or where it is damaged."""
        return folders.unchanged(self.path / "best", lambda: self._load_best(precision))

    def _load_best(self, precision: torch.dtype) -> TrainedModel:
        run = self.facts
        best = self.path / "best"
        place = int8_cache.place_of(self.path.resolve().name, best)
        if precision == torch.int8 and int8_cache.fresh(place, best):  # the 8-bit form was made of a verified folder
            folder, facts = best, best_of(self.path) or {}
        else:
            folder, facts = self._verified_best()
        with as_written(folder):
            model, tokenizer = open_pair(facts["family"], facts["tokenizer"], folder, precision, place)
        experiment = run.experiment
        return TrainedModel(
            name=self.path.name,
            model=model,
            tokenizer=tokenizer,
            sampling=self._sampling(experiment),
            facts={**facts, "corpus": run.corpus.model_dump()},
            format=experiment.document.format,
            predicts=experiment.document.predicts,
            fields=run.told,
        )

    def _verified_best(self) -> tuple[Path, dict[str, Any]]:
        found = folders.open_folder(self.path / "best")
        if found is None:
            if os.path.lexists(self.path / "best"):
                raise RunError(f"{self.path}/best is damaged (a file is missing, changed or a link); train again")
            raise RunError(f"{self.path} has no validated model yet; continue it with train --resume")
        folder, facts = found
        try:
            BestFacts(**facts)
        except (ValueError, TypeError) as error:
            raise RunError(f"{folder} is damaged: its manifest does not say what it holds; train again") from error
        bases.check(folder, folder)
        return folder, facts

    def delete_weights(self) -> None:
        """Delete the best model and the last checkpoint; what the run was started with and its logs stay."""
        for name in ("best", "last"):
            shutil.rmtree(self.path / name, ignore_errors=True)  # a link is left alone

    # The logs

    @processes.main_only
    def log(self, path: Path, line: dict[str, Any]) -> None:
        """Append a line to the metrics or the samples."""
        files.append(path, json.dumps(line, ensure_ascii=False) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """The lines of the metrics whose figures are figures, without an incomplete one that a killed process has
        left."""
        return [entry for _, entry in _logged(self.metrics) if is_figures(entry)]

    @processes.main_only
    def rewind(self, step: int) -> None:
        """Delete what killed processes have left, and the logged lines of later steps than `step`: they will be written
        again."""
        for name in ("tokenizer", "best", "last"):
            folders.tidy(self.path / name)
        for path in (self.metrics, self.samples):
            if os.path.lexists(path):
                kept = [line for line, at in _logged(path) if at["step"] <= step and not at.get("at_stop")]
                files.write_text(path, "".join(line + "\n" for line in kept))


def _logged(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The complete lines of a log, with their values. An incomplete line, left by a killed process, is skipped."""
    try:
        lines = files.read_bytes(path, LOG_BYTES).split(b"\n")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({first_line(error)}): move it away") from error
    found = []
    for line in lines:
        try:
            entry = files.parse_json(line)
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                found.append((line.decode(), entry))
        except ValueError:  # an incomplete line, or the empty text after the last line
            continue
    return found
