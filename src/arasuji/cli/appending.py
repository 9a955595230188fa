"""Appends texts to a file while they are written, and goes on where such a file ends."""

from __future__ import annotations

import hashlib
import json as json_
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arasuji.cli.place import check_place
from arasuji.errors import OptionError

if TYPE_CHECKING:
    from arasuji.config import SamplingConfig
    from arasuji.corpus import Corpus


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
        """The number of samples of this call in the file. An incomplete last line is deleted.

        Raises OptionError where the file has lines of another call.
        """
        from arasuji.files import disk_errors

        if not self.path.exists():
            return 0
        count, whole, other = 0, 0, ""
        with disk_errors(self.path), self.path.open("rb+") as file:
            for line in file:
                try:
                    entry = json_.loads(line)
                    prompt, fields = asked[count // n]
                    wanted = {"prompt": prompt, "fields": fields, "seed": seed + count, **self.of}
                    other = next((f"has another {key!r}" for key, value in wanted.items() if entry[key] != value), "")
                except (ValueError, KeyError, TypeError, IndexError):
                    other = "is of another call"
                if other or not line.endswith(b"\n"):
                    break
                count, whole = count + 1, whole + len(line)
            rest = file.seek(0, os.SEEK_END) - whole
            file.seek(whole)
            left = file.read(rest)
            # A kill leaves the beginning of an object, and a loss of power zeros, with whole lines behind them.
            if b"\0" not in left and (b"\n" in left or (other and _is_json(left))):
                raise OptionError(f"{self.path}, line {count + 1} {other}: choose another --out, or do not --resume")
            file.truncate(whole)
        return count

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


def _is_json(line: bytes) -> bool:
    try:
        json_.loads(line)
    except ValueError:
        return False
    return True


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
