"""Cleaning beyond one machine: the way of `prepare`, as a pipeline of datatrove (Penedo et al., "DataTrove: large scale
data processing", 2024), which runs it in processes of this machine, under Slurm, or on Ray.

Rules that look at one text at a time run in many tasks, each on its share of the sources. Where a rule compares texts,
it ends a stage: the texts of all tasks are compared, and the next stage goes on with those that are left. The last
stage, one task, writes the corpus. Every decision is that of `prepare`, so the corpus has the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from arasuji import arguments
from arasuji.corpus.clean import RuleSet, Step, load_rules
from arasuji.corpus.dedupe import check_similarity
from arasuji.corpus.folder import is_corpus
from arasuji.corpus.near import BANDS, SIMILARITY
from arasuji.corpus.pipeline import check_outputs
from arasuji.corpus.read import read
from arasuji.corpus.record import Records
from arasuji.corpus.source import Reading
from arasuji.errors import OptionError
from arasuji.files import disk_errors, read_json, write_json
from arasuji.scale.parts import Stage, stays

try:
    from datatrove.executor.base import ExecutorJSONEncoder, PipelineExecutor
    from datatrove.pipeline.base import PipelineStep

    from arasuji.scale.corpus import WriteCorpus
    from arasuji.scale.duplicates import (
        FindDuplicates,
        FindNearDuplicates,
        JoinPairs,
        save_signatures,
        save_sums,
    )
    from arasuji.scale.local import LocalExecutor
    from arasuji.scale.texts import COMPARING, KeepTexts, ReadPart, ReadTexts, Rules
except ModuleNotFoundError as error:
    raise OptionError("cleaning by many tasks needs datatrove: pip install 'arasuji[scale]'") from error

__all__ = ["LocalExecutor", "Rules", "pipeline"]

PLAN = "plan.json"
"""The file of the work folder that says which pipeline it belongs to."""


def pipeline(
    sources: Sequence[Path | str] | Path | str | PipelineStep,
    out: Path | str,
    work: Path | str,
    rules: str = "default",
    seed: int = 0,
    reading: Reading | None = None,
    tasks: int = 4,
    executor: type[PipelineExecutor] = LocalExecutor,
    **options: Any,
) -> list[PipelineExecutor]:
    """The stages that read, clean and split `sources` into the corpus folder `out`, one executor each. To run all of
    them, run the last: each depends on the one before.

    `sources`, `out`, `rules` and `seed` are those of `prepare`, and `reading` holds its options of reading; `sources`
    may also be a reader of datatrove, whose documents have their title and genres in their metadata. `work` is a folder
    for what the stages leave to each other, on a disk that all machines see; delete it when the corpus is there. After
    a failure, start the same pipeline again: what is done stays done. `options` go to each `executor`: workers (how
    many tasks run at the same time), and for Slurm partition, time and others.
    Raises OptionError for an unknown rule, a rule for which this cannot be done, and a work folder of another pipeline;
    SourceError and CorpusError as `prepare` does. Running raises CorpusError where a task was lost.
    """
    if tasks < 1:
        raise OptionError(f"tasks {tasks}: say at least 1")
    reading = reading or Reading()
    out, work = arguments.path(out).resolve(), arguments.path(work).resolve()
    ruleset = load_rules(rules)
    if isinstance(sources, PipelineStep):
        paths, reader = [], sources
    else:
        paths = [Path(source).resolve() for source in arguments.names(sources)]
        if not paths:
            raise OptionError("there are no sources: does the pattern find your files?")
        for path in paths:
            read(path, reading)  # where it is missing, or of an unknown kind, this is said now
        reader = ReadTexts(paths, reading)
    with disk_errors(out):
        check_outputs(paths, out)
    chain = _Chain(work, tasks, executor, options)
    stages, near = _cleaning(chain, reader, ruleset)
    chain.add("corpus", 1, lambda stage: [WriteCorpus(out, stages, near, ruleset, seed, paths, reading)])
    _check_plan(work, _plan(reader, paths, reading, ruleset, seed, tasks))
    chain.forget_lost(is_corpus(out))
    return chain.executors


@dataclass
class _Chain:
    """The stages so far, each of which waits for the one before."""

    work: Path
    tasks: int
    executor: type[PipelineExecutor]
    options: dict[str, Any]
    stages: list[Stage] = field(default_factory=list)
    executors: list[PipelineExecutor] = field(default_factory=list)

    def add(self, name: str, tasks: int, steps: Callable[[Stage], list[PipelineStep]]) -> Stage:
        """Add a stage. `steps` makes its steps, which write their parts to it."""
        name = f"{len(self.stages) + 1}-{name}"
        stage = Stage(self.work / name, tasks)
        before = self.executors[-1] if self.executors else None
        logs = str(self.work / "logs" / name)
        self.executors.append(
            self.executor(pipeline=steps(stage), tasks=tasks, logging_dir=logs, depends=before, **self.options)
        )
        self.stages.append(stage)
        return stage

    def forget_lost(self, is_written: bool) -> None:
        """Tasks that are said to be done, but whose parts are missing, are to be done again; and so is the last one
        where the corpus is missing."""
        for stage, executor in zip(self.stages, self.executors, strict=True):
            for rank in range(stage.tasks):
                last = stage is self.stages[-1]
                mark = f"completions/{rank:05d}"
                if not (is_written if last else stage.has_part(rank)) and executor.logging_dir.isfile(mark):
                    executor.logging_dir.rm(mark)


def _cleaning(chain: _Chain, reader: PipelineStep, ruleset: RuleSet) -> tuple[list[Stage], Stage | None]:
    """Add the stages up to the last texts that are left. Returns those that apply rules, and the one that finds the
    clusters of near-duplicates among the last texts, None where the rules have left none."""
    segments: list[list[Step]] = [[]]
    for step in ruleset.steps:
        if step.rule in COMPARING:
            segments.append([])
        segments[-1].append(step)
    stages: list[Stage] = []
    found: Stage | None = None
    apart = Step("near-duplicates", {}, "near-duplicates")  # what the split has to keep together
    comparisons = [*(segment[0] for segment in segments[1:]), None if ruleset.leaves_no_near_duplicates else apart]
    for segment, comparison in zip(segments, comparisons, strict=True):
        texts = chain.add("texts", chain.tasks, partial(_text_steps, reader, segment, stages, found, comparison))
        stages.append(texts)
        found = _compared(chain, texts, comparison) if comparison else None
    return stages, found


def _text_steps(
    reader: PipelineStep,
    segment: list[Step],
    before: Sequence[Stage],
    found: Stage | None,
    then: Step | None,
    stage: Stage,
) -> list[PipelineStep]:
    """Read texts, apply the rules of a segment, keep what is left, with what the next rule compares."""
    mark: Callable[[Records, Path], None] | None = None
    if then:
        mark = save_sums if then.rule == "duplicates" else save_signatures
    reads = ReadPart(before[-1]) if before else reader
    rules = Rules(RuleSet("", tuple(segment)), partial(stays, before[-1], found) if found else None)
    return [reads, rules, KeepTexts(stage, reads, rules, mark)]


def _compared(chain: _Chain, texts: Stage, step: Step) -> Stage:
    """Add the stages that find out which texts go by a rule that compares texts. Returns the last of them."""
    tasks = min(chain.tasks, BANDS)
    if step.rule == "duplicates":
        return chain.add("duplicates", tasks, lambda stage: [FindDuplicates(stage, texts)])
    similarity = step.parameters.get("similarity", SIMILARITY)
    check_similarity(similarity)
    pairs = chain.add("near-duplicates", tasks, lambda stage: [FindNearDuplicates(stage, texts, similarity)])
    return chain.add("clusters", 1, lambda stage: [JoinPairs(stage, texts, pairs)])


def _plan(
    reader: PipelineStep, paths: Sequence[Path], reading: Reading, ruleset: RuleSet, seed: int, tasks: int
) -> dict[str, Any]:
    """What a work folder belongs to. A source is known by its size and the time of its last change."""
    read = [file for path in paths for file in (sorted(path.glob("*.txt")) if path.is_dir() else [path])]
    files = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in read]
    described = json.dumps(files or reader, cls=ExecutorJSONEncoder)
    plan = {
        "sources": hashlib.sha256(described.encode()).hexdigest(),
        "reading": asdict(reading),
        "rules": [step.table for step in ruleset.steps],
        "seed": seed,
        "tasks": tasks,
        "version of arasuji": version("arasuji"),
    }
    return dict(json.loads(json.dumps(plan)))


def _check_plan(work: Path, plan: dict[str, Any]) -> None:
    """Raise OptionError where a folder holds anything but the work of this pipeline; an empty one is made its own."""
    if not work.exists() or not any(work.iterdir()):
        write_json(work / PLAN, plan)
        return
    try:
        found = read_json(work / PLAN)
        changed = [name for name, value in plan.items() if found[name] != value]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptionError(f"{work} is no work folder of a pipeline: choose a new folder") from error
    if changed:
        raise OptionError(
            f"{work} holds the work of a pipeline with other {' and '.join(changed)}: choose a new folder, or delete it"
        )
