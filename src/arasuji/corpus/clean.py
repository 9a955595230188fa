"""Cleaning: a rule set is a TOML file that lists rules and their parameters, applied in order and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import tee
from pathlib import Path
from typing import Any

# Imported for their rules, which enter the registry as the modules are read.
from arasuji import arguments
from arasuji.config import read_toml
from arasuji.corpus import article, dedupe, language, markers, mend, sieve  # noqa: F401
from arasuji.corpus.examples import Sample
from arasuji.corpus.folder import RuleCount
from arasuji.corpus.near import SIMILARITY
from arasuji.corpus.record import Progress, Record, Records
from arasuji.corpus.registry import RULES, Rule, Texts, load_plugins, where
from arasuji.errors import ArasujiError, CorpusError, OptionError, nearest

RULE_SETS = Path(__file__).parent / "rules"
"""The folder of the rule sets that come with the package."""
_NONE_LEFT: Any = object()
"""This stands for the answer of a rule that has given all its answers."""
LINE = 100
"""A list that would make a longer line has a line for each of its values."""


@dataclass(frozen=True, slots=True)
class Step:
    """A rule with its parameters. `label` names it in tables; `describe` adds the parameters."""

    rule: str
    parameters: dict[str, Any]
    label: str

    @property
    def table(self) -> dict[str, Any]:
        """The step as its rule set has it: {"name": its rule, and each of its parameters}."""
        return {"name": self.rule, **self.parameters}

    def describe(self) -> str:
        plain = {name: value for name, value in self.parameters.items() if not isinstance(value, list)}
        values = ", ".join(f"{name} {value}" for name, value in plain.items())
        return f"{self.rule!r} ({values})" if values else repr(self.rule)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The steps of one TOML file, in its order."""

    description: str
    steps: tuple[Step, ...]

    @property
    def leaves_no_near_duplicates(self) -> bool:
        """Whether its last step removes near-duplicates, so that the split need not look for them."""
        last = self.steps[-1] if self.steps else None
        if last is None or last.rule != "near-duplicates":
            return False
        return bool(last.parameters.get("similarity", SIMILARITY) <= SIMILARITY)


def load_rules(name: str) -> RuleSet:
    """A rule set by its name, or from the path of a TOML file.

    Raises OptionError for an unknown rule set, rule or parameter, with the nearest name there is.
    """
    load_plugins()
    known = {path.stem: path for path in RULE_SETS.glob("*.toml")}
    path = known.get(name, arguments.path(name))
    if not path.is_file():
        raise OptionError(f"no rule set {name!r}: {nearest(name, known)} (or the path of a TOML file)")
    table = read_toml(path, "the rule set")
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


def as_toml(table: dict[str, Any]) -> str:
    """A step's table as a rule set writes it."""
    return "".join(["[[rule]]\n", *(f"{key} = {_value(value)}\n" for key, value in table.items())])


def _value(value: Any) -> str:
    """A value in TOML, which writes numbers, texts and lists as JSON does."""
    line = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list) and len(line) > LINE:
        line = json.dumps(value, ensure_ascii=False, indent=4)
    return line.replace("\x7f", "\\u007f")


class Cleaning:
    """The records that a rule set leaves, as a stream: iterate over it once, then read `counts`.

    Where a rule must see all records, they are written to `folder`. `on_removed` is called for each removed record,
    with the label of the rule and the record as it was. `stays` is what the first rule has decided elsewhere: whether
    each record stays.

    Raises, while it is iterated over, OptionError if a rule fails and CorpusError if a rule removes the last documents.
    """

    left: Iterator[Record]
    """The same stream without the CorpusError: of a part of the documents, a rule may remove all."""

    def __init__(
        self,
        records: Iterable[Record],
        ruleset: RuleSet,
        folder: Path,
        on_removed: Callable[[str, Record], None] = lambda label, record: None,
        progress: Progress = lambda what, done, total: None,
        stays: Iterable[bool] | None = None,
    ) -> None:
        self._came = 0
        rules = [RULES[step.rule] for step in ruleset.steps]
        if stays is not None:
            rules[0] = _decided(rules[0], iter(stays))
        self._tallies = [
            _Tally(step, rule, Sample(rule, step.parameters)) for step, rule in zip(ruleset.steps, rules, strict=True)
        ]
        self._on_removed = on_removed
        self._progress = progress
        self.left = self._counted(records)
        for place, tally in enumerate(self._tallies):
            self.left = self._run(tally, self.left, folder / f"{place}.jsonl")

    def __iter__(self) -> Iterator[Record]:
        yield from self.left
        check_left([tally.step for tally in self._tallies], self.counts)

    @property
    def counts(self) -> tuple[RuleCount, ...]:
        """What each step has done so far; the first row, "all", counts the records that came in."""
        return RuleCount("all", 0, 0, self._came), *(tally.count() for tally in self._tallies)

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self._came += 1
            yield record

    def _run(self, tally: _Tally, records: Iterator[Record], place: Path) -> Iterator[Record]:
        if not tally.rule.compares:
            records, given = tee(records)  # a rule is rarely more than a record ahead, so tee holds one
            yield from self._judge(tally, records, given)
            return
        with Records.write(place, records) as kept:
            kept.watch = partial(self._tell, tally.step, len(kept))
            yield from self._judge(tally, iter(kept), kept)

    def _tell(self, step: Step, size: int, done: int) -> None:
        self._progress(f"rule {step.label}", done, size)

    def _judge(self, tally: _Tally, records: Iterator[Record], given: Iterable[Record]) -> Iterator[Record]:
        step = tally.step
        with _blaming(step):
            texts = iter(tally.rule.function(given, **step.parameters))
        for record in records:
            text = _judged(step, record, texts)
            if text is None:
                tally.removed += 1
                self._on_removed(step.label, record)
            else:
                tally.left += 1
                tally.changed += text != record.text
            if text != record.text:
                with _blaming(step, f" at record {record.id}"):
                    tally.sample.add(record.text, text)
            if text is not None:
                yield record if text == record.text else replace(record, text=text)
        with _blaming(step):
            if next(texts, texts) is not texts:
                raise OptionError(f"rule {step.rule!r} gave more answers than there are records: one each is wanted")


def check_left(steps: Iterable[Step], counts: Sequence[RuleCount]) -> None:
    """Raise CorpusError where a step has removed the last documents; `counts` are those of `Cleaning`."""
    for step, count in zip(steps, counts[1:], strict=True):
        if count.removed and not count.left:
            raise CorpusError(
                f"all {counts[0].left} documents are gone: rule {step.describe()} removed the last {count.removed}"
            )


def _decided(rule: Rule, stays: Iterator[bool]) -> Rule:
    """The rule, with the answers that were found elsewhere."""

    def answers(records: Iterable[Record], **parameters: Any) -> Texts:
        return where(records, lambda record: next(stays))

    return replace(rule, function=answers, compares=False)


@contextmanager
def _blaming(step: Step, where: str = "") -> Iterator[None]:
    """Turn any failure of a rule, which may be anyone's code, into an error that names the rule."""
    try:
        yield
    except ArasujiError:
        raise
    except Exception as error:
        raise OptionError(f"rule {step.rule!r} failed{where}: {type(error).__name__}: {error}") from error


def _judged(step: Step, record: Record, texts: Iterator[str | None]) -> str | None:
    """The next answer of a rule. Raises OptionError where it gives none, or something else than a text or None."""
    with _blaming(step, f" at record {record.id}"):
        text = next(texts, _NONE_LEFT)
    if text is None or (isinstance(text, str) and _is_whole(text)):
        return text
    if text is _NONE_LEFT:
        raise OptionError(f"rule {step.rule!r} gave no answer for record {record.id}: one each is wanted")
    raise OptionError(f"rule {step.rule!r} gave {text!r} for record {record.id}: a text or None is wanted")


def _is_whole(text: str) -> bool:
    """Whether UTF-8 can hold the text; half of a surrogate pair it cannot hold."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(slots=True)
class _Tally:
    """The counts of a step while records pass, and some of the texts that it touches."""

    step: Step
    rule: Rule
    sample: Sample
    removed: int = 0
    changed: int = 0
    left: int = 0

    def count(self) -> RuleCount:
        examples = self.sample.examples()
        return RuleCount(self.step.label, self.removed, self.changed, self.left, examples, self.step.table)
