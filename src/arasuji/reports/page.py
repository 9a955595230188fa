"""What every report shares: templates that escape what they are given, tables, plots, and numbers as a person reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from arasuji.speech import share

NOTHING = "–"
"""Stands in a table where there is no figure."""
NO_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Control characters that a page may not hold: a browser drops them or shows them as others, and a pager obeys them."""


@dataclass(frozen=True)
class Table:
    """Whole numbers are given as they are; whatever else a cell shows is written out."""

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    notes: Mapping[str | int, str] = field(default_factory=dict)
    """What a row's first cell means, in one sentence."""
    legend: Mapping[str, str] = field(default_factory=dict)
    """What columns mean, where they need a sentence."""


@dataclass(frozen=True)
class Plot:
    """A drawing with its finding, and the figures behind it."""

    title: str
    note: str
    """What is drawn, in one sentence, or "" where the page has said it."""
    svg: Markup
    table: Table


def render(template: str, **values: Any) -> str:
    """A whole page."""
    page = _environment().get_template(template).render(values)
    page = NO_HTML.sub("\N{REPLACEMENT CHARACTER}", page)
    # Half a surrogate pair, which careless JSON may hold, cannot be written as UTF-8.
    return page.encode("utf-8", "replace").decode("utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(cell=cell, count=count, share=share)
    return made


def cell(value: str | int) -> str:
    """What a table shows."""
    return count(value) if isinstance(value, int) else value


def count(number: int) -> str:
    """25,865."""
    return f"{number:,}"


def brief(number: float) -> str:
    """A number on an axis, where room is short: 1,200, 12 k, 1.2 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if number >= unit:
            return f"{number / (1e3 if name == ' k' else unit):.3g}{name}"
    return f"{number:,.3g}" if number < 1 else f"{number:,.0f}"


def duration(minutes: float) -> str:
    """Minutes as a person says them."""
    if minutes < 90:
        return f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"
    return f"{minutes / 60:.1f} h"


def several(number: int, one: str, many: str = "") -> str:
    """1 document, 2 documents."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
