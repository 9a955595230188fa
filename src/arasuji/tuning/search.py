"""The loop over the trials of a search: Optuna proposes values, `session` trains a run with them.

A search that was killed is continued from its journal: trials that have ended stay, and the run that was cut off is
resumed. Values depend on the seed, the number of the trial and the trials before it, so a continued search proposes
what an undisturbed one does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from numpy.random import SeedSequence
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from arasuji import files, tokenizers
from arasuji.config import Experiment
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError, TrainingError, first_line, out_of_memory
from arasuji.runs import LESSONS, RunDirectory
from arasuji.training import session
from arasuji.training.events import Started, TrainEvent
from arasuji.training.lock import run_lock
from arasuji.training.loop import Stepped, Stopped, Validated
from arasuji.tuning import Search, Trial, TrialEnded, TrialStarted, TuneEvent
from arasuji.tuning.preset import as_toml
from arasuji.tuning.space import Space, Value, check_space
from arasuji.tuning.study import distribution_of, ended_trials, open_study

BEST = "best.toml"
"""The preset with the values of the best trial."""
PRUNED = "worse than the median of the trials at the same point"
"""The reason of a trial that ended early."""
TIME_OVER = "the time of the search is over"
"""The reason of a search that ended after its `max_minutes`."""
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
        study = open_study(out, search, {"experiment": chosen.model_dump(mode="json"), "keep": keep})
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

        search.trials = ended_trials(self.study)
        self._keep_best()
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
        distributions = {key: distribution_of(searched) for key, searched in self.search.space.searched.items()}
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
            return pruned or asked

        steps, reported = 1, set()

        def validated(step: int, bits: float) -> None:
            nonlocal pruned
            best = min(bits, found.bits_per_byte or math.inf)
            if best != found.bits_per_byte:
                found.bits_per_byte, found.best_step = best, step
            tenth = 10 * step // steps  # what can be compared where trials have other numbers of steps
            if tenth not in reported:
                reported.add(tenth)
                trial.report(best, tenth)
                pruned = PRUNED if trial.should_prune() else ""

        try:
            for event in self._training(found, stop_trial):
                yield event
                if isinstance(event, Started):
                    steps = event.plan.steps
                    for line in self._run(found).history():  # of a trial that is resumed
                        found.steps, found.seconds = line["step"], line.get("seconds", found.seconds)
                        if "bits_per_byte" in line:
                            validated(line["step"], line["bits_per_byte"])
                    if pruned:  # it was cut off just when it was to end
                        found.reason = pruned
                        break
                elif isinstance(event, Stepped):
                    found.steps, found.seconds = event.step, event.seconds
                elif isinstance(event, Validated):
                    validated(event.step, event.bits_per_byte)
                elif isinstance(event, Stopped):
                    found.reason, at = event.reason, event.progress
                    found.steps, found.seconds = at.step, round(at.seconds, 3)
                    found.best_step, found.bits_per_byte = at.best_step, at.best_bits
        except (TrainingError, OptionError, RunError, RuntimeError, MemoryError) as error:
            if isinstance(error, RunError | RuntimeError | MemoryError) and not out_of_memory(error):
                raise
            found.reason, found.state = first_line(error), "failed"
        if asked and found.reason == asked:
            return asked
        if found.reason == PRUNED:
            found.state = "pruned"
        yield self._end(trial, found)
        return asked

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
            lessons=self.out / LESSONS,
        )

    def _end(self, trial: optuna.Trial, found: Trial) -> TrialEnded:
        """Keep what a trial has found, and the weights of the best one alone."""
        trial.set_user_attr("ended", found.model_dump(mode="json"))
        if found.state == "complete":
            self.study.tell(trial, found.bits_per_byte)
        else:  # a trial that failed is to the sampler one that was pruned: it looks elsewhere
            self.study.tell(trial, state=TrialState.PRUNED)
        self.search.trials.append(found)
        self._keep_best()
        return TrialEnded(found, found is self.search.best)

    def _keep_best(self) -> None:
        """Write the preset of the best trial where it is not there yet, and delete the weights of the others."""
        best, path = self.search.best, self.out / BEST
        if best:
            said = f"arasuji tune {self.search.preset}, trial {best.number}: {best.bits_per_byte:.4f} bits per byte"
            try:
                known = files.read_bytes(path).decode("utf-8", "replace")
            except (OSError, ValueError):  # it is not there, a link, or far too large
                known = ""
            if said not in known:
                chosen = self._run(best).facts.experiment  # in the size that it had
                files.write_text(path, as_toml(chosen, f"{said} of the validation split"))
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
