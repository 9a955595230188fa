"""Opens the model and the tokenizer of a verified folder."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError

from arasuji import models, tokenizers
from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.documents import NO_SHOTS, Shots, drawn_shots
from arasuji.errors import BaseModelError, RunError, StorageError, first_line, out_of_memory
from arasuji.models import LanguageModel
from arasuji.runs import int8_cache
from arasuji.tokenizers import Tokenizer

MISFITS = (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, OSError, SafetensorError)
"""The libraries raise these errors for a file that does not have the expected content."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass
class TrainedModel:
    """An opened model, with its tokenizer and its sampling settings."""

    name: str
    model: LanguageModel
    tokenizer: Tokenizer
    sampling: SamplingConfig
    facts: dict[str, Any]
    """The manifest of the best model (family, step, validation score); for a base model, where it was found."""
    format: str = ""
    """The format of the fields that the model reads before each text; see `DocumentConfig`."""
    fields: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The fields that it can be told, with the values of those that have a few (`RunFacts.fields`)."""
    predicts: str = "text"
    """What it predicts; see `DocumentConfig`."""
    source: str = ""
    """The run folder, or the name of a base model, that it was opened from."""
    precision: torch.dtype = torch.float32
    """The type in which its weights were asked for; torch.int8 where they have an 8-bit form."""
    shots: Shots = NO_SHOTS
    """What stands in its context before each text that it scores or continues."""

    def with_shots(self, train: Sequence[Record], count: int, seed: int = 0) -> Self:
        """The same model with `count` texts of a training split, drawn by the seed, in its context before each text.

        Raises:
            OptionError: the split has fewer texts, or they do not fit into half of the context.
        """
        limit = self.model.context_length
        return replace(self, shots=drawn_shots(train, count, seed, self.tokenizer, self.format, limit))


@contextmanager
def enough_memory(path: Path) -> Iterator[None]:
    """Turn an error about too little memory while `path` is opened, of any library, into one line: RunError."""
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
    """Turn the errors of a folder that was verified but does not have the expected content into one line: RunError."""
    try:
        with enough_memory(path):
            yield
    except MISFITS as error:
        raise RunError(
            f"{path} is damaged, or was written by another version of arasuji ({first_line(error)}); "
            "train into a new folder"
        ) from error


def open_pair(
    family: str, kind: str, folder: Path, precision: torch.dtype, place: Path
) -> tuple[LanguageModel, Tokenizer]:
    """Open the model and the tokenizer of a verified folder. Their 8-bit form is kept at `place`; a model that has no
    8-bit form is opened in float32."""
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
    except BaseModelError as error:  # it has no 8-bit form, or is no model, which the next line raises again
        if out_of_memory(error):  # float32 needs more memory still
            raise
        return both(folder, torch.float32)
    except StorageError as refused:  # the cache cannot be written, so it is made each time
        try:
            with tempfile.TemporaryDirectory() as passing:
                make(Path(passing))
                return both(Path(passing), precision)
        except (OSError, SafetensorError) as error:
            if getattr(error, "errno", None) in FULL or "(os error " in str(error):  # nothing can be written at all
                raise refused from error
            raise


def _check_alike(folder: Path, model: LanguageModel, tokenizer: Tokenizer) -> None:
    """Raise RunError unless every token has a row in the model, and the model has no more rows than weights."""
    most = max(tokenizer.vocabulary_size, model.size()["parameters"])
    if not tokenizer.vocabulary_size <= model.vocabulary_size <= most:
        raise RunError(
            f"{folder} is damaged: its tokenizer has {tokenizer.vocabulary_size:,} tokens, its model has "
            f"{model.vocabulary_size:,}; train again"
        )
