"""What to expect of so much text, from the curves that `bench/learning_curves.py` measured, and a verdict in words."""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import Any

from arasuji.inspection import Finding, Outlook

LEAK = 0.02
"""The share of validation runs found in training from which on a score flatters."""
BASELINE = "ngram"
PRETRAINED = "pretrained-lora"


def outlook(words: int) -> list[Outlook]:
    """The bits per byte that each preset is expected to reach on so many training words, best first.

    Between two measured amounts the value is interpolated in the logarithm of the words; beyond the ends the nearest
    measured one stands.
    """
    curves = json.loads((resources.files("arasuji.inspection") / "curves.json").read_text("utf-8"))["curves"]
    expected = [_expected(preset, points, max(1, words)) for preset, points in curves.items()]
    return sorted(expected, key=lambda one: one.bits_per_byte)


def _expected(preset: str, points: list[dict[str, Any]], words: int) -> Outlook:
    below = [point for point in points if point["words"] <= words] or points[:1]
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
    by_preset = {one.preset: one for one in expected}
    best, baseline = expected[0], by_preset[BASELINE]
    beaten = [one.preset for one in expected if one.bits_per_byte < baseline.bits_per_byte and one.preset != PRETRAINED]
    sentences = [f"{words:,} words are left to learn from."]
    if beaten:
        names = " and ".join(sorted(beaten))
        sentences.append(f"That is enough to train from nothing: {names} should do better than counting 5-grams.")
    else:
        sentences.append(
            "That is too little to train from nothing in minutes: on so much text the LSTM and the small GPT-2 did no "
            "better than counting 5-grams. Fine-tune a pretrained model."
        )
    sentences.append(
        f"Expect about {best.bits_per_byte:.2f} bits per byte of {best.preset} after {_minutes(best.minutes)} on two "
        f"cores, {baseline.bits_per_byte:.2f} of {BASELINE}; measured on anime synopses, other texts differ."
    )
    open_ones = [finding for finding in findings if finding.rule not in mended]
    if leakage > LEAK:
        sentences.append(
            f"First look at the repeats: {leakage:.1%} of the validation split's 13-word runs stand in the training "
            "split, so scores will flatter.".replace("%", " %")
        )
    elif open_ones:
        first = open_ones[0]
        sentences.append(
            f"First decide about the {first.documents:,} texts that {first.what}: the rule “{first.rule}”, in a rule "
            "file of your own, would deal with them."
        )
    else:
        sentences.append("Nothing needs mending first: the rules dealt with all that was found.")
    return sentences


def _minutes(minutes: float) -> str:
    return "a few seconds" if minutes < 0.2 else f"{max(1, round(minutes))} min"
