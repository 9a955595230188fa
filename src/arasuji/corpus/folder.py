"""A corpus folder: what lies in it, what its manifest says, and how it is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arasuji import arguments
from arasuji.corpus.record import Records
from arasuji.errors import CorpusError, OptionError
from arasuji.files import read_json
from arasuji.folders import MANIFEST, open_folder

SPLITS = ("train", "validation", "test")
"""The parts of a corpus; each is one JSONL file of its folder."""
INDEX = "index"
"""The folder, inside a corpus, that keeps the training split as numbers, made when it is first needed."""
SUFFIXES = "suffixes"
"""The folder that keeps the order of all suffixes of the training split, once somebody has asked what is copied."""
KIND = "arasuji corpus"
"""The manifest of a corpus folder says that it is of this kind."""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule did: documents removed, changed, and left after it.

    `example` is one text before and after, each clipped around the change; after a removal it ends in "".
    """

    rule: str
    removed: int
    changed: int
    left: int
    example: tuple[str, str] | None

    def counts(self) -> dict[str, Any]:
        """All fields except the example."""
        return {"rule": self.rule, "removed": self.removed, "changed": self.changed, "left": self.left}


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus folder, opened: three splits in a canonical order, so that an equal `hash` means equal documents in an
    equal order. Their records are read from the disk as they are asked for."""

    train: Records
    validation: Records
    test: Records
    hash: str
    rules: tuple[RuleCount, ...]
    seed: int
    notes: tuple[str, ...] = ()
    folder: Path | None = field(default=None, compare=False)
    """Where it was opened."""

    def split(self, name: str) -> Records:
        """The records of "train", "validation" or "test". Raises OptionError for another name."""
        if name not in SPLITS:
            raise OptionError(f"no split {name!r}: known: {', '.join(SPLITS)}")
        records: Records = getattr(self, name)
        return records

    @classmethod
    def load(cls, folder: Path | str) -> Corpus:
        """Open what `prepare` wrote. Raises CorpusError where it is missing, damaged, or not a corpus."""
        folder = arguments.path(folder)
        opened = open_folder(folder.resolve(), *(f"{name}.jsonl" for name in SPLITS))
        if opened is None:
            raise CorpusError(_why_unreadable(folder))
        found, manifest = opened
        if manifest.get("kind") != KIND:
            raise CorpusError(_why_unreadable(folder))
        try:
            splits = {name: Records(found / f"{name}.jsonl") for name in SPLITS}
            for records in splits.values():
                records[0]  # what cannot be read is found here, not in the middle of a training
            rules = tuple(RuleCount(**{**count, "example": _pair(count["example"])}) for count in manifest["rules"])
            return cls(
                **splits,
                hash=str(manifest["hash"]),
                rules=rules,
                seed=manifest["seed"],
                notes=tuple(map(str, manifest["notes"])),
                folder=folder.resolve(),
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            message = f"{folder} was written by another version of arasuji: make it again with `arasuji prepare`"
            raise CorpusError(message) from error


def is_corpus(folder: Path) -> bool:
    """Whether the manifest says so, be the rest damaged or not."""
    try:
        return bool(read_json(folder / MANIFEST)["kind"] == KIND)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _why_unreadable(folder: Path) -> str:
    if not folder.exists():
        return f"no corpus at {folder}: make one with `arasuji prepare SOURCE --out {folder}`"
    if is_corpus(folder):
        return f"the corpus {folder} is damaged: make it again with `arasuji prepare SOURCE --out {folder}`"
    return f"{folder} is not a corpus: make one with `arasuji prepare SOURCE --out DIR`"


def _pair(example: list[str] | None) -> tuple[str, str] | None:
    return (example[0], example[1]) if example else None
