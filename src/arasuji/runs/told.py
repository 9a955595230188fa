"""What a run is told of a text that it writes: checked against the texts that it was trained on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import islice
from typing import Any

from arasuji.errors import OptionError, nearest

NAMED = 8
"""An error names at most this many known values."""


def told(
    run: str, known: Mapping[str, Mapping[str, int]], fields: Mapping[str, Any], any_genre: bool = False
) -> dict[str, Any]:
    """The fields as the training texts spell their values. `known` has the fields that the run can be told, with the
    values of those that have a few different ones, the most frequent one first (see `RunFacts.fields`).

    Raises:
        OptionError: the run cannot be told a field; a value is empty, or given twice; or, unless `any_genre`, it is
            none of the few.
    """
    if {"from", "to"} & fields.keys() - known.keys():
        raise OptionError(f"{run} cannot fill what stands between two sentences: train pretrained-fill")
    if fields and not known:
        raise OptionError(
            f"{run} was trained without fields, so it can be told nothing of a text: train lstm-control or "
            "pretrained-control, or another preset with --set document.format"
        )
    found: dict[str, Any] = {}
    for name, given in fields.items():
        if name not in known:
            raise OptionError(f"{run} cannot be told {name!r}; {nearest(name, known)}")
        if given is None:
            continue
        several = isinstance(given, list | tuple)
        values = [_value(name, value, known[name], any_genre) for value in (given if several else [given])]
        for value in values:
            if values.count(value) > 1:
                raise OptionError(f"{name} {value!r} is given twice")
        found[name] = values if several else values[0]
    return found


def _value(name: str, value: Any, known: Mapping[str, int], anything: bool) -> str:
    """A value as the training texts spell it."""
    if not isinstance(value, str | int | float):
        raise OptionError(f"{name} is a text or a number, or a list of these, and not {value!r}")
    text = str(value).strip()
    if not text:
        raise OptionError(f"{name} has no value: leave it out, or say what it is")
    if text in known:
        return text
    spelled = {other.casefold(): other for other in reversed([*known])}  # the most frequent spelling counts
    if known and text.casefold() not in spelled and not anything:
        close = difflib.get_close_matches(text.casefold(), spelled, n=3, cutoff=0.5)
        near = [spelled[one] for one in close] or list(islice(known, NAMED))
        raise OptionError(
            f"no training text has the {'genre' if name == 'genres' else name} {text!r}; known are {', '.join(near)}"
            f"{', …' * (not close and len(known) > NAMED)} (--any-genre goes on with it)"
        )
    return spelled.get(text.casefold(), text)
