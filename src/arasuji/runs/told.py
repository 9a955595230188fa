"""What a run is told of a text that it writes: checked against the texts that it was trained on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from arasuji.errors import OptionError, UnknownValueError, nearest

NAMED = 8
"""An error names at most this many known values."""
NEAR = 0.7
"""How near another spelling must be to be meant (`difflib`'s ratio)."""
LIST = "`arasuji runs RUN` lists all"


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
                raise OptionError(f"the {_one(name)} {value!r} is given twice")
        found[name] = values if several else values[0]
    return found


def _value(name: str, value: Any, known: Mapping[str, int], anything: bool) -> str:
    """A value as the training texts spell it."""
    if not isinstance(value, str | int | float):
        raise OptionError(f"{name} is a text or a number, or a list of these, and not {value!r}")
    text = str(value).strip()
    if not text:
        raise OptionError(f"{name} is empty: write a text")
    if text in known:
        return text
    spelled = {other.casefold(): other for other in reversed([*known])}  # the most frequent spelling counts
    if known and text.casefold() not in spelled and not anything:
        hint, more = _hint(text, name, spelled)
        raise UnknownValueError(
            f"no training text has the {_one(name)} {text!r}; {hint}", f"{more}--any-genre goes on with it"
        )
    return spelled.get(text.casefold(), text)


def _hint(text: str, name: str, spelled: Mapping[str, str]) -> tuple[str, str]:
    """What may be meant by a value that is not known, and what the command line says of all of them. `spelled` has the
    known ones by themselves in small letters, the most frequent one last."""
    parts = [part.strip().casefold() for part in text.split(",")]
    if len(parts) > 1 and all(part in spelled for part in parts):
        return f"for several, say each {_one(name)} apart", ""
    close = difflib.get_close_matches(text.casefold(), spelled, n=3, cutoff=NEAR)
    if close and not text.isdigit():
        return f"did you mean {' or '.join(spelled[one] for one in close)}?", f"{LIST}; "
    few = sorted([*spelled.values()][-NAMED:])
    return f"known are {', '.join(few)}" + ", and others" * (len(spelled) > NAMED), f"{LIST}; " * (len(spelled) > NAMED)


def _one(name: str) -> str:
    """What one value of a field is called."""
    return "genre" if name == "genres" else name
