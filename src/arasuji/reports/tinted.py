"""Texts whose tokens are tinted by the probability that a model gives them: its own texts, and held-out ones."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from arasuji.corpus.script import UNSPACED
from arasuji.evaluation import report
from arasuji.evaluation.answer import Token
from arasuji.speech import share

WORD = re.compile(rf"\s*(?:{UNSPACED}|(?:(?!{UNSPACED})\S)+)")
"""A word with the space before it, since tokens begin with the space."""


@dataclass(frozen=True)
class Piece:
    """A part of a text under one tint."""

    text: str
    strength: str
    """The strength of the tint, 0 to 1: the square root of the probability, since most are small."""
    tip: str
    """The probability, as a reader sees it who points at the piece."""
    copied: bool = False
    prompt: bool = False


@dataclass(frozen=True)
class Sample:
    """A written text, and the training text that is nearest to it."""

    name: str
    pieces: list[Piece]
    nearest: str
    """The title of the training text, or "" where none has anything of this one."""
    containment: str
    """The share of the text's shingles that the training text has."""


@dataclass(frozen=True)
class Word:
    """A word with what stands around it, and how each model's tokens tint its characters."""

    text: str
    tip: str
    rows: list[list[tuple[int, str]]]
    """For each model its tokens: (number of characters, strength of the tint)."""


def _strength(nll: float) -> str:
    return f"{math.sqrt(math.exp(-max(0.0, nll))):.2f}"


def _probability(nll: float) -> str:
    return share(math.exp(-max(0.0, nll)))


def tinted(name: str, text: report.Sample, prompt: str, titles: dict[int, str]) -> Sample:
    """A written text, token by token; a token is divided where copied words begin or end within it."""
    spans = [(first + len(prompt), last + len(prompt)) for first, last in text.copied]
    edges = {len(prompt), *(edge for span in spans for edge in span)}
    found, start = [], 0
    for token, nll in text.tokens:
        end = start + len(token)
        for a, b in pairwise([start, *sorted(edge for edge in edges if start < edge < end), end]):
            copied = any(first <= a < last for first, last in spans)
            found.append(
                Piece(token[a - start : b - start], _strength(nll), _probability(nll), copied, b <= len(prompt))
            )
        start = end
    near = "" if text.nearest is None else titles[text.nearest]
    return Sample(name, found, near, share(text.containment))


def read_along(text: str, tokens_of: Sequence[Sequence[Token]], names: Sequence[str]) -> list[Word]:
    """A held-out text word by word, and below each word the probabilities of each model's tokens."""
    placed = []
    for tokens in tokens_of:
        start, own = 0, []
        for token, nll in tokens:
            own.append((start, start + len(token), nll))
            start += len(token)
        placed.append(own)
    words = []
    for match in WORD.finditer(text):
        rows, tips = [], []
        for name, own in zip(names, placed, strict=True):
            inside = [(max(a, match.start()), min(b, match.end()), nll) for a, b, nll in own]
            inside = [(a, b, nll) for a, b, nll in inside if a < b]
            rows.append([(b - a, _strength(nll)) for a, b, nll in inside])
            tips.append(f"{name}  " + " · ".join(_probability(nll) for _, _, nll in inside))
        words.append(Word(match[0].strip(), "\n".join(tips), rows))
    return words
