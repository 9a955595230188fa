"""From raw files of short texts to a Corpus: three frozen splits, a hash, and what each rule removed.

    sources ──read──▶ records ──clean (named, counted rules)──▶ ──split by title group──▶ Corpus

This file is the contract and `prepare`, the one function that a notebook calls. Each arrow is a sibling:
`read.read`, `clean.apply` and `split.split` can be called alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from arasuji.errors import CorpusError, OptionError
from arasuji.files import MANIFEST, disk_errors, new_folder, open_folder, seal

__all__ = ["MINIMUM_DOCUMENTS", "SPLITS", "Corpus", "Record", "RuleCount", "prepare"]

SPLITS = ("train", "validation", "test")
MINIMUM_DOCUMENTS = 20  # fewer cannot fill three splits with anything worth measuring
KIND = "arasuji corpus"  # what a corpus folder's manifest says it is


@dataclass(frozen=True, slots=True)
class Record:
    """One text. `metadata` holds title (str), genres (list[str]), year (int) and type (str) where known."""

    id: str
    text: str
    group: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Corpus:
    """Three splits in a canonical order, so that an equal `hash` means equal documents in an equal order."""

    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    test: tuple[Record, ...]
    hash: str
    rules: tuple[RuleCount, ...]
    seed: int
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Record, ...]:
        """The records of "train", "validation" or "test". Raises OptionError for another name."""
        if name not in SPLITS:
            raise OptionError(f"no split {name!r}: known: {', '.join(SPLITS)}")
        records: tuple[Record, ...] = getattr(self, name)
        return records

    def save(self, folder: Path) -> None:
        """Write train.jsonl, validation.jsonl, test.jsonl and manifest.json, all or nothing.

        Raises CorpusError where `folder` holds anything but a corpus, StorageError where the disk refuses.
        """
        with disk_errors(folder):
            _check_replaceable(folder)
        with new_folder(folder.resolve()) as fresh:
            for name in SPLITS:
                lines = (json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in self.split(name))
                (fresh / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8", newline="")
            facts = {
                "kind": KIND,
                "hash": self.hash,
                "seed": self.seed,
                "documents": {name: len(self.split(name)) for name in SPLITS},
                "rules": [asdict(count) for count in self.rules],
                "notes": self.notes,
            }
            seal(fresh, facts)

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Open what `save` wrote. Raises CorpusError where it is missing, damaged, or not a corpus."""
        opened = open_folder(folder.resolve())
        if opened is None:
            raise CorpusError(_why_unreadable(folder))
        found, manifest = opened
        if manifest.get("kind") != KIND:
            raise CorpusError(_why_unreadable(folder))
        try:
            splits = {name: _read_split(found / f"{name}.jsonl") for name in SPLITS}
            rules = tuple(RuleCount(**{**count, "example": _pair(count["example"])}) for count in manifest["rules"])
            return cls(
                **splits,
                hash=manifest["hash"],
                rules=rules,
                seed=manifest["seed"],
                notes=tuple(manifest["notes"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{folder} was written by another version of arasuji: make it again with `arasuji prepare`"
            raise CorpusError(message) from error


def prepare(
    sources: Sequence[Path],
    rules: str = "default",
    seed: int = 0,
    text_column: str | None = None,
    title_column: str | None = None,
    genre_column: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Corpus:
    """Read, clean and split.

    `rules` is "default", "article", "article-lstm" or the path of a TOML file; `progress` gets a line a step.
    Raises SourceError (a file), OptionError (a rule or a column option) and CorpusError (too little is left).
    """
    from arasuji.corpus.clean import apply, load_rules
    from arasuji.corpus.digest import corpus_hash
    from arasuji.corpus.read import read
    from arasuji.corpus.split import canonical, split

    tell = progress or (lambda line: None)
    ruleset = load_rules(rules)
    records: list[Record] = []
    for source in sources:
        found = read(Path(source), text_column, title_column, genre_column)
        tell(f"{source}: {len(found):,} documents")
        records += found
    kept, counts = apply(records, ruleset, tell)
    if len(kept) < MINIMUM_DOCUMENTS:
        raise CorpusError(_too_few(len(records), len(kept), counts))
    splits, notes = split(canonical(kept), seed)
    return Corpus(**splits, hash=corpus_hash(splits, ruleset, seed), rules=tuple(counts), seed=seed, notes=tuple(notes))


def _too_few(read: int, kept: int, counts: Sequence[RuleCount]) -> str:
    message = f"{kept} of {read} documents are left, and a corpus needs at least {MINIMUM_DOCUMENTS}"
    worst = max(counts, key=lambda count: count.removed)
    return message + (f"; rule {worst.rule!r} removed {worst.removed} of them" if worst.removed else "")


def _check_replaceable(folder: Path) -> None:
    """Refuse to put a corpus where something else stands: the folder's contents would be lost."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    ours = {MANIFEST, *(f"{name}.jsonl" for name in SPLITS)}
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - ours or not _is_corpus(folder):
        raise CorpusError(f"{folder} exists and is not a corpus: it is left alone; choose another place")


def _is_corpus(folder: Path) -> bool:
    """Whether the manifest says so, be the rest damaged or not."""
    try:
        return bool(json.loads((folder / MANIFEST).read_text("utf-8"))["kind"] == KIND)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _why_unreadable(folder: Path) -> str:
    if not folder.exists():
        return f"no corpus at {folder}: make one with `arasuji prepare SOURCE --out {folder}`"
    if _is_corpus(folder):
        return f"the corpus {folder} is damaged: make it again with `arasuji prepare SOURCE --out {folder}`"
    return f"{folder} is not a corpus: make one with `arasuji prepare SOURCE --out DIR`"


def _read_split(path: Path) -> tuple[Record, ...]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return tuple(Record(**json.loads(line)) for line in file)


def _pair(example: list[str] | None) -> tuple[str, str] | None:
    return (example[0], example[1]) if example else None
