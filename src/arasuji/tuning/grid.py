"""The grid of a sweep: which sampling settings are tried.

The four settings that say from which tokens one is drawn have choices of their own. Each of `top_k`, `top_p` and
`min_p` cuts off the tail of unlikely tokens. Of several cuts the hardest one decides, so only one at a time is tried.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from arasuji.config import SamplingConfig, checked, value_of
from arasuji.errors import OptionError
from arasuji.tuning.space import Range, read_space

GRID: dict[str, list[Any]] = {
    "temperature": [0.7, 0.8, 0.9, 1.0],
    "top_k": [0, 50],
    "top_p": [1.0, 0.9, 0.95],
    "min_p": [0.0, 0.05, 0.1],
}
"""What is tried unless other choices are named: four temperatures, each without a cut and with one of five cuts."""
CUTS = ("top_k", "top_p", "min_p")
LENGTHS = ("min_length", "max_length")


def choices_of(settings: Iterable[str]) -> dict[str, list[Any]]:
    """The values of each setting that are tried: those of `GRID`, where `settings` do not name others, as `key=a|b|c`
    or, for a single one, as `key=value`.

    Raises:
        OptionError: a range, a length, or choices that cannot be read.
    """
    space = read_space(settings)
    named: dict[str, list[Any]] = {}
    for setting in space.fixed:
        key, _, raw = setting.partition("=")
        named[key.strip()] = [value_of(raw.strip())]
    for key, searched in space.searched.items():
        if isinstance(searched, Range):
            raise OptionError(f"--set {key}={searched.low}..{searched.high}: a grid has choices, such as '{key}=a|b|c'")
        named[key] = [value_of(choice) for choice in searched.choices]
    if lengths := [key for key in LENGTHS if key in named]:
        raise OptionError(f"--set {lengths[0]}: a sweep does not change lengths, leave it out")
    return GRID | named


def grid_of(now: SamplingConfig, choices: dict[str, list[Any]]) -> list[SamplingConfig]:
    """The settings that a run has now, and then all combinations of the choices, but for those with more cuts at once
    than the choices ask for. Settings that are not named are those that the run has.

    Raises:
        OptionError: an unknown setting, or a value that it does not take.
    """
    found: list[tuple[int, SamplingConfig]] = []
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        made: SamplingConfig = checked(SamplingConfig, now.model_dump() | chosen, "sweep")
        found.append((sum(getattr(made, key) != SamplingConfig.model_fields[key].default for key in CUTS), made))
    most = max(1, min(cuts for cuts, _ in found))
    grid = [now]
    for cuts, made in found:
        if cuts <= most and made not in grid:
            grid.append(made)
    return grid
