"""The registry of cleaning rules: each is a small function, which the decorator `rule` puts here.

A rule takes the records and its own parameters, and gives one text per record in their order: the text as it was, a
changed one, or None where the record is removed. Most rules look at one record at a time, and records stream through
them. A rule that must see all of them first says `compares=True`: it gets a sequence, kept on disk, that can be read
again.

Other packages add rules by the entry point group `arasuji.rules`, which names modules that use the decorator.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, get_type_hints

from arasuji import plugins
from arasuji.corpus.record import Record
from arasuji.errors import OptionError, nearest

Texts = Iterable[str | None]
Span = tuple[int, int]
"""A place in a text: its first character, and the one after its last."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's function. `quotable` is False where an example of what it removes should not be shown; `compares` is
    True where it must see all records before it can judge one; `trigger` says of a removed text for which of its
    characters it is removed, where that can be said."""

    name: str
    function: Callable[..., Texts]
    quotable: bool
    compares: bool
    trigger: Callable[..., Span | None] | None = None

    def check(self, parameters: dict[str, Any]) -> None:
        """Raise OptionError for a parameter that is unknown, missing, or of the wrong type."""
        wanted = self.parameters()
        types = self._types()
        for name, value in parameters.items():
            if name not in wanted:
                raise OptionError(f"rule {self.name!r} has no parameter {name!r}: {nearest(name, wanted)}")
            if not _fits(value, types.get(name)):
                raise OptionError(f"rule {self.name!r}: {name} = {value!r} is not {_in_words(types.get(name))}")
        for name, parameter in wanted.items():
            if name not in parameters and parameter.default is parameter.empty:
                raise OptionError(f"rule {self.name!r} needs a parameter {name!r}: {_in_words(types.get(name))}")

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Its parameters by name, without the first one of its function, which is the records."""
        return dict(list(inspect.signature(self.function).parameters.items())[1:])

    def summary(self) -> str:
        """The first paragraph of its function's docstring."""
        return " ".join((inspect.getdoc(self.function) or "").partition("\n\n")[0].split())

    def _types(self) -> dict[str, Any]:
        """The types of its parameters. A rule of another package may have none, or name what is imported for type
        checkers alone."""
        try:
            return get_type_hints(self.function)
        except Exception:
            return {}


RULES: dict[str, Rule] = {}


def rule(
    name: str,
    quotable: bool = True,
    compares: bool = False,
    trigger: Callable[..., Span | None] | None = None,
) -> Callable[[Callable[..., Texts]], Callable[..., Texts]]:
    """Register a function `(records, **parameters) -> one text or None per record` under a name; and a function
    `trigger(text, **parameters)`, which says where in a removed text the reason stands.

    Raises OptionError where the name is taken by another function.
    """

    def register(function: Callable[..., Texts]) -> Callable[..., Texts]:
        taken = RULES.get(name)
        if taken and taken.function.__module__ != function.__module__:
            raise OptionError(
                f"two rules are called {name!r}: in {taken.function.__module__} and {function.__module__}"
            )
        RULES[name] = Rule(name, function, quotable, compares, trigger)
        return function

    return register


def load_plugins() -> None:
    """Import the modules that installed packages name under the entry point group `arasuji.rules`.

    Raises OptionError where one cannot be imported, or has a rule whose name is taken.
    """
    for point in entry_points(group=plugins.RULES):
        plugins.load(point)


MOST_READ = 10**7
"""A text is changed again and again while it has changed, until so many characters were read."""


def settled(change: Callable[[str], str], text: str, most: int = MOST_READ) -> str:
    """The text, changed until the change leaves it as it is. A long text may be made so that each round changes only a
    few characters, so the rounds end when `most` characters have been read; a text of 3,000 has thousands of rounds."""
    while most > 0 and (changed := change(text)) != text:
        text, most = changed, most - len(text) - 1
    return text


def mended(records: Iterable[Record], change: Callable[[str], str]) -> Texts:
    """The texts of all records, each changed alone: the body of most rules that change and never remove."""
    return (change(record.text) for record in records)


def where(records: Iterable[Record], wanted: Callable[[Record], bool]) -> Texts:
    """The texts of the wanted records: the body of most rules that remove and never change."""
    return (record.text if wanted(record) else None for record in records)


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", list[str]: "a list of texts"}


def _fits(value: Any, kind: Any) -> bool:
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return kind not in _KINDS or type(value) is kind or (kind is float and type(value) is int)


def _in_words(kind: Any) -> str:
    return _KINDS.get(kind, "a value")
