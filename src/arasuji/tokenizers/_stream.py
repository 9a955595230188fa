"""The text of new tokens, one token at a time, without decoding again what was decoded before."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

HALF = "\ufffd"
"""Decoders write this for the bytes of a character whose other bytes have not come yet."""


class Stream(Protocol):
    """The text that tokens add to a prompt. All pieces together are `Tokenizer.continuation` of the same tokens."""

    def add(self, token: int) -> str:
        """The text that is certain now and was not before: empty while a character is incomplete."""

    def rest(self) -> str:
        """What is still held back when no token follows."""


class Window:
    """The stream of a tokenizer whose `decode` makes the text of a token from that token and its neighbours.

    Two places in the tokens are enough, as in text-generation-inference and vLLM: where the last piece of text begins,
    and where it ends. The last piece is decoded again with the new tokens, since the first token of a text may lose
    its space; what is new comes after it.

    No text is certain after an `unsettled` token. Such are tokens of one byte each (SentencePiece's byte fallback): a
    decoder joins a run of them when it ends, and if the run is not UTF-8, all of it is replaced.
    """

    def __init__(self, decode: Callable[[list[int]], str], prompt: list[int], end: int, unsettled: Collection[int]):
        self._decode, self._end, self._unsettled = decode, end, unsettled
        self._tokens = list(prompt)
        self._piece = len(prompt)
        self._before = decode(prompt)

    def add(self, token: int) -> str:
        if token == self._end:
            return ""
        self._tokens.append(token)
        if token in self._unsettled:
            return ""
        whole = self._decode(self._tokens)
        new = whole[shared(self._before, whole) :]
        if not new or new.endswith(HALF):
            return ""
        self._tokens = self._tokens[self._piece :]
        self._piece = len(self._tokens)
        self._before = self._decode(self._tokens)
        return new

    def rest(self) -> str:
        whole = self._decode(self._tokens)
        return whole[shared(self._before, whole) :]


def shared(one: str, other: str) -> int:
    """How many characters two texts begin with that are the same."""
    if one.startswith(other):
        return len(other)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
