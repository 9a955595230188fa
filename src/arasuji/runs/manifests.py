"""What the manifests of a run and of its best model say, as far as it is relied upon."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from arasuji import files, folders
from arasuji.config import Experiment


class CorpusFacts(BaseModel):
    """The corpus that a run was trained on."""

    hash: str
    folder: str = ""


class RunFacts(BaseModel):
    """What a run was started with. Only the first three are in the manifests of earlier versions."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    experiment: Experiment
    name: str
    corpus: CorpusFacts
    settings: list[str] | None = None
    """The `--set`s that the experiment was changed by; None where an earlier version has started the run."""
    base: str = ""
    """How the base was found; empty where there is none."""
    asked_base: str = ""
    """The base as it was named; the experiment has its full path, where it is a folder."""
    base_files: dict[str, str] = {}
    """SHA-256 of each file that the base's weights are read from."""
    tokens: str = ""
    """SHA-256 of the training split as tokens; empty in earlier versions, which did not keep the tokenizer either."""
    versions: dict[str, str] = {}


class BestFacts(BaseModel):
    """What the best model is."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    family: str
    tokenizer: str
    bits_per_byte: float


def versions() -> dict[str, str]:
    """The versions that a figure depends on."""
    names = ("arasuji", "torch", "transformers", "tokenizers", "nltk", "peft", "accelerate")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


def best_of(run: Path) -> dict[str, Any] | None:
    """The manifest of a run's best model, read without verifying its weights; None where there is none yet."""
    try:
        content = files.read_json(run / "best" / folders.MANIFEST)
        BestFacts(**content)
    except (OSError, ValueError, TypeError):
        return None
    return dict(content)
