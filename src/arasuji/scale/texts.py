"""Steps that look at one text at a time: read a share of the sources, apply rules, keep what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from arasuji.corpus.clean import Cleaning, RuleSet, load_rules
from arasuji.corpus.folder import EXAMPLES, RuleCount, write_examples
from arasuji.corpus.read import read
from arasuji.corpus.record import Record, Records
from arasuji.corpus.registry import RULES, load_plugins
from arasuji.corpus.source import Reading
from arasuji.errors import OptionError
from arasuji.scale.parts import TEXTS, Stage

COMPARING = ("duplicates", "near-duplicates")
"""The rules for which texts of different tasks are compared."""


def _record(document: Document) -> Record:
    return Record(id=str(document.id), text=document.text, metadata=document.metadata)


def _document(record: Record) -> Document:
    return Document(text=record.text, id=record.id, metadata=record.metadata)


class ReadTexts(PipelineStep):
    """Gives the texts of this task's share of files and folders, read as `prepare` reads them.

    With as many sources as tasks or more, a task has whole sources. With fewer, several tasks share one: each reads all
    of it, which is quick beside cleaning, and takes the rows of its share.
    """

    type, name = "📖 - READER", "arasuji: texts"

    def __init__(self, sources: Sequence[Path], reading: Reading) -> None:
        super().__init__()
        self.sources, self.reading = sources, reading
        self.notes: list[str] = []
        """What was decided about the files."""

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """The texts in the order of their files."""
        self.notes.clear()
        for path, share, shares in shares_of(self.sources, rank, world_size):
            yield from map(_document, self._read(path, share, shares))

    def _read(self, path: Path, share: int, shares: int) -> Iterator[Record]:
        if shares == 1:
            return read(path, self.reading, self.notes.append)
        size = sum(1 for _ in read(path, self.reading))
        first, last = size * share // shares, size * (share + 1) // shares
        if last < size:
            return islice(read(path, self.reading), first, last)
        return islice(read(path, self.reading, self.notes.append), first, None)  # one task tells what all have seen


def shares_of(sources: Sequence[Path], rank: int, tasks: int) -> Iterator[tuple[Path, int, int]]:
    """The sources of a task, with which part it reads of how many. Tasks follow the order of the sources.

    >>> list(shares_of([Path("a"), Path("b")], 2, 4))
    [(PosixPath('b'), 0, 2)]
    """
    count = len(sources)
    if count >= tasks:
        for path in sources[count * rank // tasks : count * (rank + 1) // tasks]:
            yield path, 0, 1
        return
    place = count * rank // tasks
    sharing = [task for task in range(tasks) if count * task // tasks == place]
    yield sources[place], rank - sharing[0], len(sharing)


class ReadPart(PipelineStep):
    """Gives the texts that the same task has left in an earlier stage."""

    type, name = "📖 - READER", "arasuji: texts of an earlier stage"

    def __init__(self, texts: Stage) -> None:
        super().__init__()
        self.texts = texts

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """The texts in their order."""
        with self.texts.part(rank).texts() as records:
            yield from map(_document, records)


class Rules(PipelineStep):
    """The rules of a rule set that look at one text at a time, as a filter for any pipeline of datatrove.

    `rules` is a rule set, its name, or the path of its TOML file. Of a document, rules see its text and, in its
    metadata, title (str) and genres (list[str]). `stays` says for a task which of its texts stay by the first rule,
    which has compared texts.
    Raises OptionError for an unknown rule, and for another one that compares texts.
    """

    type, name = "🔻 - FILTER", "arasuji: rules"

    def __init__(self, rules: str | RuleSet, stays: Callable[[int], np.ndarray] | None = None) -> None:
        super().__init__()
        self.ruleset = rules if isinstance(rules, RuleSet) else load_rules(rules)
        self.stays = stays
        self.counts: tuple[RuleCount, ...] = ()
        """What each rule did to the texts of this task, when all have passed."""
        for step in self.ruleset.steps[1 if stays else 0 :]:
            if step.rule in COMPARING or RULES[step.rule].compares:
                raise OptionError(
                    f"rule {step.rule!r} compares all texts, which no task sees: `pipeline` does this for "
                    f"{' and '.join(COMPARING)}, and `arasuji prepare`, on one machine, for any rule"
                )

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """The documents that the rules leave, with their texts as the rules leave them."""
        load_plugins()
        stays = self.stays(rank).tolist() if self.stays else None
        nowhere = Path()  # none of these rules needs a folder
        cleaning = Cleaning(map(_record, data), self.ruleset, nowhere, stays=stays)
        yield from map(_document, cleaning.left)
        self.counts = cleaning.counts
        for count in self.counts[1:]:
            self.stat_update(f"removed by {count.rule}", value=count.removed)


class KeepTexts(PipelineStep):
    """Writes the texts that the rules have left, what the rules did, and what the next stage compares (`mark`)."""

    type, name = "💽 - WRITER", "arasuji: texts that are left"

    def __init__(
        self, stage: Stage, reads: PipelineStep, rules: Rules, mark: Callable[[Records, Path], None] | None
    ) -> None:
        super().__init__()
        self.stage, self.reads, self.rules, self.mark = stage, reads, rules, mark

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> None:
        """Write the part of this task."""
        facts: dict[str, Any] = {}
        with self.stage.new_part(rank, facts) as part:
            with Records.write(part / TEXTS, map(_record, data)) as kept:
                np.save(part / "starts.npy", np.array(kept.starts))
                if self.mark:
                    self.mark(kept, part)
            write_examples(part / EXAMPLES, self.rules.counts)
            facts["rules"] = [count.row() for count in self.rules.counts]
            facts["notes"] = list(getattr(self.reads, "notes", []))  # another reader has none
