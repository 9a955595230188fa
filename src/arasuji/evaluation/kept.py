"""Answers that take minutes to find are kept in the cache folder, under what was asked and the code that found them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from arasuji import bases, plugins
from arasuji.errors import StorageError
from arasuji.evaluation.report import REPORT_BYTES
from arasuji.files import read_json, write_text

Answer = TypeVar("Answer")


def kept(asked: object, find: Callable[[], Answer], kind: type[Answer]) -> tuple[Answer, bool]:
    """The answer, and whether it was kept before. A kept file that is damaged, or holds something else than `kind`, is
    found anew.

    `asked` is JSON of all that the answer depends on, the versions of libraries included, but not the code.
    """
    key = hashlib.sha256(json.dumps([asked, _code()], sort_keys=True).encode()).hexdigest()[:24]
    path, checked = bases.home() / "compare" / f"{key}.json", TypeAdapter(kind)
    with suppress(OSError, ValueError):
        return checked.validate_python(read_json(path, REPORT_BYTES, follow=True)), True
    answer = find()
    with suppress(StorageError):  # then it is found again next time
        write_text(path, json.dumps(checked.dump_python(answer, mode="json")))
    return answer, False


@cache
def _code() -> str:
    """The hash of all files of this package and of those that add to it: changed code finds its answers anew."""
    found = hashlib.sha256()
    for path in [*sorted(Path(__file__).parents[1].rglob("*.py")), *plugins.sources()]:
        found.update(path.read_bytes())
    return found.hexdigest()
