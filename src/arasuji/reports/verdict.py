"""What a comparison says, in sentences: the finding first, and what it cannot say."""

from __future__ import annotations

from typing import Any

from arasuji.reports.page import share

COPIED = 13
"""Words in a row that are hardly ever chance."""
ONE_RUN = (
    "Each recipe was trained once: the intervals say how far the choice of texts matters, not how another training run "
    "would come out; that a recipe is better takes three seeds."
)


def verdict(report: dict[str, Any]) -> list[str]:
    """The sentences that stand above a report."""
    models = sorted(report["models"], key=lambda model: float(model["bits_per_byte"]))
    short = [model for model in models if model["samples"]["enough"] < 0.5]
    return [
        _likelihood(models, report["pairs"]),
        *_told(models, report["real"]),
        *(
            f"Only {share(m['samples']['enough'])} of the texts of {m['name']} are long enough to be judged."
            for m in short
        ),
        _copies(models, report["real"]),
        ONE_RUN,
    ]


def _likelihood(models: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> str:
    best, second = models[:2]
    found = next(p["verdict"] for p in pairs if (p["a"], p["b"]) == (best["name"], second["name"]))
    if found == "better":
        fewer = share(1 - best["bits_per_byte"] / second["bits_per_byte"])
        bits = f"{best['bits_per_byte']:.3f} bits per byte"
        return f"{best['name']} foretells unseen texts best: {bits}, {fewer} fewer than {second['name']}."
    if found == "not comparable":
        return f"{best['name']} and {second['name']} cannot be compared: what a tokenizer throws away is not charged."
    return f"{best['name']} and {second['name']} foretell unseen texts best, and no difference is shown between them."


def _told(models: list[dict[str, Any]], real: dict[str, Any]) -> list[str]:
    told = [(m["samples"]["told"]["share"], m["name"]) for m in models if m["samples"]["told"]]
    if not told:
        return []
    (least, name), (most, other) = min(told), max(told)
    chance = real["samples"]["told"]
    beside = f" (real ones from other real ones: {share(chance['share'])})" if chance else ""
    rest = f", those of {other} in {share(most)}" if other != name else ""
    return [f"A classifier tells the texts of {name} from real ones in {share(least)} of the cases{beside}{rest}."]


def _copies(models: list[dict[str, Any]], real: dict[str, Any]) -> str:
    most = max(models, key=lambda model: float(model["originality"]["longest_words"]))
    longest = most["originality"]["longest_words"]
    if longest < COPIED:
        return f"No model copies from its training texts: none has written {COPIED} words in a row from there."
    copying, own = share(most["originality"]["copying_texts"]), real["originality"]["longest_words"]
    return (
        f"{most['name']} copies most: up to {longest} words in a row, and {COPIED} or more in {copying} of its texts; "
        f"real texts that no model has seen share up to {own}."
    )
