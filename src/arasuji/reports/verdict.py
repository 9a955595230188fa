"""What a comparison says, in sentences: the finding first, and what it cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arasuji.reports.page import share

COPIED = 13
"""Words in a row that are hardly ever chance."""
ONE_RUN = (
    "The intervals say how far the choice of texts matters, not how another training run would come out: that a recipe "
    "is better takes three seeds of each."
)


def verdict(report: dict[str, Any]) -> list[str]:
    """The sentences that stand above a report."""
    models = report["models"]
    return [
        _likelihood(models, report["pairs"]),
        *_told(models, report["real"]),
        *_unjudged(models),
        _copies(models, report["real"]),
        ONE_RUN,
    ]


def foremost(models: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]]) -> list[str]:
    """The model with the fewest bits, and those that are not shown to need more."""
    best = str(min(models, key=lambda model: float(model["bits_per_byte"]))["name"])
    return [best, *(p["b"] for p in pairs if p["a"] == best and p["verdict"] != "better")]


def hardest_to_tell(models: Sequence[dict[str, Any]]) -> list[str]:
    """The model whose texts are told from real ones least, and those whose intervals reach as far down."""
    told = [(m["samples"]["told"], str(m["name"])) for m in models if m["samples"]["told"]]
    if not told:
        return []
    least, name = min(told, key=lambda found: float(found[0]["share"]))
    return [name, *(other for found, other in told if other != name and found["low"] <= least["high"])]


def listed(names: Sequence[str]) -> str:
    """One, another and a third."""
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), names[-1]])


def _likelihood(models: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]]) -> str:
    best, *others = foremost(models, pairs)
    of_best = [p for p in pairs if p["a"] == best]
    if any(p["verdict"] == "too few texts" for p in of_best):
        return "The test texts are too few to say which model foretells them better."
    unclear = [p["b"] for p in of_best if p["verdict"] == "not comparable"]
    if unclear:
        return f"{best} and {listed(unclear)} cannot be compared: what a tokenizer throws away is not charged for all."
    if others:
        return (
            f"{listed([best, *others])} foretell unseen texts best, and no difference is shown between {best} and the "
            f"{'other' if len(others) == 1 else 'others'}."
        )
    bits, second = sorted((float(m["bits_per_byte"]), str(m["name"])) for m in models)[:2]
    fewer = share(1 - bits[0] / second[0])
    return f"{best} foretells unseen texts best: {bits[0]:.3f} bits per byte, {fewer} fewer than {second[1]}."


def _told(models: Sequence[dict[str, Any]], real: dict[str, Any]) -> list[str]:
    told = [(m["samples"]["told"]["share"], m["name"]) for m in models if m["samples"]["told"]]
    if not told:
        return []
    (least, name), (most, other) = min(told), max(told)
    chance = real["samples"]["told"]
    beside = f" (real ones from other real ones: {share(chance['share'])})" if chance else ""
    rest = f", those of {other} in {share(most)}" if other != name else ""
    return [f"A classifier tells the texts of {name} from real ones in {share(least)} of the cases{beside}{rest}."]


def _unjudged(models: Sequence[dict[str, Any]]) -> list[str]:
    short = [m for m in models if m["samples"]["enough"] < 0.5]
    if len(short) < len(models) and all(m["samples"]["told"] is None for m in models if m not in short):
        return ["The texts are too few for a classifier to tell them from real ones."]
    return [
        f"Only {share(m['samples']['enough'])} of the texts of {m['name']} are long enough to be judged." for m in short
    ]


def _copies(models: Sequence[dict[str, Any]], real: dict[str, Any]) -> str:
    most = max(models, key=lambda model: float(model["originality"]["longest_words"]))
    longest = most["originality"]["longest_words"]
    if longest < COPIED:
        return f"No model copies from its training texts: none has written {COPIED} words in a row from there."
    own = real["originality"]["longest_words"]
    if longest <= own:
        return (
            f"No model copies more than people do: at most {longest} words in a row, those of {most['name']}, where as "
            f"many real texts that no model has seen share up to {own}."
        )
    copying = share(most["originality"]["copying_texts"])
    return (
        f"{most['name']} copies most: up to {longest} words in a row, and {COPIED} or more in {copying} of its texts; "
        f"as many real texts that no model has seen share up to {own}."
    )
