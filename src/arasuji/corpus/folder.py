"""A corpus folder: what lies in it, what its manifest says, and how it is opened."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from arasuji import arguments, notebook
from arasuji.corpus.examples import Example
from arasuji.corpus.record import Records
from arasuji.errors import CorpusError, OptionError, first_line
from arasuji.files import parse_json, read_bytes, read_json
from arasuji.folders import MANIFEST, open_folder, unchanged
from arasuji.speech import shortened

SPLITS = ("train", "validation", "test")
"""The parts of a corpus; each is one JSONL file of its folder."""
INDEX = "index"
"""The folder, inside a corpus, that keeps the training split as numbers, made when it is first needed."""
SUFFIXES = "suffixes"
"""The folder that keeps the order of all suffixes of the training split, once somebody has asked what is copied."""
EXAMPLES = "examples.jsonl"
"""The file of texts that the rules removed or changed, a few of each rule."""
EXAMPLES_BYTES = 2**24
"""This file may be so large: a rule set of hundreds of rules writes less."""
SHOWN, LEAD = 160, 60
"""The one example of a rule that the terminal shows has at most this many characters, so many before the change."""
RULES_SHOWN, CHARACTERS_SHOWN = 8, 300
"""A notebook shows at most this many rules, and of a text this many characters."""
KIND = "arasuji corpus"
"""The manifest of a corpus folder says that it is of this kind."""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule did: documents removed, changed, and left after it."""

    rule: str
    """The rule's label: its name, and its parameters where it stands several times in the rule set."""
    removed: int
    changed: int
    left: int
    examples: tuple[Example, ...] = ()
    """Some of the texts that it touched."""
    table: dict[str, Any] | None = None
    """The rule as its rule set has it: {"name": its name, and each parameter}. None where that is not known (a corpus
    of an earlier version), and for "all", which counts the documents that came in."""

    @property
    def example(self) -> tuple[str, str] | None:
        """One text before and after, each clipped around the change; after a removal it ends in ""."""
        changed = (example for example in self.examples if example.after is not None)
        for example in (*changed, *self.examples):
            short = example.clipped(SHOWN, LEAD)
            return short.before, short.after or ""
        return None

    def counts(self) -> dict[str, Any]:
        """The label and the numbers."""
        return {"rule": self.rule, "removed": self.removed, "changed": self.changed, "left": self.left}

    def row(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {**self.counts(), "table": self.table}


def _sum(value: Any) -> str:
    """A SHA-256 in hexadecimal digits. Raises TypeError and ValueError for anything else."""
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is no sum")
    return str(value)


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
    sources: tuple[str, ...] = field(default=(), compare=False)
    """The full paths of the files and folders that it was made of; none where an earlier version made it."""
    reading: dict[str, Any] = field(default_factory=dict, compare=False)
    """The options with which these were read (see `Reading`), without those that were left as they are."""
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
        return unchanged(folder, lambda: cls._load(folder))

    @classmethod
    def _load(cls, folder: Path) -> Corpus:
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
            return cls(
                **splits,
                hash=_sum(manifest["hash"]),
                rules=read_counts(found, manifest),
                seed=manifest["seed"],
                notes=tuple(map(str, manifest["notes"])),
                sources=tuple(map(str, manifest.get("sources", ()))),
                reading=dict(manifest.get("reading", {})),
                folder=folder.resolve(),
            )
        except OSError as error:
            raise CorpusError(f"the corpus {folder} cannot be read: {error.strerror or first_line(error)}") from error
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            message = f"{folder} was written by another version of arasuji: make it again with `arasuji prepare`"
            raise CorpusError(message) from error

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.split(name)):,} {name}" for name in SPLITS)
        return f"<corpus of {sizes} texts; hash {self.hash[:12]}>"

    def _repr_html_(self) -> str:
        """The splits, what the rules did, and the beginnings of two texts."""
        acted = [rule for rule in self.rules if rule.removed or rule.changed][:RULES_SHOWN]
        rows = [[rule.rule, rule.removed, rule.changed, rule.left] for rule in [*self.rules[:1], *acted]]
        try:
            texts = [record.text for record in self.train[:2]]
        except (CorpusError, OSError, ValueError):  # the file was cut short or closed
            texts = []
        return notebook.block(
            notebook.paragraph(repr(self).strip("<>")),
            notebook.table(["rule", "removed", "changed", "left"], rows),
            *(notebook.passage(shortened(text, CHARACTERS_SHOWN)) for text in texts),
        )


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


def write_examples(path: Path, rules: Sequence[RuleCount]) -> None:
    """A line of JSON for each example of each rule: {"step", "rule", "before", "after", "mark"}."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for step, count in enumerate(rules):
            for example in count.examples:
                row = {"step": step, "rule": count.rule, **asdict(example)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_counts(folder: Path, manifest: dict[str, Any]) -> tuple[RuleCount, ...]:
    """What each rule did, from the manifest of a folder and its file of examples."""
    examples = _read_examples(folder / EXAMPLES) if EXAMPLES in manifest["files"] else {}
    return tuple(_rule_count(step, count, examples) for step, count in enumerate(manifest["rules"]))


def _read_examples(path: Path) -> dict[int, list[Example]]:
    """The examples of each step."""
    found: dict[int, list[Example]] = {}
    for line in read_bytes(path, EXAMPLES_BYTES).splitlines():
        row = parse_json(line)
        before, after, mark = row["before"], row["after"], row["mark"]
        if not isinstance(before, str) or not isinstance(after, str | None):
            raise TypeError("an example is a text before and after")
        span = (int(mark[0]), int(mark[1])) if mark else None
        found.setdefault(row["step"], []).append(Example(before, after, span))
    return found


def _rule_count(step: int, row: dict[str, Any], examples: dict[int, list[Example]]) -> RuleCount:
    own = examples.get(step, [])
    if row.get("example"):  # of an earlier version, which kept one in the manifest
        before, after = row["example"]
        own = [Example(before, after or None)]
    table = row.get("table")
    removed, changed, left = (int(row[name]) for name in ("removed", "changed", "left"))
    return RuleCount(str(row["rule"]), removed, changed, left, tuple(own), None if table is None else dict(table))
