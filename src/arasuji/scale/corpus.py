"""The last step: the counts of all tasks are added up and checked, and the texts become a corpus, as by `prepare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from arasuji.corpus.clean import RuleSet, check_left
from arasuji.corpus.examples import MOST
from arasuji.corpus.folder import RuleCount
from arasuji.corpus.pipeline import check_enough, seal_corpus, write_splits
from arasuji.corpus.source import Reading
from arasuji.errors import CorpusError
from arasuji.files import disk_errors
from arasuji.folders import new_folder
from arasuji.scale.parts import AllTexts, Part, Stage


class WriteCorpus(PipelineStep):
    """Splits the texts that are left and writes the corpus folder: one task.

    `stages` are those that have applied rules, in order; `clusters` is the one that has found the clusters of
    near-duplicates among the texts that are left, None where there are none.
    """

    type, name = "💽 - WRITER", "arasuji: corpus"

    def __init__(
        self,
        out: Path,
        stages: Sequence[Stage],
        clusters: Stage | None,
        ruleset: RuleSet,
        seed: int,
        sources: Sequence[Path],
        reading: Reading,
    ) -> None:
        super().__init__()
        self.out, self.stages, self.clusters = out, stages, clusters
        self.ruleset, self.seed, self.sources, self.reading = ruleset, seed, sources, reading

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Write the corpus. Raises CorpusError where a task's texts do not add up, or where too few are left."""
        stages = [stage.parts() for stage in self.stages]
        counts = _added_up(stages)
        check_left(self.ruleset.steps, counts)
        check_enough(counts)
        near = self.clusters.part(0).array("clusters") if self.clusters else None
        notes = [note for part in stages[0] for note in part.manifest["notes"]]
        with new_folder(self.out) as fresh, disk_errors(self.out):
            splits = write_splits(fresh, AllTexts(stages[-1]), near, self.seed)
            reading = asdict(self.reading)
            seal_corpus(fresh, splits, counts, self.ruleset, self.seed, notes, self.sources, reading)


def _added_up(stages: Sequence[Sequence[Part]]) -> list[RuleCount]:
    """What each rule did in all tasks together; the first row, "all", counts the texts that came in.

    Raises CorpusError where in one task the texts that came are not those that were removed and those that are left.
    """
    total: list[RuleCount] = []
    before: list[int] = []
    for parts in stages:
        tasks = [part.counts() for part in parts]
        for rank, (part, counts) in enumerate(zip(parts, tasks, strict=True)):
            came, gone, left = counts[0].left, sum(count.removed for count in counts), part.size()
            if came != gone + left or (before and came != before[rank]):
                raise CorpusError(
                    f"task {rank} of {part.folder.parent.name} has lost texts: {came:,} came, {gone:,} were removed, "
                    f"{left:,} are left: delete {part.folder} and start the same pipeline again"
                )
        before = [counts[-1].left for counts in tasks]
        summed = [_sum(list(rows)) for rows in zip(*tasks, strict=True)]
        total += summed[1:] if total else summed
    return total


def _sum(rows: Sequence[RuleCount]) -> RuleCount:
    """What one rule did in all tasks, with examples of all of them."""
    examples = [example for row in rows for example in row.examples]
    removed, changed, left = (sum(getattr(row, name) for row in rows) for name in ("removed", "changed", "left"))
    some = tuple(examples[:: -(-len(examples) // MOST) or 1])
    return replace(rows[0], removed=removed, changed=changed, left=left, examples=some)
