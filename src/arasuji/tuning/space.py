"""What a search varies: `key=a..b` is a range, `key=a|b|c` are choices, and any other `key=value` holds for all trials.

Choices stand between bars, since TOML values have commas of their own (`cutoffs=[2000,10000]`). What TOML reads as one
value is one value, so a text that holds a bar or two dots stands in quotation marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pydantic import BaseModel

from arasuji import tokenizers
from arasuji.config import Experiment, value_of
from arasuji.errors import OptionError

LARGEST = 2**53
"""The ends of a range may not be further from zero than this, where floats no longer hold every whole number."""
LOGARITHMIC = 10
"""A range is searched on a logarithmic scale if its upper end is at least this many times its lower end."""
DIGITS = 4
"""Values of a range are rounded to this many digits, so that they can be read and typed."""

Value = int | float | str


class Range(BaseModel):
    """Numbers between two ends: whole numbers if both ends are whole, floats otherwise."""

    low: int | float
    high: int | float

    @property
    def logarithmic(self) -> bool:
        return self.low > 0 and self.high / self.low >= LOGARITHMIC

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def rounded(self, value: int | float) -> int | float:
        """The value with few digits, inside the range."""
        return value if self.whole else min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def tried(self) -> list[Value]:
        """Values that an option which takes all of the range must take."""
        inside = [] if self.whole else [self.rounded(self.low + 0.37 * (self.high - self.low))]
        return [self.low, *inside, self.high]

    def __str__(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        return f"{kind} from {self.low} to {self.high}{', on a logarithmic scale' * self.logarithmic}"


class Choices(BaseModel):
    """Values among which one is chosen, as `--set` takes them."""

    choices: list[str]

    def rounded(self, value: Value) -> Value:
        return value

    def tried(self) -> list[Value]:
        return list(self.choices)

    def __str__(self) -> str:
        return " or ".join(self.choices)


class Space(BaseModel):
    """The options that a search varies, and those that are the same in all trials."""

    fixed: list[str]
    searched: dict[str, Range | Choices]

    def settings(self, values: dict[str, Value]) -> list[str]:
        """The settings of a trial, as `--set` takes them."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]


def read_space(settings: Iterable[str]) -> Space:
    """Sort the settings of a search. Raises OptionError where a range or a list of choices cannot be read, and where a
    key is named twice."""
    space = Space(fixed=[], searched={})
    keys = set()
    for setting in settings:
        key, _, raw = setting.partition("=")
        key = key.strip()
        if key in keys:
            raise OptionError(f"--set {key} is given twice: keep one")
        keys.add(key)
        found = _searched(setting, raw.strip())
        if found is None:
            space.fixed.append(setting)
        else:
            space.searched[key] = found
    return space


def _searched(setting: str, raw: str) -> Range | Choices | None:
    """The range or the choices of a setting; None where it is one value."""
    if value_of(raw) != raw:
        return None
    low, high = (value_of(end.strip()) for end in raw.partition("..")[::2])
    if all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        if not low < high or max(abs(low), abs(high)) > LARGEST:
            raise OptionError(f"--set {setting}: a range goes from a number to a larger one, such as 1e-4..1e-2")
        return Range(low=low, high=high)
    choices = [choice.strip() for choice in raw.split("|")]
    if len(choices) == 1:
        return None
    if not all(choices) or len(set(choices)) < len(choices):
        raise OptionError(
            f"--set {setting}: choices must differ and not be empty; put a single value that holds | in quotation marks"
        )
    return Choices(choices=choices)


def check_space(space: Space, experiment_of: Callable[[list[str]], Experiment]) -> Experiment:
    """Make an experiment of each end of each range and of each choice, and return one of them.

    Raises OptionError where nothing is searched, for an unknown key or a value that its option does not take, and where
    the scores of two values would not be of the same thing.
    """
    if not space.searched:
        raise OptionError("nothing is searched: say --set key=a..b for a range, or --set 'key=a|b|c' for choices")
    first = {key: searched.tried()[0] for key, searched in space.searched.items()}
    chosen = experiment_of(space.settings(first))
    for key, searched in space.searched.items():
        for value in searched.tried():
            other = experiment_of(space.settings({**first, key: value}))
            _check_comparable(key, chosen, other)
    return chosen


def _check_comparable(key: str, one: Experiment, other: Experiment) -> None:
    scored = [(e.train.seed, e.train.validation_documents) for e in (one, other)]
    if scored[0] != scored[1]:
        raise OptionError(f"--set {key} changes which texts are scored, so it cannot be searched: give it one value")
    if one.sampling != other.sampling:
        raise OptionError(f"--set {key} changes how texts are written, which the search does not measure")
    if one.teaching.teacher != other.teaching.teacher:
        raise OptionError(f"--set {key} cannot be searched, since all trials have one teacher: give it one value")
    if one.tokenizer != other.tokenizer and not tokenizers.is_lossless(one.tokenizer.name):
        raise OptionError(
            f"--set {key} changes what the tokenizer {one.tokenizer.name} leaves out, which only `evaluate` charges: "
            "the search cannot compare its values"
        )
