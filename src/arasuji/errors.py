"""The tree of errors.

    ArasujiError
    ├── SourceError       a file of texts that cannot be read
    ├── CorpusError       texts that can be read but not made into a corpus, or a damaged corpus
    ├── OptionError       an unknown preset, rule, option or value
    │   └── UnknownValueError    a value, such as a genre, that no training text has
    ├── BaseModelError    a pretrained model that cannot be had, or must not be opened
    ├── RunError          a run folder that is missing, damaged, or does not fit
    ├── TrainingError     a loss that is no longer a number, or processes that have lost each other
    ├── ProcessError      a process in which no model can compute
    ├── StorageError      a disk that is full or read-only
    └── PromptError       a prompt that cannot be answered

Every message is one line that says what is wrong, where, and what to do next. The command line prints it
and exits with 2; a notebook sees an ordinary exception.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable


class ArasujiError(Exception):
    """An error that the user can correct."""


class SourceError(ArasujiError):
    """A source file is missing, empty, binary, truncated, undecodable, or has no column of texts."""


class CorpusError(ArasujiError):
    """The texts do not make a corpus, or a corpus folder is damaged."""


class OptionError(ArasujiError):
    """An unknown name or a value out of range."""


class UnknownValueError(OptionError):
    """A value that no training text has; `plain` is the message without what the command line can do about it."""

    def __init__(self, plain: str, advice: str) -> None:
        super().__init__(f"{plain}; {advice}")
        self.plain = plain


class BaseModelError(ArasujiError):
    """A pretrained model cannot be found, fetched, or opened safely."""


class RunError(ArasujiError):
    """A run folder is missing, damaged, half-written, or does not fit what is asked of it."""


class TrainingError(ArasujiError):
    """Training cannot go on."""


class ProcessError(ArasujiError):
    """A process in which models cannot compute."""


class StorageError(ArasujiError):
    """The disk refused a write; what stood there before is intact."""


class PromptError(ArasujiError):
    """A prompt that the model cannot continue."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest of the `known` names, or all of them where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"


def first_line(error: BaseException) -> str:
    """The first line of what a library says of a failure, without colours, at most 200 characters."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return (said.splitlines() or [type(error).__name__])[0][:200]


def out_of_memory(error: BaseException | None) -> bool:
    """Whether memory was not enough, be it said by Python, the system, torch, oneDNN or Rust; or by one that this came
    of."""
    said = ("can't allocate memory", "Cannot allocate memory", "std::bad_alloc")
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if str(error) == "could not create a primitive":  # of oneDNN: code that it has written found no place
            return True
        if getattr(error, "errno", None) == errno.ENOMEM or any(words in str(error) for words in said):
            return True
        error = error.__cause__
    return False
