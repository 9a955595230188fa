"""The manifests of a run and of its best model, and a line of its metrics: the fields that arasuji reads."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arasuji import files, folders
from arasuji.config import Experiment
from arasuji.documents import fields_of

MOST = 1e12
"""More seconds, and more bits, than there are. Sums of such figures and axes of plots stay finite."""


class CorpusFacts(BaseModel):
    """The corpus that a run was trained on, or one that an imported model is measured on."""

    hash: str
    """Empty where none is known: of an imported model."""
    folder: str = ""


class RunFacts(BaseModel):
    """What a run was started with. The manifests of earlier versions have the first three fields only."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    experiment: Experiment
    name: str
    corpus: CorpusFacts
    settings: list[str] | None = None
    """The `--set` options that have changed the experiment; None where an earlier version has started the run."""
    base: str = ""
    """A sentence about where the base was found; empty where there is no base."""
    asked_base: str = ""
    """The base as it was named. Where it is a folder, the experiment has its full path."""
    asked_teacher: str = ""
    """The teacher as it was named; the experiment has the full path of its folder."""
    base_files: dict[str, str] = {}
    """SHA-256 of each file that the weights of the base are read from."""
    averaged: list[str] = []
    """The runs whose weights it is the mean of; empty for a run that was trained."""
    imported: str = ""
    """The name of the folder that it was imported from; empty for a run of our own training. What such a model has
    learnt from is not known here."""
    fields: dict[str, dict[str, int]] = {}
    """The fields that it can be told. One with a few different values has them here, each with the number of training
    texts that have it."""
    tokens: str = ""
    """SHA-256 of the training split as tokens; empty in earlier versions, which did not write the tokenizer either."""
    versions: dict[str, str] = {}

    @property
    def told(self) -> dict[str, dict[str, int]]:
        """`fields`; of a run of an earlier version their names, without values."""
        return self.fields or {name: {} for name in fields_of(self.experiment.document.format)}


class BestFacts(BaseModel):
    """The kind of the best model, and its validation score."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

    family: str
    tokenizer: str
    bits_per_byte: float | None
    """None of an imported model, which was not validated."""
    step: int | None = None


class Figures(BaseModel):
    """A line of the metrics: of a step, or of a validation after the last one."""

    model_config = ConfigDict(extra="allow", strict=True)

    step: int = Field(ge=0)
    tokens: int = Field(0, ge=0, lt=2**63)
    seconds: float = Field(0.0, ge=0, le=MOST)
    bits_per_byte: float = Field(0.0, ge=0, le=MOST)


def is_figures(line: dict[str, Any]) -> bool:
    """Whether a line of a log is one of the metrics, and its figures are."""
    try:
        Figures.model_validate(line)
    except ValidationError:
        return False
    return ("tokens" in line) == ("seconds" in line)


def versions() -> dict[str, str]:
    """The versions of Python, arasuji and the packages that results depend on."""
    names = ("arasuji", "torch", "transformers", "tokenizers", "nltk", "peft", "accelerate")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


def best_of(run: Path) -> dict[str, Any] | None:
    """The manifest of the best model of a run; None where there is none yet. The weights are not verified."""
    try:
        content = files.read_json(run / "best" / folders.MANIFEST)
        BestFacts(**content)
    except (OSError, ValueError, TypeError):
        return None
    return dict(content)
