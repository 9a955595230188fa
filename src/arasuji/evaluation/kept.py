"""Answers that cost minutes are kept in the cache folder, under what was asked and the code that found them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from arasuji import bases, plugins
from arasuji.errors import StorageError
from arasuji.files import write_text


def kept(asked: object, find: Callable[[], Any]) -> tuple[Any, bool]:
    """The answer, as JSON has it, and whether it was there already.

    `asked` is JSON of all else that the answer depends on, the versions of libraries included.
    """
    key = hashlib.sha256(json.dumps([asked, _code()], sort_keys=True).encode()).hexdigest()[:24]
    path = bases.home() / "compare" / f"{key}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_text("utf-8")), True
    text = json.dumps(find())
    with suppress(StorageError):  # then it is found again next time
        write_text(path, text)
    return json.loads(text), False


@cache
def _code() -> str:
    """The sum of the files of this package and of those that add to it: whoever changes the code wants to see what that
    changes."""
    found = hashlib.sha256()
    for path in [*sorted(Path(__file__).parents[1].rglob("*.py")), *plugins.sources()]:
        found.update(path.read_bytes())
    return found.hexdigest()
