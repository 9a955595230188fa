"""The page of `arasuji sweep`: which sampling setting is best, and what the texts of each setting are like."""

from __future__ import annotations

from arasuji.config import SamplingConfig
from arasuji.reports import plots, svg
from arasuji.reports.compare_plots import REAL
from arasuji.reports.page import Plot, Table, render, share
from arasuji.tuning.swept import Sweep

RULE = (
    "The best setting is the one that the judge tells least from real texts (AUROC) among those that were looked at "
    "twice and whose texts neither repeat themselves nor copy 13 words in a row surely more often than real texts do."
)
"""How the best setting is found."""


def sweep_page(found: Sweep) -> str:
    """One HTML file of a sweep."""
    return render("sweep.html", sweep=found, verdict=[*verdict(found), RULE], plots=[_plot(found)], tried=_tried(found))


def label(found: Sweep, sampling: SamplingConfig) -> str:
    """The settings that were varied, without those that are off: "T 0.8 top-p 0.95"."""
    parts = []
    for name, field in SamplingConfig.model_fields.items():
        value = getattr(sampling, name)
        varied = len({str(getattr(one.sampling, name)) for one in found.tried}) > 1
        if varied and (name == "temperature" or value != field.default):
            parts.append(f"{'T' if name == 'temperature' else name.replace('_', '-')} {value:g}")
    return " ".join(parts) or "as trained"


def verdict(found: Sweep) -> list[str]:
    """The sentences that stand above the table."""
    best, before = found.best, found.before
    assert best.judge is not None  # a sweep without a judged setting is an error
    settings = ", ".join(f"{name} = {value:g}" for name, value in found.chosen.items())
    said = [
        f"{found.run} is hardest to tell from real texts with {settings}: of a written text and a real one, the judge "
        f"takes the right one for written in {share(best.judge.auroc)} of the cases; half is chance."
    ]
    if best is before:
        said.append("The run had these settings before.")
    elif before.judge is None:
        said.append("Its settings before were not judged: too few of their texts were long enough.")
    else:
        past = f"{share(before.judge.auroc)} with the settings that the run had before ({label(found, found.now)})"
        said.append(
            f"It is {past}, which is surely more."
            if found.shown_better
            else f"It is {past}: the intervals meet, so no difference is shown."
        )
    if best.repeats or best.copies:
        said.append("Every setting that was looked at twice repeats or copies more than real texts do.")
    return said


def limits(found: Sweep) -> str:
    """What the figures of the terminal mean."""
    return f"{RULE} ..."


def _plot(found: Sweep) -> Plot:
    look = found.looks[1]
    twice = [one for one in found.tried if one.look == 2]
    rows = [(REAL, look.real.samples.judge, svg.INK)]
    rows += [(label(found, one.sampling), one.judge, svg.MODEL if one is found.best else svg.BAR) for one in twice]
    drawn = [(name, judge, colour) for name, judge, colour in rows if judge]
    title = f"The texts with {label(found, found.best.sampling)} are told least"
    return Plot(
        title,
        "",
        plots.rows(
            title,
            [name for name, _, _ in drawn],
            [judge.auroc for _, judge, _ in drawn],
            [share(judge.auroc) for _, judge, _ in drawn],
            [colour for _, _, colour in drawn],
            [(judge.auroc_low, judge.auroc_high) for _, judge, _ in drawn],
        ),
        Table("", [], []),
    )


def _tried(found: Sweep) -> Table:
    return Table("", [], [])
