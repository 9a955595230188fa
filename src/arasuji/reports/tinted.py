"""Texts under tints: how likely a model held each token, in what it wrote and in what others wrote."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from arasuji.corpus.script import UNSPACED
from arasuji.reports.page import share

WORD = re.compile(rf"\s*(?:{UNSPACED}|(?:(?!{UNSPACED})\S)+)")
"""A word with the space before it, which is what tokens begin with."""


@dataclass(frozen=True)
class Piece:
    """A part of a text under one tint."""

    text: str
    strength: str
    """Of the tint, 0 to 1: the root of the probability, since most are small."""
    tip: str
    copied: bool = False
    prompt: bool = False


@dataclass(frozen=True)
class Sample:
    """A written text, and the training text that is nearest to it."""

    name: str
    pieces: list[Piece]
    nearest: str
    likeness: str


@dataclass(frozen=True)
class Word:
    """A word with what stands around it, and how each model's tokens tint its characters."""

    text: str
    tip: str
    rows: list[list[tuple[int, str]]]
    """For each model its tokens: (characters of them, strength of the tint)."""


def _strength(nats: float) -> str:
    return f"{math.sqrt(math.exp(-max(0.0, nats))):.2f}"


def _probability(nats: float) -> str:
    return share(math.exp(-max(0.0, nats)))


def tinted(name: str, text: dict[str, Any], prompt: str, titles: dict[str, str]) -> Sample:
    """A written text, token by token; pieces are parted where a copied run begins or ends."""
    spans = [(first + len(prompt), last + len(prompt)) for first, last in text["copied"]]
    edges = {len(prompt), *(edge for span in spans for edge in span)}
    found, start = [], 0
    for piece, nats in text["pieces"]:
        end = start + len(piece)
        for a, b in pairwise([start, *sorted(edge for edge in edges if start < edge < end), end]):
            copied = any(first <= a < last for first, last in spans)
            found.append(
                Piece(piece[a - start : b - start], _strength(nats), _probability(nats), copied, b <= len(prompt))
            )
        start = end
    near = "" if text["nearest"] is None else titles[str(text["nearest"])]
    return Sample(name, found, near, share(text["likeness"]))


def read_along(text: str, priced: Sequence[Sequence[tuple[str, float]]], names: Sequence[str]) -> list[Word]:
    """A held-out text word by word, and beneath each word how each model's tokens foretold its characters."""
    placed = []
    for pieces in priced:
        start, own = 0, []
        for piece, nats in pieces:
            own.append((start, start + len(piece), nats))
            start += len(piece)
        placed.append(own)
    words = []
    for match in WORD.finditer(text):
        rows, tips = [], []
        for name, own in zip(names, placed, strict=True):
            inside = [(max(a, match.start()), min(b, match.end()), nats) for a, b, nats in own]
            inside = [(a, b, nats) for a, b, nats in inside if a < b]
            rows.append([(b - a, _strength(nats)) for a, b, nats in inside])
            tips.append(f"{name}  " + " · ".join(_probability(nats) for _, _, nats in inside))
        words.append(Word(match[0].strip(), "\n".join(tips), rows))
    return words
