"""A run while it is trained, in the order of its life: `open` or start it, `plan`, and then train and seal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from arasuji import bases, processes, tokenizers
from arasuji.config import Experiment, checked
from arasuji.corpus import Corpus
from arasuji.documents import texts_read
from arasuji.errors import RunError
from arasuji.runs import CorpusFacts, RunDirectory, RunFacts, as_written, enough_memory, versions
from arasuji.training import origin
from arasuji.training.batches import truncated
from arasuji.training.events import Started
from arasuji.training.log import RunLog
from arasuji.training.loop import Progress, Trainer
from arasuji.training.plan import Plan, kept_plan, make_plan
from arasuji.training.work import Work

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass
class Run:
    """Its folder, its log, what it is made of (`facts`: experiment, corpus, base), its tokenizer and model (`work`)."""

    directory: RunDirectory
    log: RunLog
    facts: RunFacts
    work: Work
    saved: Checkpoint | None
    """The checkpoint that it goes on from; None for a new run."""
    notes: tuple[str, ...] = ()

    @classmethod
    def open(
        cls,
        directory: RunDirectory,
        chosen: Experiment,
        corpus: Corpus | Path,
        resume: bool,
        name: str,
        settings: Sequence[str],
    ) -> Run:
        """A run that exists, as it was started; or a new one, of which nothing is written yet."""
        if (directory.path / "tensorboard").is_symlink():
            raise RunError(f"{directory.path}/tensorboard is a link, which nothing is written through: remove it")
        place, corpus = (corpus, Corpus.load(corpus)) if isinstance(corpus, Path) else (None, corpus)
        facts = RunFacts(
            experiment=chosen.model_copy(update={"base": origin.full_base(chosen.base)}),
            name=name,
            corpus=CorpusFacts(hash=corpus.hash, folder=str(place.resolve()) if place else ""),
            settings=list(settings),
            asked_base=chosen.base,
            versions=versions(),
        )

        # What it was started with (`kept`) is what it goes on with.
        kept = saved = None
        if not directory.is_new:
            if not resume:
                raise RunError(f"{directory.path} exists already; continue it with --resume, or say another --out")
            kept, saved = directory.facts, directory.load_last()
            facts = origin.continued(directory.path, kept, facts)
        if saved is None:
            kept = None  # nothing was learnt yet, so it starts over
        experiment = facts.experiment

        # Its base, its tokenizer and its model.
        with processes.turns():  # the first may have to convert the base
            base, facts.base = bases.find(experiment.base) if experiment.base else (None, "")
        facts.base_files = origin.sums_of_base(base)
        if kept:
            origin.check_base(directory.path, kept, facts)
        kind = tokenizers.kind(experiment.tokenizer.name)
        if kept and kept.tokens:
            tokenizer = directory.load_tokenizer(experiment.tokenizer.name)
        else:
            options = checked(kind.Config, experiment.tokenizer.options, "tokenizer")
            tokenizer = kind.build(options, texts_read(corpus.train, experiment.document.format), base)
        with enough_memory(base or directory.path):
            work = Work.build(experiment, corpus, tokenizer, base)
        facts.tokens = origin.sum_of_tokens(work.documents)
        if kept:
            origin.check_tokens(directory.path, kept, facts)

        # All processes have the same texts, and have seen the run folder as it was before one of them writes.
        with as_written(directory.path / "last"):
            step = int(saved[1]["progress"]["step"]) if saved else -1
        if not processes.alike([int(corpus.hash[:12], 16), step]):
            raise RunError("the processes do not see the same corpus and run folder: put both on a disk that all share")
        notes = origin.notes(kept, facts) if kept else ()
        return cls(directory, RunLog(directory), facts, work, saved, notes)

    def plan(self, max_steps: int | None, deadline: float | None) -> Plan:
        """Of a new run, whose folder is begun here: measured. Of one that goes on: the one that it was started with,
        with another end if asked."""
        batches, train = self.work.batches_of(0), self.facts.experiment.train
        if self.saved:
            return kept_plan(self.directory.path / "last", self.saved[1], batches, train, max_steps)
        self.directory.start(self.facts.experiment, self.facts.model_dump(exclude={"experiment"}))
        self.directory.save_tokenizer(self.work.tokenizer)
        seconds = self.work.validation_seconds()
        seconds += self.directory.saving_seconds(self.work.model, self.work.tokenizer)
        return make_plan(self.work.model, batches, train, self.work.bf16, seconds, max_steps, deadline)

    def trainer(self, plan: Plan, should_stop: Callable[[], str]) -> Trainer:
        """The loop, where the run stands: it knows no files, so what it saves is sealed here."""

        def save_best(at: Progress) -> None:
            found = {"base": self.facts.base, "step": at.step, "bits_per_byte": at.best_bits}
            self.directory.save_best(self.facts.experiment, self.work.model, self.work.tokenizer, found)

        def save_last(tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
            self.log.flush()
            self.directory.save_last(tensors, state)

        trainer = Trainer(
            model=self.work.model,
            config=self.facts.experiment.train,
            plan=plan,
            bf16=self.work.bf16,
            epoch_batches=self.work.batches_of,
            validate=self.work.validate,
            save_best=save_best,
            save_last=save_last,
            should_stop=should_stop,
        )
        if self.saved:
            with as_written(self.directory.path / "last"):
                trainer.restore(*self.saved)
            self.saved = None  # two copies of the optimizer are one too many
        # The same seed may give other weights on another chip.
        processes.copy_main(p.data for p in self.work.model.parameters() if p.requires_grad)
        self.directory.rewind(trainer.progress.step)
        return trainer

    def started(self, plan: Plan, step: int) -> Started:
        """What is about to be trained, from this step on."""
        size = self.work.model.size()
        return Started(
            name=self.facts.name or self.directory.path.name,
            parameters=size["parameters"],
            trained=size["trained"],
            documents=len(self.work.documents),
            truncated=truncated(self.work.documents, self.facts.experiment.train),
            plan=plan,
            resumed_step=step,
            base=self.facts.base,
            precision="bf16" if self.work.bf16 else "fp32",
            lower_bound=not self.work.tokenizer.lossless,
            notes=self.notes,
        )
