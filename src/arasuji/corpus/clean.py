"""Cleaning: a rule set is a TOML file that lists rules and their parameters, applied in order and counted."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Imported for their rules, which enter the registry as the modules are read.
from arasuji.corpus import Record, RuleCount, article, dedupe, mend, sieve  # noqa: F401
from arasuji.corpus.registry import RULES
from arasuji.errors import CorpusError, OptionError, nearest

RULE_SETS = Path(__file__).parent / "rules"
EXAMPLE_LENGTH = 160  # characters shown before and after
EXAMPLE_LEAD = 60  # of them, what stands before the change


@dataclass(frozen=True, slots=True)
class Step:
    """A rule with its parameters. `label` names it in tables; `describe` adds the parameters."""

    rule: str
    parameters: dict[str, Any]
    label: str

    def describe(self) -> str:
        values = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        return f"{self.rule!r} ({values})" if values else repr(self.rule)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The steps of one TOML file, in its order."""

    description: str
    steps: tuple[Step, ...]


def load_rules(name: str) -> RuleSet:
    """A rule set by its name, or from the path of a TOML file.

    Raises OptionError for an unknown rule set, rule or parameter, with the nearest name there is.
    """
    known = {path.stem: path for path in RULE_SETS.glob("*.toml")}
    path = known.get(name, Path(name))
    if not path.is_file():
        raise OptionError(f"no rule set {name!r}: {nearest(name, known)} (or the path of a TOML file)")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"rule set {path} cannot be read: {error}") from error
    entries = table.get("rule", [])
    unknown = set(table) - {"description", "rule"}
    if unknown or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise OptionError(f"rule set {path}: it holds a description and [[rule]] tables, and nothing else")
    return RuleSet(str(table.get("description", "")), _steps(entries))


def _steps(entries: list[dict[str, Any]]) -> tuple[Step, ...]:
    times = Counter(str(entry.get("name")) for entry in entries)
    steps = []
    for entry in entries:
        name = str(entry.get("name"))
        parameters = {key: value for key, value in entry.items() if key != "name"}
        if name not in RULES:
            raise OptionError(f"no rule {name!r}: {nearest(name, RULES)}")
        RULES[name].check(parameters)
        # A rule that stands several times is told apart by what it is given.
        values = " ".join(str(value) for value in parameters.values())
        steps.append(Step(name, parameters, f"{name}: {values}" if times[name] > 1 and values else name))
    return tuple(steps)


def apply(
    records: Sequence[Record], ruleset: RuleSet, progress: Callable[[str], None] | None = None
) -> tuple[list[Record], list[RuleCount]]:
    """Run every step over the records; give what is left and a count per step, headed by the row "all".

    Raises CorpusError where a rule removes the last documents.
    """
    left = list(records)
    counts = [RuleCount("all", removed=0, changed=0, left=len(left), example=None)]
    for step in ruleset.steps:
        texts = RULES[step.rule].function(left, **step.parameters)
        pairs = list(zip(left, texts, strict=True))
        kept = [
            record if text == record.text else replace(record, text=text) for record, text in pairs if text is not None
        ]
        removed = len(left) - len(kept)
        changed = sum(text is not None and text != record.text for record, text in pairs)
        example = _example(pairs) if RULES[step.rule].quotable else None
        counts.append(RuleCount(step.label, removed, changed, len(kept), example))
        if progress:
            progress(f"rule {step.label}: {removed:,} removed, {changed:,} changed, {len(kept):,} left")
        if left and not kept:
            message = f"all {len(records)} documents are gone: rule {step.describe()} removed the last {removed}"
            raise CorpusError(message)
        left = kept
    return left, counts


def _example(pairs: list[tuple[Record, str | None]]) -> tuple[str, str] | None:
    """The first changed text before and after, or else the first removed one and ""."""
    for record, text in pairs:
        if text is not None and text != record.text:
            start = max(0, _first_difference(record.text, text) - EXAMPLE_LEAD)
            return _clip(record.text, start), _clip(text, start)
    removed = next((record.text for record, text in pairs if text is None and record.text), None)
    return None if removed is None else (_clip(removed, 0), "")


def _first_difference(before: str, after: str) -> int:
    both = zip(before, after, strict=False)
    return next((at for at, (a, b) in enumerate(both) if a != b), min(len(before), len(after)))


def _clip(text: str, start: int) -> str:
    """At most EXAMPLE_LENGTH characters from `start`, with an ellipsis at each cut end."""
    clipped = "…" + text[start + 1 :] if start else text
    return clipped if len(clipped) <= EXAMPLE_LENGTH else clipped[: EXAMPLE_LENGTH - 1] + "…"
