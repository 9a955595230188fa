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
            if b"\n" in left or (other and _is_json(left)):  # what a kill leaves is the beginning of an object
                raise OptionError(f"{self.path}, line {count + 1} {other}: choose another --out, or do not --resume")
            file.truncate(whole)
        return count

    def add(self, sample: dict[str, Any]) -> None:
        from arasuji.files import disk_errors

        if self.path.suffix == ".txt":
            line = sample["text"] + "\n\n"
        else:
            line = json_.dumps(sample | self.of, ensure_ascii=False) + "\n"
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                before, content = self.path.stat().st_size, line.encode()
                try:
                    while content:
                        content = content[file.write(content) :]
                except OSError:  # the disk is full: an incomplete line is deleted
                    file.truncate(before)
                    raise


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
