"""What to expect of this much text, by the curves that `bench/learning_curves.py` measured, and a verdict in words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib import resources
from typing import Any

from arasuji.inspection import Finding, Outlook

LEAK = 0.02
"""If more than this share of the validation split's shingles stand in the training split, scores are too good."""
BASELINE = "ngram"
"""The preset that others are compared with."""
PRETRAINED = "pretrained-lora"
"""The preset that does not begin from nothing."""


def outlook(words: int) -> list[Outlook]:
    """The bits per byte that each preset is expected to reach on this number of training words, best first.

    Between two measured amounts the value is interpolated in the logarithm of the words; beyond the largest one, its
    value is taken. A preset that was not measured on so little text is left out.
    """
    curves = json.loads((resources.files("arasuji.inspection") / "curves.json").read_text("utf-8"))["curves"]
    measured = {preset: points for preset, points in curves.items() if points[0]["words"] <= words}
    expected = [_expected(preset, points, words) for preset, points in measured.items()]
    return sorted(expected, key=lambda one: one.bits_per_byte)


def _expected(preset: str, points: list[dict[str, Any]], words: int) -> Outlook:
    below = [point for point in points if point["words"] <= words]
    above = [point for point in points if point["words"] >= words] or points[-1:]
    low, high = below[-1], above[0]
    span = math.log(high["words"] / low["words"])
    share = math.log(words / low["words"]) / span if span > 0 else 0.0

    def between(figure: str) -> float:
        return float(low[figure] + share * (high[figure] - low[figure]))

    return Outlook(preset, round(between("bits_per_byte"), 2), round(between("minutes"), 1))


def verdict(
    words: int, expected: list[Outlook], leakage: float, findings: list[Finding], mended: set[str]
) -> list[str]:
    """Plain sentences: enough for what, what to expect, what to do first. `mended` are the rules that were applied."""
    sentences = [f"{words:,} words are left to learn from."]
    if not expected:
        sentences.append("That is less than was ever measured; write with a pretrained model as it is.")
    else:
        sentences += _prospects(expected)
    open_ones = [finding for finding in findings if finding.rule not in mended]
    if leakage > LEAK:
        sentences.append(
            f"First look at the repeats: {leakage:.1%} of the validation split's 13-word shingles stand in the "
            "training split, so scores will be too good.".replace("%", " %")
        )
    elif open_ones:
        first = open_ones[0]
        advice = (
            f"the rule “{first.rule}”, in a rule file of your own, would deal with them."
            if first.rule
            else "they are most of the collection, so no rule that removes them helps."
        )
        sentences.append(f"First decide about the {first.documents:,} texts that {first.what}: {advice}")
    else:
        sentences.append("Nothing needs mending first: the rules dealt with all that was found.")
    return sentences


def _minutes(minutes: float) -> str:
    return "a few seconds" if minutes < 0.2 else f"{max(1, round(minutes))} min"


def _prospects(expected: list[Outlook]) -> Iterator[str]:
    """What can be trained from nothing on this much text, and what is best."""
    best = expected[0]
    baseline = next((one for one in expected if one.preset == BASELINE), best)
    from_nothing = [one for one in expected if one.preset not in (BASELINE, PRETRAINED)]
    better = [one.preset for one in from_nothing if one.bits_per_byte < baseline.bits_per_byte]
    worse = [one.preset for one in from_nothing if one.preset not in better]
    if better:
        yield f"That is enough to train {' and '.join(better)} from nothing: better than counting 5-grams."
    if worse:
        yield f"From nothing, {' and '.join(worse)} did no better in minutes than counting 5-grams."
    yield (
        f"Expect about {best.bits_per_byte:.2f} bits per byte of {best.preset} after {_minutes(best.minutes)} on two "
        f"cores, {baseline.bits_per_byte:.2f} of {baseline.preset}; measured on anime synopses, other texts differ."
    )
