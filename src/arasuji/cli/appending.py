"""Appends texts to a file while they are written, and goes on where such a file ends."""

from __future__ import annotations

import hashlib
import json as json_
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arasuji.cli.place import check_place
from arasuji.errors import OptionError

if TYPE_CHECKING:
    from arasuji.config import SamplingConfig
    from arasuji.corpus import Corpus

LONGEST = 2**26
"""A line is read up to this number of bytes, which no text has, so that one without an end does not fill the memory."""


def check_resume(out: Path | None) -> None:
    if out is None or out.suffix != ".jsonl":
        raise OptionError(
            "--resume needs a file that names the model and the settings of each text: use --out FILE.jsonl"
        )


class Writer:
    """Appends each finished sample to a file: texts with a blank line between them, or one JSON object on each line."""

    def __init__(self, path: Path) -> None:
        if path.suffix not in {".txt", ".jsonl"}:
            raise OptionError(f"--out takes a name ending in .txt or .jsonl, not {path.name!r}")
        check_place(path)
        self.path = path
        self.of: dict[str, Any] = {}
        """The model and the settings of all texts (see `origin`)."""

    def written(self, asked: list[tuple[str, dict[str, Any]]], n: int, seed: int) -> int:
        """The number of samples of this call in the file. What a kill or a loss of power has left of the next one is
        deleted, with all that stands behind it.

        Raises OptionError where the file has anything else, which is left alone.
        """
        from arasuji.files import disk_errors

        if not self.path.exists():
            return 0
        count, whole = 0, 0
        with disk_errors(self.path), self.path.open("rb+") as file:
            while line := file.readline(LONGEST):
                if count == n * len(asked):
                    raise self._refusal(count, "is of another call")
                prompt, fields = asked[count // n]
                other = _difference(line, {"prompt": prompt, "fields": fields, "seed": seed + count, **self.of})
                if other and not _is_cut(line, prompt):
                    raise self._refusal(count, other)
                if other or not line.endswith(b"\n"):
                    break
                count, whole = count + 1, whole + len(line)
            file.truncate(whole)
        return count

    def _refusal(self, count: int, other: str) -> OptionError:
        wrong = f"{self.path}, line {count + 1} {other}"
        return OptionError(f"{wrong}: choose another --out, or do not --resume")

    def add(self, sample: dict[str, Any]) -> None:
        """Append a sample. A line that something else has left incomplete is ended first."""
        from arasuji.files import disk_errors, make_folder

        if self.path.suffix == ".txt":
            line = sample["text"] + "\n\n"
        else:
            line = json_.dumps(sample | self.of, ensure_ascii=False) + "\n"
        with disk_errors(self.path):
            make_folder(self.path.parent)
            with self.path.open("ab+", buffering=0) as file:
                before, content = file.seek(0, os.SEEK_END), line.encode()
                if before:
                    file.seek(before - 1)
                    content = content if file.read(1) == b"\n" else b"\n" + content
                try:
                    while content:
                        content = content[file.write(content) :]
                except BaseException:  # the disk is full, or a signal: an incomplete line is deleted
                    file.truncate(before)
                    raise

    def finish(self) -> None:
        """Wait until all samples are on the disk."""
        from arasuji.files import sync, sync_errors, sync_names

        if self.path.exists():
            with sync_errors(self.path):
                sync(self.path)
                sync_names(self.path.parent)


def _difference(line: bytes, wanted: dict[str, Any]) -> str:
    """What a line has that is not as it is wanted; "" where there is nothing."""
    from arasuji.files import parse_json

    try:
        entry = parse_json(line)
        return next((f"has another {key!r}" for key, value in wanted.items() if entry[key] != value), "")
    except (ValueError, KeyError, TypeError):
        return "is of another call"


def _is_cut(line: bytes, prompt: str) -> bool:
    """Whether a line is what is left of that of a text: its beginning, where a kill came; after a loss of power there
    may be zeros in place of the rest, or of all of it, with later lines behind them."""
    from arasuji.files import parse_json

    begun, zero, _ = line.partition(b"\0")
    if line.endswith(b"\n") and not zero:
        return False
    if line[len(begun) :][:4].strip(b"\0"):  # UTF-16 and UTF-32 have zeros, too, and fewer in a row
        return False
    with suppress(ValueError):
        parse_json(begun)
        return False  # a whole line
    known = json_.dumps({"prompt": prompt, "completion": ""}, ensure_ascii=False)[: -len('"}')].encode()
    return known.startswith(begun) or begun.startswith(known)


def origin(trained: Any, sampling: SamplingConfig, corpus: Corpus | None) -> dict[str, Any]:
    """What a text depends on besides its prompt and seed. It is written with the text, and compared by --resume."""
    from arasuji.runs import marks_of

    precision = str(trained.precision).removeprefix("torch.")
    weights = hashlib.sha256(json_.dumps(marks_of(trained), sort_keys=True).encode()).hexdigest()[:16]
    shots = {"corpus": corpus.hash, "ids": [record.id for record in trained.shots.records]} if corpus else {}
    settings = sampling.model_dump()
    return {
        "model": trained.name,
        "weights": weights,
        "precision": precision,
        "settings": settings,
        "shots": shots,
    }
