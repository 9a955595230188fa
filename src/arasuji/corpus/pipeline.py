"""The way from sources to a corpus folder: read, clean, split, write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arasuji import arguments
from arasuji.corpus.folder import (
    EXAMPLES,
    INDEX,
    KIND,
    SPLITS,
    SUFFIXES,
    Corpus,
    RuleCount,
    is_corpus,
    write_examples,
)
from arasuji.corpus.record import Progress, Record, Records
from arasuji.errors import CorpusError, OptionError
from arasuji.files import disk_errors, new_file
from arasuji.folders import MANIFEST, new_folder, seal

if TYPE_CHECKING:
    import numpy as np

    from arasuji.corpus.clean import RuleSet
    from arasuji.corpus.split import Split

MINIMUM_DOCUMENTS = 20
"""A corpus holds at least this many documents: fewer cannot fill three splits with anything worth measuring."""


def prepare(
    sources: Sequence[Path | str] | Path | str,
    out: Path | str,
    rules: str = "default",
    seed: int = 0,
    explain: Path | str | None = None,
    progress: Progress = lambda what, done, total: None,
    **reading: Any,
) -> Corpus:
    """Read, clean and split into the folder `out`: train.jsonl, validation.jsonl, test.jsonl, examples.jsonl (of what
    each rule did) and manifest.json, all or nothing. Records stream through; in memory are only sums, signatures and
    the names of groups.

    `rules` is "default", "article", "article-lstm" or the path of a TOML file; `explain` is a JSONL file to write with
    every removed text and the rule that removed it; `reading` are the fields of `Reading`: text_column, title_column,
    genre_column, keep (columns that travel in the metadata), delimiter, encoding, text_layout (lines, blocks or
    markers, of a .txt file), no_header, skip_bad_rows, largest (megabytes of a line or row). What was decided about the
    files stands in the corpus's notes.
    Raises SourceError (a file), OptionError (a rule or an option of reading), CorpusError (too little is left, or `out`
    holds anything but a corpus) and StorageError (the disk refuses).
    """
    from arasuji.corpus.clean import Cleaning, load_rules
    from arasuji.corpus.near import clusters
    from arasuji.corpus.read import read_all
    from arasuji.corpus.source import Reading

    paths = [Path(source) for source in arguments.names(sources)]
    out, explain = arguments.path(out).resolve(), arguments.path(explain).resolve() if explain else None
    ruleset = load_rules(rules)
    notes: list[str] = []
    records = read_all(paths, Reading(**reading), notes.append, progress)
    with disk_errors(out):
        check_outputs(paths, out, explain)
    with new_folder(out) as fresh, _explanation(explain) as removed, disk_errors(out):
        work = fresh / "work"
        work.mkdir()
        cleaning = Cleaning(records, ruleset, work, removed, progress)
        with Records.write(work / "kept.jsonl", cleaning) as kept:
            total = len(kept)
            kept.watch = lambda done: progress("splitting", done, total)
            check_enough(cleaning.counts)
            near = None if ruleset.leaves_no_near_duplicates else clusters(kept)
            parts = write_splits(fresh, kept, near, seed)
        shutil.rmtree(work)
        seal_corpus(fresh, parts, cleaning.counts, ruleset, seed, notes, paths, reading)
    return Corpus.load(out)


def check_enough(counts: Sequence[RuleCount]) -> None:
    """Raise CorpusError where the rules have left too few documents."""
    if counts[-1].left < MINIMUM_DOCUMENTS:
        raise CorpusError(_too_few(counts, counts[-1].left))


def write_splits(folder: Path, kept: Sequence[Record], clusters: np.ndarray | None, seed: int) -> Split:
    """Split records and write the splits; `clusters` are those of near-duplicates, (N,), None where there are none."""
    from arasuji.corpus.split import split

    parts = split(kept, range(len(kept)) if clusters is None else clusters.tolist(), seed)
    for name, places in parts.places.items():
        grouped = (replace(kept[place], group=parts.groups[place]) for place in places)
        Records.write(folder / f"{name}.jsonl", grouped).close()
    return parts


def seal_corpus(
    folder: Path,
    parts: Split,
    counts: Sequence[RuleCount],
    ruleset: RuleSet,
    seed: int,
    notes: Sequence[str],
    sources: Sequence[Path],
    reading: Mapping[str, Any],
) -> None:
    """Write the examples and the manifest of a corpus beside its splits: from now on the folder counts as whole."""
    from arasuji.corpus.digest import corpus_hash

    write_examples(folder / EXAMPLES, counts)
    facts = {
        "kind": KIND,
        "hash": corpus_hash(folder, ruleset, seed),
        "seed": seed,
        "documents": {name: len(places) for name, places in parts.places.items()},
        "rules": [count.row() for count in counts],
        "notes": [*notes, *parts.notes],
        "sources": [_written(path.resolve()) for path in sources],
        "reading": {name: value for name, value in reading.items() if value},
    }
    seal(folder, facts)


def _written(path: Path) -> str:
    """A path as JSON can hold it: a name may hold bytes that are no letters."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _explanation(path: Path | None) -> Iterator[Callable[[str, Record], None]]:
    """What to call for each removed record; the file takes its place only when all went well."""
    if path is None:
        yield lambda rule, record: None
        return
    with new_file(path, follow=True) as file:

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


def check_outputs(sources: Sequence[Path], out: Path, explain: Path | None = None) -> None:
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
    ours = {MANIFEST, EXAMPLES, INDEX, SUFFIXES, *(f"{name}.jsonl" for name in SPLITS)}
    unfinished = (f".{INDEX}.", f".{SUFFIXES}.")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    others = {name for name in found - ours if not name.startswith(unfinished)}
    if not folder.is_dir() or others or not is_corpus(folder):
        raise CorpusError(f"{folder} exists and is not a corpus: it is left alone; choose another place")
