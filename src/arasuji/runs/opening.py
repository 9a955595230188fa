"""From a verified folder to a model that can write and be scored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from arasuji import models, tokenizers
from arasuji.config import SamplingConfig
from arasuji.errors import BaseModelError, RunError, StorageError, out_of_memory
from arasuji.models import LanguageModel
from arasuji.runs import int8_cache
from arasuji.tokenizers import Tokenizer

MISFITS = (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, OSError, SafetensorError)
"""What a file of another shape than the one expected makes the libraries raise."""


@dataclass
class TrainedModel:
    """A model that can write and be scored, with its tokenizer and its way of writing."""

    name: str
    model: LanguageModel
    tokenizer: Tokenizer
    sampling: SamplingConfig
    facts: dict[str, Any]
    """The checkpoint's manifest: family, step, validation score; for a base model, where it was found."""
    format: str = ""
    """What it is told before each text; see `DocumentConfig`."""
    source: str = ""
    """The run folder, or the name of a base model, that it was opened from."""
    precision: torch.dtype = torch.float32
    """The type in which its weights were asked for; torch.int8 where they have an 8-bit form."""


@contextmanager
def enough_memory(path: Path) -> Iterator[None]:
    """Say it in one line where the memory was not enough to open `path`, whichever library met that."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise RunError(
            f"memory was not enough to open {path}: close other programs, or take a smaller model; "
            "to write alone, --precision int8 needs least"
        ) from error


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """A verified folder that still does not fit was written by another version."""
    try:
        with enough_memory(path):
            yield
    except MISFITS as error:
        raise RunError(
            f"{path} is damaged, or was written by another version of arasuji ({first_line(error)}); "
            "train into a new folder"
        ) from error


def first_line(error: Exception) -> str:
    """The first words of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def open_pair(
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
    if light := int8_cache.fresh(place, folder):
        return both(light, precision)

    def make(target: Path) -> None:
        tokens.load(folder).save(target)
        quantize(folder, target)

    try:
        return both(int8_cache.keep(place, folder, make), precision)
    except BaseModelError as error:  # a shape that has none; or no model at all, which is then said again
        if out_of_memory(error):  # float32 needs more of it
            raise
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
