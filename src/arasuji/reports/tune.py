"""The page of `arasuji tune`: which values are best, and how the score depends on each searched option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arasuji.reports import plots
from arasuji.reports.page import NOTHING, Plot, Table, duration, render, several
from arasuji.tuning import Search, Trial
from arasuji.tuning.space import Choices, Range

UNIT = "bits per byte"


def tune_page(search: Search, facts: Mapping[str, Any]) -> str:
    """One HTML file of a search that has a best trial. `facts` stand at its foot: {"command", "versions"}."""
    return render(
        "tune.html",
        search=search,
        facts=facts,
        verdict=_verdict(search),
        plots=[_plot(search, key, searched) for key, searched in search.space.searched.items()],
        trials=_trials(search),
    )


def _verdict(search: Search) -> list[str]:
    best = _best(search)
    values = ", ".join(f"{key} = {value}" for key, value in best.values.items())
    complete, pruned, failed = (
        sum(trial.state == state for trial in search.trials) for state in ("complete", "pruned", "failed")
    )
    counts = [several(complete, "trial was", "trials were") + " trained to the end"]
    counts += [f"{pruned:,} ended early"] * bool(pruned) + [f"{failed:,} failed"] * bool(failed)
    return [
        f"{search.preset} is best with {values}: {best.bits_per_byte:.3f} bits for a byte of validation text.",
        f"{', '.join(counts)}.",
        "The lowest of several scores flatters: measure the best run on the test split, and train it with other seeds "
        "before calling it better.",
    ]


def _best(search: Search) -> Trial:
    assert search.best is not None  # there is no page of a search without one
    return search.best


def _plot(search: Search, key: str, searched: Range | Choices) -> Plot:
    best = _best(search)

    def at(trial: Trial) -> tuple[float, float]:
        value = trial.values[key]
        x = searched.choices.index(str(value)) if isinstance(searched, Choices) else float(value)
        return x, trial.bits_per_byte or 0.0

    title = f"The best trial has {key} = {best.values[key]}"
    by_state = {state: [at(t) for t in search.trials if t.state == state] for state in ("complete", "pruned")}
    drawn = plots.scatter(
        title,
        by_state["complete"],
        by_state["pruned"],
        at(best),
        (key, UNIT),
        isinstance(searched, Range) and searched.logarithmic,
        searched.choices if isinstance(searched, Choices) else (),
    )
    rows = sorted((trial for trial in search.trials if trial.bits_per_byte), key=lambda trial: at(trial))
    return Plot(
        title,
        f"{key}: {searched}.",
        drawn,
        Table(
            f"Bits per byte by {key}",
            [key, UNIT, "state"],
            [[str(trial.values[key]), _bits(trial), trial.state] for trial in rows],
        ),
    )


def _trials(search: Search) -> Table:
    def row(trial: Trial) -> list[str | int]:
        values = [str(trial.values[key]) for key in keys]
        return [str(trial.number), *values, _bits(trial), trial.steps, duration(trial.seconds / 60), trial.state]

    keys = list(search.space.searched)
    states = ("complete", "pruned", "failed")
    ordered = sorted(search.trials, key=lambda trial: (states.index(trial.state), trial.bits_per_byte or 0.0))
    headers = ["trial", *keys, UNIT, "steps", "time", "state"]
    return Table("All trials, the best first", headers, [row(trial) for trial in ordered])


def _bits(trial: Trial) -> str:
    return NOTHING if trial.bits_per_byte is None else f"{trial.bits_per_byte:.4f}"
