"""The registry of cleaning rules: one small function each, put here by the decorator `rule`.

A rule takes all records and its own parameters, and gives one text per record: the text as it was, mended, or
None where the record must go. Seeing all records lets a rule compare them; most look at one at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from arasuji.corpus import Record
from arasuji.errors import OptionError, nearest

Texts = Iterable[str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's function. `quotable` is False where an example of what it removes should not be shown."""

    name: str
    function: Callable[..., Texts]
    quotable: bool

    def check(self, parameters: dict[str, Any]) -> None:
        """Raise OptionError for a parameter that is unknown, missing, or of the wrong type."""
        wanted = dict(list(inspect.signature(self.function).parameters.items())[1:])  # the first is the records
        types = get_type_hints(self.function)
        for name, value in parameters.items():
            if name not in wanted:
                raise OptionError(f"rule {self.name!r} has no parameter {name!r}: {nearest(name, wanted)}")
            if not _fits(value, types[name]):
                raise OptionError(f"rule {self.name!r}: {name} = {value!r} is not {_in_words(types[name])}")
        for name, parameter in wanted.items():
            if name not in parameters and parameter.default is parameter.empty:
                raise OptionError(f"rule {self.name!r} needs a parameter {name!r}: {_in_words(types[name])}")


RULES: dict[str, Rule] = {}


def rule(name: str, quotable: bool = True) -> Callable[[Callable[..., Texts]], Callable[..., Texts]]:
    """Register a function `(records, **parameters) -> one text or None per record` under a name."""

    def register(function: Callable[..., Texts]) -> Callable[..., Texts]:
        RULES[name] = Rule(name, function, quotable)
        return function

    return register


def mended(records: Sequence[Record], change: Callable[[str], str]) -> Texts:
    """The texts of all records, each changed alone: the body of most rules that change and never remove."""
    return (change(record.text) for record in records)


def where(records: Sequence[Record], wanted: Callable[[Record], bool]) -> Texts:
    """The texts of the wanted records: the body of most rules that remove and never change."""
    return (record.text if wanted(record) else None for record in records)


def _fits(value: Any, kind: Any) -> bool:
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return type(value) is kind


def _in_words(kind: Any) -> str:
    return {int: "a whole number", str: "a text", list[str]: "a list of texts"}[kind]
