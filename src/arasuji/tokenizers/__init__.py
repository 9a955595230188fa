"""The contract of a tokenizer, and the registry: every module of this folder without a leading underscore.

A tokenizer is one file. It exports

    Config                          a pydantic model of its options; unknown ones are errors
    build(config, texts, base)      made from the texts of the training split, and no others; or from `base`,
                                    a verified folder of a pretrained model
    load(folder)                    read back what `save` wrote
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import Any

from arasuji.errors import OptionError, nearest

PRETRAINED = "pretrained"
"""The tokenizer that opens what came with a pretrained model."""


class Tokenizer(ABC):
    """Texts to token ids and back."""

    vocabulary_size: int
    end_id: int
    """Stands before and after every text; no text encodes to it."""
    pad_id: int
    """Fills short rows; no loss sees it."""
    lossless: bool = True
    """False where different texts, such as those that differ in case, become the same tokens."""

    @property
    def never_written(self) -> list[int]:
        """Ids that no text is ever written with: the pad, and what stands for unknown words."""
        return [self.pad_id] if self.pad_id != self.end_id else []

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of any text, without end tokens; never an error."""

    @abstractmethod
    def decode(self, ids: list[int]) -> str:
        """A text with natural spacing and case."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write into an existing folder: JSON and plain text only."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `encode(text)` stands: its first character, and the one after its last.

        Here of a tokenizer that loses nothing: the spans meet. Of tokens that share a character, the last one has it.
        """
        ids, ends = self.encode(text), [0]
        for count in range(1, len(ids) + 1):
            ends.append(max(ends[-1], _shared(text, self.decode(ids[:count]))))
        return list(pairwise(ends))

    def spelling(self, token: int) -> str | None:
        """How a token is written that stands for several spellings, in small letters; None where that is unknown."""
        return None

    def continuation(self, prompt: list[int], ids: list[int]) -> str:
        """What `ids` add to the text of `prompt`, the space between them included."""
        before, whole = self.decode(prompt), self.decode(prompt + ids)
        return whole[_shared(before, whole) :]


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with that are the same."""
    if one.startswith(other):
        return len(other)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def names() -> list[str]:
    """The tokenizers there are."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def kind(name: str) -> Any:
    """The module of a tokenizer."""
    if name not in names():
        raise OptionError(f"unknown tokenizer {name!r}; {nearest(name, names())}")
    return importlib.import_module(f"{__name__}.{name}")


def is_lossless(name: str) -> bool:
    """Whether a tokenizer of this name keeps all of a text; told without opening one."""
    found = [thing for thing in vars(kind(name)).values() if isinstance(thing, type) and issubclass(thing, Tokenizer)]
    return all(tokenizer.lossless for tokenizer in found)
