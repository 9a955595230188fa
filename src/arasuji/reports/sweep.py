"""The page of `arasuji sweep`: which sampling settings are best, and what the texts are like with each of them."""

from __future__ import annotations

from arasuji.config import SamplingConfig
from arasuji.evaluation.report import RealTexts
from arasuji.reports import plots, svg
from arasuji.reports.compare_plots import REAL
from arasuji.reports.page import NOTHING, Plot, Table, render
from arasuji.speech import share
from arasuji.tuning.swept import Sweep

MORE = "*"
"""Stands at the figure of texts that repeat or copy more than real ones do, beyond chance."""
RULE = (
    "The best settings are those whose texts are the hardest to tell from real ones in the second stage. Settings come "
    "last whose texts repeat themselves, or copy 13 words in a row, more often than real ones do, beyond chance "
    f"({MORE})."
)
"""How the best settings are found."""
LEGEND = {
    "AUROC": "how often the judge finds out which of two texts, one generated and one real, is generated; half is "
    "chance. In the second stage it has more texts to learn from",
    "95 %": "its interval",
    "pairs": "different pairs of words over all pairs (distinct-2)",
    "repeats": "how many of a text's 4-grams have stood in it before",
    "8-grams": "how many of all 8-grams of words stand in a training text",
    "copies": "the share of the texts with 13 words in a row from a training text",
    "ends": "the share of the texts that the model has ended",
    "words": "the median length",
}


def sweep_page(found: Sweep) -> str:
    """One HTML file of a sweep."""
    return render("sweep.html", sweep=found, verdict=[*verdict(found), RULE], plots=_plots(found), tried=_tried(found))


def label(found: Sweep, sampling: SamplingConfig) -> str:
    """Settings in a few letters, such as "T 0.8 top-p 0.95": those that differ in the sweep and are on."""
    parts = []
    for name, field in SamplingConfig.model_fields.items():
        value = getattr(sampling, name)
        differs = any(getattr(one.sampling, name) != value for one in found.tried)
        if differs and (name == "temperature" or value != field.default):
            parts.append(f"{'T' if name == 'temperature' else name.replace('_', '-')} {value:g}")
    return " ".join(parts) or "as they are"


def verdict(found: Sweep) -> list[str]:
    """The sentences that stand above the figures."""
    best, before = found.best, found.before
    assert best.judge is not None  # else there is no sweep
    settings = ", ".join(f"{name} = {value:g}" for name, value in found.chosen.items())
    said = [
        f"The texts of {found.run} are hardest to tell from real ones with {settings}: of two texts, one generated and "
        f"one real, the judge finds out which is generated in {share(best.judge.auroc)} of the cases (half is chance)."
    ]
    if best is before:
        said.append("The run had these settings already.")
    elif before.judge is None:
        said.append("With the run's previous settings, too few texts are long enough to be judged.")
    elif before.too_much and not best.too_much:
        said.append("With the run's previous settings, texts repeat or copy more than real ones do, beyond chance.")
    else:
        past = f"With the run's previous settings, {label(found, found.now)}, it is {share(before.judge.auroc)}"
        said.append(f"{past}." if found.shown_better else f"{past}; the intervals meet, so no difference is shown.")
    others = [one.judge for one in found.tried if one.stage == best.stage and one is not best and one.judge]
    low, high = best.judge.auroc_low, best.judge.auroc_high
    met = sum(judge.auroc_low <= high and low <= judge.auroc_high for judge in others)
    said.append(f"The interval meets those of {met:,} of the {len(others):,} other settings of the second stage.")
    if best.sampling.temperature > found.now.temperature:
        said.append(
            "What is hard to tell is not always good to read: at a higher temperature texts vary as real ones do, "
            "and their sentences often do not belong together. Read some before you keep the setting."
        )
    if best.too_much:
        said.append(
            "With every setting of the second stage, texts repeat or copy more than real ones do, beyond chance."
        )
    return said


def _plots(found: Sweep) -> list[Plot]:
    """The AUROC of the settings of the second stage."""
    judged = [(REAL, found.stages[1].real.samples.judge, svg.INK)]
    for one in found.tried:
        if one.stage == 2:
            colour = svg.MODEL if one is found.best else svg.BAR
            judged.append((label(found, one.sampling), one.judge, colour))
    rows = [(name, judge, colour) for name, judge, colour in judged if judge]
    title = f"The texts with {label(found, found.best.sampling)} are the hardest to tell from real ones"
    drawn = plots.rows(
        title,
        [name for name, _, _ in rows],
        [judge.auroc for _, judge, _ in rows],
        [share(judge.auroc) for _, judge, _ in rows],
        [colour for _, _, colour in rows],
        [(judge.auroc_low, judge.auroc_high) for _, judge, _ in rows],
    )
    figures: list[list[str | int]] = [
        [name, share(judge.auroc), share(judge.auroc_low), share(judge.auroc_high)] for name, judge, _ in rows
    ]
    note = "How often the judge finds out which of two texts is generated; 50 % is chance."
    return [Plot(title, note, drawn, Table("AUROC of the judge", ["settings", "AUROC", "from", "to"], figures))]


def _tried(found: Sweep) -> Table:
    """All settings, the best first; real texts of a stage stand before its settings."""
    rows = []
    for number, stage in ((2, found.stages[1]), (1, found.stages[0])):
        rows.append(_row(REAL, number, stage.real))
        rows += [
            _row(label(found, one.sampling), number, one.figures, one.repeats, one.copies)
            for one in found.tried
            if one.stage == number
        ]
    return Table("All settings, the best first", ["settings", "stage", *LEGEND], rows, legend=LEGEND)


def _row(name: str, number: int, figures: RealTexts, repeats: bool = False, copies: bool = False) -> list[str | int]:
    def part(value: float | None) -> str:
        return NOTHING if value is None else share(value)

    texts, copied = figures.samples, figures.originality
    judge = texts.judge
    return [
        name,
        number,
        f"{judge.auroc:.3f}" if judge else NOTHING,
        f"{judge.auroc_low:.3f} to {judge.auroc_high:.3f}" if judge else NOTHING,
        part(texts.distinct_2),
        part(texts.repetition) + MORE * repeats,
        part(copied.share_8gram),
        part(copied.copying_texts) + MORE * copies,
        part(texts.finished),
        round(texts.words),
    ]
