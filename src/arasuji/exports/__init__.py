"""The contract of an export format, and the list of them: each is one file of this folder, and its name is the value of
`--to`.

    FORMAT = Format(kinds, write, opening, write_step)

Every format but `hf` is made from the folder that `hf` writes, so it knows nothing of runs. A model that is no
transformer has no such folder; where its family can be written step by step, a format may have `write_step`.
`export` puts them together, and `card` writes the README.md that every export has.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from arasuji.errors import OptionError, nearest
from arasuji.models import LanguageModel

FORMATS = ("hf", "gguf", "onnx", "ctranslate2")
"""The names of the formats: the values of `--to`."""


@dataclass(frozen=True)
class Format:
    """A way to write a model so that other programs open it."""

    kinds: tuple[str, ...]
    """The types of its weights, values of `--type`, the default first; empty where there is no choice."""
    write: Callable[[Path, Path, str], None]
    """(model, out, kind): write the transformers folder `model`, as `hf` writes it, into `out`, an existing empty
    folder. `kind` is one of `kinds`, "" where there are none.

    Raises OptionError, one line, where a shape or a tokenizer cannot be written, or where a package is missing."""
    opening: Callable[[Path], str]
    """(out) -> a Python program of about two lines that opens what was written there, in either of the two ways, and
    prints a text or a next token. Its working folder is `out`. It stands in the card, and a test runs it."""
    write_step: Callable[[LanguageModel, Path, str], None] | None = None
    """(model, out, kind): write one step of a model with a state of fixed size (an LSTM), for a family that says so
    (`Family.one_step`). The files of its tokenizer stand in `out` already. None where the format has no such way."""


def format_of(name: str) -> Format:
    """A format by its name. Raises OptionError for an unknown one."""
    if name not in FORMATS:
        raise OptionError(f"unknown format {name!r}; {nearest(name, FORMATS)}")
    found: Format = importlib.import_module(f"{__name__}.{name}").FORMAT
    return found
