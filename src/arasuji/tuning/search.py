"""The loop over the trials of a search: Optuna proposes values, `session` trains a run with them.

Optuna keeps the trials in a journal, a file of JSON lines in the folder of the search. A search that was killed is
continued from it: trials that have ended stay, and the run that was cut off is resumed. Values depend on the seed, the
number of the trial and the trials before it, so a continued search proposes what an undisturbed one does.

A trial is pruned by the median of the complete ones at the same share of its steps. Hyperband would end most trials
after their first validation, where a learning rate that falls until the last step does not show yet what it is worth,
and needs more trials than a search of hours on one machine has.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from numpy.random import SeedSequence
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from arasuji import files, tokenizers
from arasuji.config import Experiment
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError, TrainingError, out_of_memory
from arasuji.runs import RunDirectory
from arasuji.runs.opening import first_line
from arasuji.speech import shortened
from arasuji.training import session
from arasuji.training.events import Started, TrainEvent
from arasuji.training.lock import run_lock
from arasuji.training.loop import Stepped, Stopped, Validated
from arasuji.tuning import Search, Trial, TrialEnded, TrialStarted, TuneEvent
from arasuji.tuning.preset import as_toml
from arasuji.tuning.space import Choices, Range, Space, Value, check_space

JOURNAL = "journal.jsonl"
BEST = "best.toml"
"""The preset with the values of the best trial."""
JOURNAL_BYTES = 2**28
"""A journal is read up to this size, which is hundreds of thousands of trials."""
COMPLETE_FIRST = 4
"""No trial is pruned before this many trials are complete."""
FIRST_TENTH = 2
"""No trial is pruned before this many tenths of its steps."""
PRUNED = "worse than the median of the trials at the same point"
TIME_OVER = "the time of the search is over"
DRAWS = 100
"""A search ends when this many values in a row were tried before."""


@dataclass(frozen=True)
class Limits:
    """When a trial and the search end; None is no limit."""

    trials: int
    minutes: float | None
    """The minutes of a trial."""
    max_steps: int | None
    """The steps of a trial."""
    max_minutes: float | None
    """The minutes of this process, all trials together."""


def search_events(
    preset: str,
    experiment_of: Callable[[list[str]], Experiment],
    space: Space,
    corpus: Corpus | Path,
    out: Path,
    limits: Limits,
    seed: int,
    keep: bool,
    should_stop: Callable[[], str],
) -> Iterator[TuneEvent]:
    """Search, or continue the search of the folder `out`; yields what happens. See `api.tune_events`.

    `experiment_of` makes an experiment of the preset and settings.
    """
    chosen = check_space(space, experiment_of)
    search = Search(
        preset=preset,
        space=space,
        corpus=(corpus if isinstance(corpus, Corpus) else Corpus.load(corpus)).hash,
        minutes=limits.minutes,
        max_steps=limits.max_steps,
        seed=seed,
        lower_bound=not tokenizers.is_lossless(chosen.tokenizer.name),
    )
    with run_lock(out):
        study = _open_study(out, search, {"experiment": chosen.model_dump(mode="json"), "keep": keep})
        yield from _Loop(study, search, experiment_of, corpus, out, limits, keep, should_stop).run()


@dataclass
class _Loop:
    """A search and all that it needs."""

    study: optuna.Study
    search: Search
    experiment_of: Callable[[list[str]], Experiment]
    corpus: Corpus | Path
    out: Path
    limits: Limits
    keep: bool
    should_stop: Callable[[], str]

    def run(self) -> Iterator[TuneEvent]:
        """The trials that are left, then the search."""
        search, minutes = self.search, self.limits.max_minutes
        end = math.inf if minutes is None else time.monotonic() + 60 * minutes

        def stop() -> str:
            return self.should_stop() or (TIME_OVER if time.monotonic() > end - session.STOP_SECONDS else "")

        search.trials = _ended(self.study)
        self._delete_weights()
        while not search.ended:
            if len(search.trials) >= self.limits.trials:
                search.ended = "the last trial"
            elif time.monotonic() + 60 * (self.limits.minutes or 0) > end + session.STOP_SECONDS:
                search.ended = TIME_OVER
            elif (trial := self._next_trial(len(search.trials) + 1)) is None:
                search.ended = "no values are left that were not tried"
            else:
                search.ended = yield from self._train(trial, stop)
        if search.trials and not search.best and len(search.trials) >= self.limits.trials:
            raise TrainingError(f"no trial has ended with a score; the last one: {search.trials[-1].reason}")
        yield search

    def _next_trial(self, number: int) -> optuna.Trial | None:
        """The trial that was cut off, or one with values that none has had; None where no such values are found."""
        distributions = {key: _distribution(searched) for key, searched in self.search.space.searched.items()}
        for left in self.study.get_trials(states=(TrialState.RUNNING,)):
            waiting = self.study.get_trials(states=(TrialState.WAITING,))
            if left.user_attrs.get("number") == number and not waiting:
                self.study.enqueue_trial(left.params, {"number": number})
            self.study.tell(left.number, state=TrialState.FAIL)
        for draw in range(DRAWS):
            kind: Any = RandomSampler if draw else TPESampler
            self.study.sampler = kind(seed=int(SeedSequence((self.search.seed, number, draw)).generate_state(1)[0]))
            trial = self.study.ask(distributions)
            if self._values(trial) not in [ended.values for ended in self.search.trials]:
                trial.set_user_attr("number", number)
                return trial
            self.study.tell(trial, state=TrialState.FAIL)
        return None

    def _values(self, trial: optuna.Trial) -> dict[str, Value]:
        return {key: searched.rounded(trial.params[key]) for key, searched in self.search.space.searched.items()}

    def _train(self, trial: optuna.Trial, stop: Callable[[], str]) -> Generator[TuneEvent, None, str]:
        """Train a trial to its end. Returns why it was stopped before, so that it can be continued, or ""."""
        found = Trial(number=trial.user_attrs["number"], values=self._values(trial))
        yield TrialStarted(found.number, self.limits.trials, found.values)
        asked = pruned = ""

        def stop_trial() -> str:
            nonlocal asked
            asked = stop()
            return asked or pruned

        steps, reported = 1, set()
        try:
            for event in self._training(found, stop_trial):
                yield event
                if isinstance(event, Started):
                    steps = event.plan.steps
                elif isinstance(event, Stepped):
                    found.steps, found.seconds = event.step, event.seconds
                elif isinstance(event, Validated):
                    found.bits_per_byte = min(event.bits_per_byte, found.bits_per_byte or math.inf)
                    tenth = 10 * event.step // steps  # what can be compared where trials have other numbers of steps
                    if tenth not in reported:
                        reported.add(tenth)
                        trial.report(found.bits_per_byte, tenth)
                        pruned = PRUNED if trial.should_prune() else ""
                elif isinstance(event, Stopped):
                    found.reason, at = event.reason, event.progress
                    found.steps, found.seconds = at.step, round(at.seconds, 3)
                    found.best_step, found.bits_per_byte = at.best_step, at.best_bits
        except (TrainingError, OptionError, RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError | MemoryError) and not out_of_memory(error):
                raise
            found.reason, found.state = first_line(error), "failed"
        if asked and found.reason == asked:
            return asked
        if found.reason == PRUNED:
            found.state = "pruned"
        yield self._end(trial, found)
        return ""

    def _training(self, found: Trial, stop: Callable[[], str]) -> Iterator[TrainEvent]:
        settings = self.search.space.settings(found.values)
        return session.train_events(
            self.experiment_of(settings),
            self.corpus,
            self._run(found).path,
            self.limits.minutes,
            self.limits.max_steps,
            resume=True,
            should_stop=stop,
            name=Path(self.search.preset).stem,
            settings=settings,
        )

    def _end(self, trial: optuna.Trial, found: Trial) -> TrialEnded:
        """Keep what a trial has found, and the weights of the best one alone."""
        trial.set_user_attr("ended", found.model_dump(mode="json"))
        if found.state == "complete":
            self.study.tell(trial, found.bits_per_byte)
        else:  # a trial that failed is to the sampler one that was pruned: it looks elsewhere
            self.study.tell(trial, state=TrialState.PRUNED)
        self.search.trials.append(found)
        best = found is self.search.best
        if best:
            said = f"arasuji tune {self.search.preset}, trial {found.number}: {found.bits_per_byte:.4f} bits per byte"
            chosen = self.experiment_of(self.search.space.settings(found.values))
            files.write_text(self.out / BEST, as_toml(chosen, f"{said} of the validation split"))
        self._delete_weights()
        return TrialEnded(found, best)

    def _delete_weights(self) -> None:
        best = self.search.best
        for ended in self.search.trials:
            if ended is not best and not self.keep:
                self._run(ended).delete_weights()

    def _run(self, trial: Trial) -> RunDirectory:
        """The run of a trial. Raises RunError where a link stands in its place, through which nothing is written."""
        folder = self.out / trial.run
        for path in (folder.parent, folder):
            if path.is_symlink():
                raise RunError(f"{path} is a link, which nothing is written through: remove it")
        return RunDirectory(folder)


def _distribution(searched: Range | Choices) -> BaseDistribution:
    if isinstance(searched, Choices):
        return CategoricalDistribution(searched.choices)
    if searched.whole:
        return IntDistribution(int(searched.low), int(searched.high), log=searched.logarithmic)
    return FloatDistribution(searched.low, searched.high, log=searched.logarithmic)


def _open_study(out: Path, search: Search, more: dict[str, Any]) -> optuna.Study:
    """The study that the journal holds, or a new one. `more` must also be the same in a continued search.

    Raises RunError where the journal is damaged or that of another search."""
    journal = out / JOURNAL
    if not journal.exists() and not RunDirectory(out).is_new:
        raise RunError(f"{out} is not empty and holds no search; say another --out")
    (out / f"{JOURNAL}.lock").unlink(missing_ok=True)  # of a killed search: this one has the lock of the folder
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if journal.exists():
            whole, end, rest = files.read_bytes(journal, JOURNAL_BYTES).rpartition(b"\n")
            if rest:  # a line that a killed search has left incomplete
                files.write_text(journal, (whole + end).decode())
        storage = JournalStorage(JournalFileBackend(str(journal), JournalFileOpenLock(str(journal))))
        pruner = MedianPruner(n_startup_trials=COMPLETE_FIRST, n_warmup_steps=FIRST_TENTH)
        study = optuna.create_study(storage=storage, pruner=pruner, study_name="tune", load_if_exists=True)
        kept: dict[str, Any] = study.user_attrs.get("asked", {})
        _ended(study)
    except Exception as error:  # a damaged journal raises whatever its lines lead to
        raise RunError(f"{journal} cannot be read ({first_line(error)}); search into a new folder") from error
    asked = search.model_dump(mode="json", exclude={"trials", "ended"}) | more
    if not kept:
        study.set_user_attr("asked", asked)
    for name in kept:
        if kept[name] != asked.get(name):
            was, now = (shortened(json.dumps(of.get(name), ensure_ascii=False), 60) for of in (kept, asked))
            raise RunError(f"{out} was started with {name} {was}, and this is {now}; search into a new folder")
    return study


def _ended(study: optuna.Study) -> list[Trial]:
    finished = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [Trial(**trial.user_attrs["ended"]) for trial in finished]
