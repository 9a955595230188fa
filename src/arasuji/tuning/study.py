"""The trials of a search as Optuna keeps them: a journal, which is a file of JSON lines in the folder of the search.

A trial is pruned by the median of the complete ones at the same share of its steps. Hyperband would end most trials
after their first validation, where a learning rate that falls until the last step does not show yet what it is worth,
and needs more trials than a search of hours on one machine has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from arasuji import files
from arasuji.errors import RunError, first_line
from arasuji.runs import RunDirectory
from arasuji.speech import shortened
from arasuji.tuning import Search, Trial
from arasuji.tuning.space import Choices, Range

JOURNAL = "journal.jsonl"
"""The journal, in the folder of the search."""
JOURNAL_BYTES = 2**28
"""A journal is read up to this size, which is hundreds of thousands of trials."""
COMPLETE_FIRST = 4
"""No trial is pruned before this many trials are complete."""
FIRST_TENTH = 2
"""No trial is pruned before this many tenths of its steps."""


def distribution_of(searched: Range | Choices) -> BaseDistribution:
    """What Optuna draws the values of an option from."""
    if isinstance(searched, Choices):
        return CategoricalDistribution(searched.choices)
    if searched.whole:
        return IntDistribution(int(searched.low), int(searched.high), log=searched.logarithmic)
    return FloatDistribution(searched.low, searched.high, log=searched.logarithmic)


def open_study(out: Path, search: Search, more: dict[str, Any]) -> optuna.Study:
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
        ended_trials(study)
    except Exception as error:  # a damaged journal raises whatever its lines lead to
        raise RunError(f"{journal} cannot be read ({first_line(error)}); search into a new folder") from error
    asked = search.model_dump(mode="json", exclude={"trials", "ended"}) | more
    if not kept:
        study.set_user_attr("asked", asked)
    for name in kept:
        if kept[name] != asked.get(name):
            was, now = (shortened(json.dumps(of.get(name), ensure_ascii=False), 60) for of in (kept, asked))
            raise RunError(f"{out} was started with {name} = {was}, and now it is {now}; search into a new folder")
    return study


def ended_trials(study: optuna.Study) -> list[Trial]:
    """The trials that have ended, in their order."""
    finished = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [Trial(**trial.user_attrs["ended"]) for trial in finished]
