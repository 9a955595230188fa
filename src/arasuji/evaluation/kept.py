"""Answers that cost minutes are kept in the cache folder, under what was asked, and not found twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from arasuji import bases
from arasuji.errors import StorageError
from arasuji.files import write_text


def kept(asked: object, find: Callable[[], Any]) -> tuple[Any, bool]:
    """The answer, as JSON has it, and whether it was there already.

    `asked` is JSON of all that the answer depends on, versions included.
    """
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:24]
    path = bases.home() / "compare" / f"{key}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_text("utf-8")), True
    text = json.dumps(find())
    with suppress(StorageError):  # then it is found again next time
        write_text(path, text)
    return json.loads(text), False
