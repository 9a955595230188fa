"""Labels of a plot: short enough, and so placed that none meets its neighbour."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from arasuji.reports.page import NOTHING
from arasuji.reports.svg import FONT, NOT_XML, WIDTH


def spaced(numbers: Sequence[int], longest: str) -> list[int]:
    """Which of evenly spaced numbers to show so that none meets its neighbour: the round ones."""
    room = max(1, int(0.83 * WIDTH / (len(longest) * 0.6 * FONT + 14)))
    width = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    steps = (round(i * 10**power) for power in range(9) for i in (1, 2, 5))
    step = next(step for step in steps if len(numbers) <= step * room) * width
    return [i for i, number in enumerate(numbers) if (number - numbers[0] % width) % step == 0]


def apart(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """The heights, moved up where two would stand closer than the gap, and down again where that is above the top."""
    moved, order = list(heights), sorted(range(len(heights)), key=lambda i: heights[i])
    for below, i in pairwise(order):
        moved[i] = max(moved[i], moved[below] + gap)
    for i in reversed(order):
        moved[i] = min(moved[i], top)
        top = moved[i] - gap
    return moved


def names(texts: Sequence[str], width: int) -> list[str]:
    """Labels in one line each, clipped at their ends, or in the middle where they would be the same."""
    found = [clipped(text, width) for text in texts]
    half = width // 2
    return [
        clipped(text, half)[:-1] + clipped(text[::-1], half)[::-1]
        if label.endswith("…") and found.count(label) > 1
        else label
        for text, label in zip(texts, found, strict=True)
    ]


def clipped(text: str, width: int) -> str:
    """A label in one line of at most `width` narrow letters; a letter of Chinese or Japanese counts as two. A blank
    label is a dash, since a bar without a name looks like a fault."""
    text = " ".join(NOT_XML.sub("", text).split()) or NOTHING
    ends, used = [], 0
    for letter in text:
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        ends.append(used)
    return text if used <= width else text[: sum(end < width for end in ends)].rstrip() + "…"
