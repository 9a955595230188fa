"""The contract of a tokenizer, and the registry: every module of this folder without a leading underscore, and the
entry points of other packages (`docs/extending.md`).

A tokenizer is one file. It exports

    Config                          a pydantic model of its options; unknown ones are errors
    build(config, texts, base)      made from the texts of the training split, and no others; or from `base`,
                                    a verified folder of a pretrained model
    load(folder)                    read back what `save` wrote
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from arasuji import plugins
from arasuji.tokenizers._stream import HALF, Stream, Window, shared

PRETRAINED, PRUNED = "pretrained", "pruned"
"""The tokenizer that opens what came with a pretrained model, and the one that is cut from it."""
NO_ID = -1
"""Stands for the id of a token that a base does not have; see `Tokenizer.base_ids`."""


class Tokenizer(ABC):
    """Texts to token ids and back."""

    vocabulary_size: int
    end_id: int
    """Stands after every text; no text encodes to it."""
    pad_id: int
    """Fills short rows; no loss sees it."""
    lossless: bool = True
    """False where different texts, such as those that differ in case, become the same tokens."""
    base_ids: np.ndarray | None = None
    """(V,) int64: the id that each token has in the tokenizer that this one was cut from, `NO_ID` where it has none.
    None where it was cut from no other."""
    unsettled: Collection[int] = ()
    """Tokens whose text depends on the token that follows them; see `Window`."""

    @property
    def start_id(self) -> int:
        """Stands before every text: by default the end token, as between two texts of a stream."""
        return self.end_id

    @property
    def never_written(self) -> list[int]:
        """Ids that no text is ever written with: the pad, and what stands for unknown words."""
        return [self.pad_id] if self.pad_id != self.end_id else []

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of any text, without end tokens.

        Raises BaseModelError where the library that encodes fails, as a damaged tokenizer makes it.
        """

    def encode_batch(self, texts: Iterable[str]) -> Iterator[list[int]]:
        """The ids of each text, as `encode` gives them; of any number of texts, some are held at a time."""
        return map(self.encode, texts)

    @abstractmethod
    def decode(self, ids: list[int]) -> str:
        """A text with natural spacing and case."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write into an existing folder: JSON and plain text only."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `encode(text)` stands: its first character, and the one after its last.

        Here of a lossless tokenizer: the spans meet. Of tokens that share a character, the last one has it.
        """
        stream, ends = self.stream([]), [0]
        for token in self.encode(text):
            ends.append(ends[-1] + len(stream.add(token)))
        return list(pairwise(ends))

    def spelling(self, token: int) -> str | None:
        """How a token is written that stands for several spellings, in small letters; None where that is unknown."""
        return None

    def continuation(self, prompt: list[int], ids: list[int]) -> str:
        """What `ids` add to the text of `prompt`, the space between them included."""
        before, whole = self.decode(prompt), self.decode(prompt + ids)
        return whole[shared(before, whole) :]

    def piece(self, token: int) -> str | None:
        """The text that a token adds to any text; None where that depends on the tokens around it, such as of a part of
        a character. White space at its beginning may be missing after some tokens."""
        text = self.continuation(self._letter, [token])
        return None if HALF in text or token in self.unsettled else text

    @cached_property
    def _letter(self) -> list[int]:
        return self.encode("a")

    def stream(self, prompt: list[int]) -> Stream:
        """The text of tokens that are written after the prompt, piece by piece; end tokens have none."""
        return Window(self.decode, prompt, self.end_id, self.unsettled)


_REGISTRY = plugins.Registry("tokenizer", __name__, plugins.TOKENIZERS, ("Config", "build", "load"))


def names() -> list[str]:
    """The names of the tokenizers there are."""
    return _REGISTRY.names()


def kind(name: str) -> Any:
    """The module of a tokenizer."""
    return _REGISTRY.module(name)


def is_lossless(name: str) -> bool:
    """Whether a tokenizer of this name keeps all of a text; told without opening one."""
    found = [thing for thing in vars(kind(name)).values() if isinstance(thing, type) and issubclass(thing, Tokenizer)]
    return all(tokenizer.lossless for tokenizer in found)
