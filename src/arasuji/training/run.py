"""A run while it is trained: it is opened or started (`open`), planned (`plan`), and trained (`trainer`)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from arasuji import bases, device, processes, tokenizers
from arasuji.config import Experiment, checked
from arasuji.corpus import Corpus
from arasuji.documents import predictable, texts_read, values_of
from arasuji.errors import OptionError, RunError
from arasuji.runs import LESSONS, CorpusFacts, RunDirectory, RunFacts, as_written, enough_memory, versions, weights_of
from arasuji.teaching.lesson import Lesson, Taught
from arasuji.training import origin
from arasuji.training.batches import truncated
from arasuji.training.events import Started
from arasuji.training.fit import fitted
from arasuji.training.log import RunLog
from arasuji.training.loop import Progress, Trainer
from arasuji.training.plan import Plan, kept_plan, make_plan
from arasuji.training.work import Work

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass
class Run:
    """A run that is trained: its folder, its log, its facts (experiment, corpus, base), its model and texts."""

    directory: RunDirectory
    log: RunLog
    facts: RunFacts
    work: Work
    saved: Checkpoint | None
    """The checkpoint from which the run is continued; None for a new run."""
    lesson: Lesson | None = None
    """What a teacher does for it; None where there is no teacher."""
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
        lessons: Path | None = None,
        max_steps: int | None = None,
        deadline: float | None = None,
    ) -> Run:
        """Open a run to continue it as it was started, or prepare a new run, fitted to its limits. Nothing is
        written yet."""
        lessons = lessons or directory.path / LESSONS
        for folder in (directory.path / "tensorboard", lessons):
            if folder.is_symlink():
                raise RunError(f"{folder} is a link, which nothing is written through: remove it")
        corpus = Corpus.load(corpus) if isinstance(corpus, Path) else corpus
        facts = RunFacts(
            experiment=origin.with_full_paths(chosen),
            name=name,
            corpus=CorpusFacts(hash=corpus.hash, folder=str(corpus.folder or "")),
            settings=list(settings),
            asked_base=chosen.base,
            asked_teacher=chosen.teaching.teacher,
            fields=values_of(corpus.train, chosen.document.format),
            versions=versions(),
        )
        kept, saved, facts = _continued(directory, facts, resume)
        experiment = facts.experiment

        # The base, the tokenizer and the model.
        with processes.turns():  # the first process may have to convert the base
            base, facts.base = bases.find(experiment.base) if experiment.base else (None, "")
        facts.base_files = origin.sums_of_base(base)
        if kept:
            origin.check_base(directory.path, kept, facts)
        if kept and kept.tokens:
            tokenizer = directory.load_tokenizer(experiment.tokenizer.name)
        else:
            tokenizer = _new_tokenizer(experiment, corpus, base)
        notes = origin.notes(kept, facts) if kept else ()
        with enough_memory(base or directory.path):
            if experiment.sizes and not kept:
                experiment, note = fitted(experiment, corpus, tokenizer, base, max_steps, deadline)
                facts, notes = facts.model_copy(update={"experiment": experiment}), (note,)
            work = Work.build(experiment, corpus, tokenizer, base)
        facts.tokens = origin.sum_of_tokens(work.documents)
        if kept:
            origin.check_tokens(directory.path, kept, facts)

        # All processes must have the same texts and the same run folder. No process has written anything before this.
        with as_written(directory.path / "last"):
            step = int(saved[1]["progress"]["step"]) if saved else -1
        if not processes.alike([int(corpus.hash[:12], 16), step]):
            raise RunError("the processes do not see the same corpus and run folder: put both on a disk that all share")
        lesson = None
        if (config := experiment.teaching).teacher:
            if experiment.document.predicts != "text":
                raise OptionError("a teacher teaches texts alone, and not document.predicts: leave one of both out")
            if experiment.document.varies and config.weight:
                raise OptionError(
                    "a teacher reads each text once, and cannot read other fields in every epoch: say --set "
                    "document.left_out=0 --set document.all_left_out=0, or --set teaching.weight=0"
                )
            lesson = Lesson(lessons, config, corpus.train, tokenizer, experiment.document.format, facts.tokens)
        return cls(directory, RunLog(directory), facts, work, saved, lesson, notes)

    def taught(self, should_stop: Callable[[], str]) -> Generator[Taught, None, str]:
        """What a teacher does before the training, where there is one: the folder of a new run is created, and its
        batches are then those of the teacher. Returns why it was stopped, or "".
        """
        work, lesson = self.work, self.lesson
        before = device.generators()  # what a teacher does must not change what is drawn in training
        if not self.saved:
            if lesson:  # a teacher that does not fit is refused before anything is written
                lesson.begin(work.model, work.documents.counts(work.tokenizer.vocabulary_size))
            self.directory.start(self.facts.experiment, self.facts.model_dump(exclude={"experiment"}))
            self.directory.save_tokenizer(work.tokenizer)
        if lesson is None:
            return ""

        def stages() -> Iterator[Taught]:
            yield from lesson.write(int(work.documents.lengths.max()))
            work.add(lesson.texts())
            yield from lesson.read(work.documents)

        for event in stages():
            yield event
            if reason := should_stop():
                return reason
        device.set_generators(before)
        self.notes += lesson.notes()
        if lesson.config.weight:
            work.loss_of = lambda batch: lesson.loss_at(batch.places)
        return ""

    def plan(self, max_steps: int | None, deadline: float | None) -> Plan:
        """The plan of a new run, whose batches are timed; or the plan of a continued run, with another number of steps
        where `max_steps` is given."""
        batches, train = self.work.batches_of(0), self.facts.experiment.train
        if self.saved:
            return kept_plan(self.directory.path / "last", self.saved[1], batches, train, max_steps)
        seconds = self.work.validation_seconds()
        with self.work.whole_model() as model:
            seconds += self.directory.saving_seconds(model, self.work.tokenizer)
        work = self.work
        return make_plan(work.model, batches, train, work.bf16, seconds, max_steps, deadline, work.loss_of)

    def trainer(self, plan: Plan, should_stop: Callable[[], str]) -> Trainer:
        """The training loop, at the position of the run. What the loop saves is written by these functions."""

        def save_best(at: Progress) -> None:
            found = {"base": self.facts.base, "step": at.step, "bits_per_byte": at.best_bits}
            with self.work.whole_model() as model:
                self.directory.save_best(self.facts.experiment, model, self.work.tokenizer, found)

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
            loss_of=self.work.loss_of,
        )
        if self.saved:
            with as_written(self.directory.path / "last"):
                trainer.restore(*self.saved)
            self.saved = None  # frees the memory of a second copy of the optimizer
        self.directory.rewind(trainer.progress.step)
        return trainer

    def started(self, plan: Plan, step: int) -> Started:
        """The first event of a run: what is trained, from step `step` on."""
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


def _continued(
    directory: RunDirectory, facts: RunFacts, resume: bool
) -> tuple[RunFacts | None, Checkpoint | None, RunFacts]:
    """What a run was started with, its checkpoint, and the facts that it has from now on. The first two are None of a
    new run, and of one that has no checkpoint yet, which starts again."""
    if directory.is_new:
        return None, None, facts
    if not resume:
        raise RunError(f"{directory.path} exists already; continue it with --resume, or say another --out")
    kept, saved = directory.facts, directory.load_last()
    if kept.averaged:
        raise RunError(f"{directory.path} is a mean of other runs, which is not trained: say another --out")
    return kept if saved else None, saved, origin.continued(directory.path, kept, facts)


def _new_tokenizer(experiment: Experiment, corpus: Corpus, base: Path | None) -> tokenizers.Tokenizer:
    """The tokenizer of an experiment, made for a corpus, or that of the base or of the teacher."""
    kind, teacher = tokenizers.kind(experiment.tokenizer.name), experiment.teaching.teacher
    options = checked(kind.Config, experiment.tokenizer.options, "tokenizer")
    begins_from = weights_of(teacher) if teacher and experiment.tokenizer.name == tokenizers.PRUNED else base
    return kind.build(
        options, texts_read(predictable(corpus.train, experiment.document), experiment.document), begins_from
    )
