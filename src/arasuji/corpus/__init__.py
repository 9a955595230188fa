"""From raw files of short texts to a Corpus: three frozen splits, a hash, and what each rule removed.

    sources ──read──▶ records ──clean (named, counted rules)──▶ ──split by group──▶ Corpus

This file is the contract and `prepare`, the one function that a notebook calls. Each arrow is a sibling:
`read.read`, `clean.Cleaning` and `split.split` can be called alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from arasuji import arguments
from arasuji.corpus.record import Record, Records
from arasuji.errors import CorpusError, OptionError
from arasuji.files import MANIFEST, disk_errors, new_file, new_folder, open_folder, read_json, seal

__all__ = [
    "MINIMUM_DOCUMENTS",
    "SPLITS",
    "Corpus",
    "Progress",
    "Record",
    "Records",
    "RuleCount",
    "is_corpus",
    "prepare",
]

SPLITS = ("train", "validation", "test")
MINIMUM_DOCUMENTS = 20  # fewer cannot fill three splits with anything worth measuring
INDEX = "index"  # beside the splits, once somebody has asked what is copied from them
KIND = "arasuji corpus"  # what a corpus folder's manifest says it is

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


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
    """A corpus folder, opened: three splits in a canonical order, so that an equal `hash` means equal documents in an
    equal order. Their records are read from the disk as they are asked for."""

    train: Records
    validation: Records
    test: Records
    hash: str
    rules: tuple[RuleCount, ...]
    seed: int
    notes: tuple[str, ...] = ()

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
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            message = f"{folder} was written by another version of arasuji: make it again with `arasuji prepare`"
            raise CorpusError(message) from error


def prepare(
    sources: Sequence[Path | str] | Path | str,
    out: Path | str,
    rules: str = "default",
    seed: int = 0,
    explain: Path | str | None = None,
    progress: Progress = lambda what, done, total: None,
    **reading: Any,
) -> Corpus:
    """Read, clean and split into the folder `out`: train.jsonl, validation.jsonl, test.jsonl and manifest.json, all or
    nothing. Records stream through; in memory are only sums, signatures and the names of groups.

    `rules` is "default", "article", "article-lstm" or the path of a TOML file; `explain` is a JSONL file to write with
    every removed text and the rule that removed it; `reading` are the fields of `Reading`: text_column, title_column,
    genre_column, keep (columns that travel in the metadata), delimiter, encoding, text_layout (lines,
    blocks or markers, of a .txt file), no_header, skip_bad_rows. What was
    decided about the files stands in the corpus's notes.
    Raises SourceError (a file), OptionError (a rule or an option of reading), CorpusError (too little is left, or `out`
    holds anything but a corpus) and StorageError (the disk refuses).
    """
    from arasuji.corpus.clean import Cleaning, load_rules
    from arasuji.corpus.digest import corpus_hash
    from arasuji.corpus.near import clusters
    from arasuji.corpus.read import read_all
    from arasuji.corpus.source import Reading
    from arasuji.corpus.split import split

    paths = [Path(source) for source in arguments.names(sources)]
    out, explain = arguments.path(out).resolve(), arguments.path(explain).resolve() if explain else None
    ruleset = load_rules(rules)
    notes: list[str] = []
    records = read_all(paths, Reading(**reading), notes.append, progress)
    with disk_errors(out):
        _check_outputs(paths, out, explain)
    with new_folder(out) as fresh, _explanation(explain) as removed, disk_errors(out):
        work = fresh / "work"
        work.mkdir()
        cleaning = Cleaning(records, ruleset, work, removed, progress)
        with Records.write(work / "kept.jsonl", cleaning) as kept:
            kept.watch = partial(_tell_split, progress, len(kept))
            if len(kept) < MINIMUM_DOCUMENTS:
                raise CorpusError(_too_few(cleaning.counts, len(kept)))
            alone = ruleset.leaves_no_near_duplicates
            parts = split(kept, range(len(kept)) if alone else clusters(kept).tolist(), seed)
            for name, places in parts.places.items():
                grouped = (replace(kept[place], group=parts.groups[place]) for place in places)
                Records.write(fresh / f"{name}.jsonl", grouped).close()
        shutil.rmtree(work)
        facts = {
            "kind": KIND,
            "hash": corpus_hash(fresh, ruleset, seed),
            "seed": seed,
            "documents": {name: len(places) for name, places in parts.places.items()},
            "rules": [asdict(count) for count in cleaning.counts],
            "notes": notes + parts.notes,
        }
        seal(fresh, facts)
    return Corpus.load(out)


def _tell_split(progress: Progress, size: int, done: int) -> None:
    progress("splitting", done, size)


@contextmanager
def _explanation(path: Path | None) -> Iterator[Callable[[str, Record], None]]:
    """What to call for each removed record; the file takes its place only when all went well."""
    if path is None:
        yield lambda rule, record: None
        return
    with new_file(path) as file:

        def removed(rule: str, record: Record) -> None:
            title = record.metadata.get("title", "")
            row = {"rule": rule, "id": record.id, "title": title, "text": record.text}
            with disk_errors(path):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

        yield removed


def _too_few(counts: Sequence[RuleCount], kept: int) -> str:
    message = f"{kept} of {counts[0].left} documents are left, and a corpus needs at least {MINIMUM_DOCUMENTS}"
    worst = max(counts, key=lambda count: count.removed)
    return message + (f"; rule {worst.rule!r} removed {worst.removed} of them" if worst.removed else "")


def _check_outputs(sources: Sequence[Path], out: Path, explain: Path | None) -> None:
    """Refuse to write over what is read, or over anything but a corpus."""
    _check_replaceable(out)
    for source in (path.resolve() for path in sources):
        for target in (out, *([explain] if explain else [])):
            if source == target or target in source.parents:
                raise OptionError(f"{target} is, or holds, the source {source}: choose another place to write to")
    if explain and (explain == out or out in explain.parents):
        raise OptionError(f"{explain} lies inside the corpus folder, which is replaced as a whole: put it elsewhere")
    if explain and explain.is_dir():
        raise OptionError(f"{explain} is a folder: name a file for the removed texts")


def _check_replaceable(folder: Path) -> None:
    """Refuse to put a corpus where something else stands: the folder's contents would be lost."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    ours = {MANIFEST, INDEX, *(f"{name}.jsonl" for name in SPLITS)}
    found = (
        {path.name for path in folder.iterdir() if not path.name.startswith(f".{INDEX}.")} if folder.is_dir() else set()
    )
    if not folder.is_dir() or found - ours or not is_corpus(folder):
        raise CorpusError(f"{folder} exists and is not a corpus: it is left alone; choose another place")


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
