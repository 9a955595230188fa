"""The page of `arasuji compare`: which model is better, by how much, and what their texts are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from arasuji.evaluation.report import (
    Accuracy,
    ComparedModel,
    Genre,
    Judged,
    Likelihood,
    Meta,
    Obedience,
    Pair,
    RealTexts,
    Report,
)
from arasuji.evaluation.verdict import verdict
from arasuji.reports import compare_plots, svg
from arasuji.reports.compare_plots import REAL, Models
from arasuji.reports.page import NOTHING, Table, brief, count, duration, render
from arasuji.reports.tinted import read_along, tinted
from arasuji.speech import share


def compare_page(report: Report) -> str:
    """One HTML file of a report."""
    models = report.models
    names = [model.name for model in models]
    obeyed = obedience_of(report)
    return render(
        "compare.html",
        names=names,
        meta=report.meta,
        verdict=verdict(report),
        dots=[f"var(--series-{i % len(svg.SERIES)})" for i in range(len(names))],
        bits=[compare_plots.bits(models, report.pairs)],
        likelihood=_likelihood(models),
        few_recent=0 if any(m.recent for m in models) else report.meta.recent,
        pairs=_pairs(report.pairs),
        curves=compare_plots.curves(models),
        where=[*compare_plots.position(models), *compare_plots.frequency(models)],
        calibration=compare_plots.calibration(models),
        judge=compare_plots.judge(models, report.real),
        judges=[_judges(reader, judged) for reader, judged in judges_of(report)],
        telling=[(m.name, m.samples.judge.telling if m.samples.judge else []) for m in models],
        texts=[_variety(models, report.real), _shape(models, report.real)],
        obedience=[_obedience(obeyed), _by_genre(report.genres, obeyed)] if obeyed else [],
        originality=_originality(models, report.real),
        costs=_costs(models, report.meta),
        from_cache=[model.name for model in models if model.cost.from_cache],
        shown=[read_along(text, [m.shown_tokens[i] for m in models], names) for i, text in enumerate(report.shown)],
        samples=[
            (prompt, [tinted(m.name, m.texts[i], prompt, report.nearest) for m in models])
            for i, prompt in enumerate(report.prompts)
        ],
    )


Row = TypeVar("Row")
Measure = tuple[Callable[[Row], str], str]
"""How a row's figure is shown, and what the figure means in one sentence."""


def _by_row(caption: str, first: str, rows: Sequence[tuple[str, Row]], measures: dict[str, Measure[Row]]) -> Table:
    """A named row for each model, a column for each measure."""
    return Table(
        caption,
        [first, *measures],
        [[name, *(figure(row) for figure, _ in measures.values())] for name, row in rows],
        legend={name: note for name, (_, note) in measures.items() if note},
    )


def _by_model(caption: str, models: Models, measures: dict[str, Measure[ComparedModel]]) -> Table:
    return _by_row(caption, "model", [(model.name, model) for model in models], measures)


def _by_texts(
    caption: str, models: Models, real: RealTexts, measures: dict[str, Measure[ComparedModel | RealTexts]]
) -> Table:
    """Real texts come first."""
    rows: list[tuple[str, ComparedModel | RealTexts]] = [(REAL, real), *((model.name, model) for model in models)]
    return _by_row(caption, "texts", rows, measures)


def _part(value: float | None) -> str:
    return NOTHING if value is None else share(value)


def _likelihood(models: Models) -> Table:
    def interval(found: Likelihood | None) -> str:
        if found is None or found.low is None or found.high is None:
            return NOTHING
        return f"{found.low:.3f} to {found.high:.3f}"

    measures: dict[str, Measure[ComparedModel]] = {
        "bits per byte": (
            lambda m: f"{m.bits_per_byte:.3f}",
            "The sum of -log2 p of unseen texts over their bytes, the end of each text included.",
        ),
        "95 % interval": (interval, "Of resamples by group, so that seasons of one story count as one."),
        "of these charged": (
            lambda m: NOTHING if m.charge is None else f"{m.charge:.3f}",
            "For what a tokenizer leaves out: case, spacing, and how unknown words are spelled.",
        ),
        "tokens per byte": (lambda m: f"{m.tokens_per_byte:.3f}", "The more, the smaller the tokens."),
    }
    if any(m.recent for m in models):
        measures |= {
            "from 2025 on": (
                lambda m: f"{m.recent.bits_per_byte:.3f}" if m.recent else NOTHING,
                "Bits per byte of titles that are later than SmolLM2 and GPT-2.",
            ),
            "their interval": (lambda m: interval(m.recent), "It is wider, since there are fewer of them."),
            "how many": (lambda m: count(m.recent.scored) if m.recent else NOTHING, "Titles from 2025 on."),
        }
    return _by_model("Likelihood of held-out texts", models, measures)


def _pairs(pairs: Sequence[Pair]) -> Table:
    def signed(value: float) -> str:
        return f"{value:+.3f}".replace("-", "−")

    return Table(
        "Every two models on the same documents",
        ["models", "difference, bits per byte", "95 % interval", "verdict"],
        [
            [
                f"{p.a} against {p.b}",
                signed(p.difference),
                NOTHING if p.low is None or p.high is None else f"{signed(p.low)} to {signed(p.high)}",
                f"{p.a} is better" if p.verdict == "better" else p.verdict,
            ]
            for p in pairs
        ],
    )


def judges_of(report: Report) -> list[tuple[str, list[tuple[str, Judged]]]]:
    """Each reader, with what it has told of real texts and of each model's, the first reader first."""
    sets = [(REAL, report.real.samples), *((model.name, model.samples) for model in report.models)]
    found: dict[str, list[tuple[str, Judged]]] = {}
    for name, samples in sets:
        for judged in (samples.judge, *samples.more_judges):
            if judged:
                found.setdefault(judged.reader, []).append((name, judged))
    return list(found.items())


def _judges(reader: str, rows: Sequence[tuple[str, Judged]]) -> Table:
    def area(found: Accuracy) -> str:
        return f"{found.auroc:.2f} ({found.auroc_low:.2f} to {found.auroc_high:.2f})"

    measures: dict[str, Measure[Judged]] = {
        "accuracy": (lambda j: share(j.accuracy), "Of a judge that sees the reader's hidden states and its surprisal."),
        "95 % interval": (lambda j: f"{share(j.low)} to {share(j.high)}", "Of resamples by group."),
        "AUROC": (area, "How often it finds out which of two texts, one generated and one real, is generated."),
        "without surprisal": (
            lambda j: share(j.without_surprisal.accuracy),
            "The accuracy of one that sees the hidden states alone: a model that was made from the reader surprises it "
            "less than others do.",
        ),
        "words": (lambda j: share(j.words_accuracy), "Of one that sees words and pairs of words alone."),
        "texts": (lambda j: count(j.texts), "Texts of each kind."),
    }
    if any(judged.mauve is not None for _, judged in rows):
        measures["MAUVE"] = (
            lambda j: NOTHING if j.mauve is None else f"{j.mauve:.2f}",
            "How alike the texts are to real ones in the reader's last layer, from 0 to 1.",
        )
    return _by_row(f"How well a judge tells them from real texts, read by {reader}", "texts of", rows, measures)


def _variety(models: Models, real: RealTexts) -> Table:
    def varied(mean: float | None, between: tuple[float, float] | None) -> str:
        if mean is None or between is None:
            return NOTHING
        off = max(abs(mean - end) for end in between)
        return share(mean) if off < 0.0005 else f"{share(mean)} ± {100 * off:.1f}"

    measures: dict[str, Measure[ComparedModel | RealTexts]] = {
        "different words": (
            lambda m: varied(m.samples.distinct_1, m.samples.distinct_1_range),
            "Different words among all words (distinct-1).",
        ),
        "different pairs": (
            lambda m: varied(m.samples.distinct_2, m.samples.distinct_2_range),
            "Different pairs of words among all pairs (distinct-2).",
        ),
        "different triples": (
            lambda m: varied(m.samples.distinct_3, m.samples.distinct_3_range),
            "Different triples of words among all triples (distinct-3).",
        ),
        "self-BLEU": (
            lambda m: varied(m.samples.self_bleu, m.samples.self_bleu_range),
            "How much each text resembles the others.",
        ),
        "repetition": (
            lambda m: varied(m.samples.repetition, m.samples.repetition_range),
            "Shingles of four words that the same text has had before.",
        ),
    }
    return _by_texts("How varied texts are", models, real, measures)


def _shape(models: Models, real: RealTexts) -> Table:
    measures: dict[str, Measure[ComparedModel | RealTexts]] = {
        "end by themselves": (
            lambda m: _part(m.samples.finished),
            "Texts that the model ended before they had the longest length allowed.",
        ),
        "words": (lambda m: f"{m.samples.words:.0f}", "The median length of a text."),
        "long enough": (lambda m: _part(m.samples.long_enough), "Texts that have the number of words compared."),
    }
    return _by_texts("How long they are, and whether they end", models, real, measures)


def obedience_of(report: Report) -> list[tuple[str, Obedience]]:
    """How surely real texts, and those of each model that can be told genres, show them."""
    sets = [(REAL, report.real.obedience), *((model.name, model.obedience) for model in report.models)]
    return [(name, found) for name, found in sets if found]


def points(value: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * value:+z.0f}".replace("-", "−")


def between(low: float | None, high: float | None, said: Callable[[float], str]) -> str:
    """The ends of an interval."""
    return NOTHING if low is None or high is None else f"{said(low)} to {said(high)}"


def of_real(part: float | None) -> str:
    """A lift as a share of that of real texts."""
    return NOTHING if part is None else f"{100 * part:z.0f}\u00a0%".replace("-", "−")


def _obedience(rows: Sequence[tuple[str, Obedience]]) -> Table:
    measures: dict[str, Measure[Obedience]] = {
        "lift, points": (
            lambda o: points(o.lift),
            "The share in per cent of the texts asked for a genre in which it is found, less that of the other texts: "
            "the median of the genres. Real texts count as asked for the genres that they have.",
        ),
        "95 % interval": (lambda o: between(o.low, o.high, points), "Of resamples of the texts by group."),
        "of the real lift": (lambda o: of_real(o.of_real), "The lift as a share of that of real texts."),
        "its interval": (
            lambda o: between(o.of_real_low, o.of_real_high, of_real),
            "Of resamples of both kinds of texts.",
        ),
        "times": (
            lambda o: NOTHING if o.times is None else f"{o.times:.1f}",
            "How many times as often a genre is found in the texts asked for it as in the others, the median.",
        ),
        "texts": (lambda o: count(o.texts), "Texts that were asked for genres, and real ones that have some."),
    }
    return _by_row("How surely texts show the genres they were asked for", "texts", rows, measures)


def _by_genre(genres: Sequence[Genre], rows: Sequence[tuple[str, Obedience]]) -> Table:
    """A row for each genre, and for each kind of texts what was found in them."""

    def found(obeyed: Obedience, i: int) -> str:
        one = obeyed.genres[i]
        return f"{share(one.found)} / {share(one.found_in_others)}"

    def lift(obeyed: Obedience, i: int) -> str:
        one = obeyed.genres[i]
        interval = "" if one.low is None or one.high is None else f" ({between(one.low, one.high, points)})"
        return f"{points(one.lift)}{interval}"

    return Table(
        "Where each genre is found: in texts asked for it / in the others, and the lift with its 95 % interval",
        ["genre", "AUROC", *(header for name, _ in rows for header in (name, "lift"))],
        [
            [genre.name, f"{genre.auroc:.2f}", *(cell(own, i) for _, own in rows for cell in (found, lift))]
            for i, genre in enumerate(genres)
        ],
        legend={"AUROC": "How often the classifier finds out which of two real texts, one with the genre, has it."},
    )


def _originality(models: Models, real: RealTexts) -> Table:
    def longest(m: ComparedModel | RealTexts) -> str:
        low, high = m.originality.longest_words_range
        return f"{m.originality.longest_words} words" + (f" ({low} to {high})" if low < high else "")

    measures: dict[str, Measure[ComparedModel | RealTexts]] = {
        "longest copy": (longest, "The most words in a row, of whole texts, that stand in a training text."),
        "4 in a row": (
            lambda m: _part(m.originality.share_4gram),
            "Shingles of four words that stand in the training split.",
        ),
        "8 in a row": (lambda m: _part(m.originality.share_8gram), "Shingles of eight words."),
        "13 in a row": (
            lambda m: _part(m.originality.share_13gram),
            "Shingles of thirteen words, which are hardly ever chance.",
        ),
        "texts that copy": (
            lambda m: _part(m.originality.copying_texts),
            "Whole texts with thirteen words in a row or more.",
        ),
        "nearest": (
            lambda m: _part(m.originality.containment),
            "The share of a text's shingles of three words that one training text has, of the nearest one; the median.",
        ),
    }
    return _by_texts("What stands in the training split, word for word", models, real, measures)


def _costs(models: Models, meta: Meta) -> Table:
    def learning(m: ComparedModel) -> str:
        seconds = m.cost.training_seconds
        return f"{(m.cost.training_tokens or 0) / seconds:,.0f}" if seconds else NOTHING

    measures: dict[str, Measure[ComparedModel]] = {
        "parameters": (
            lambda m: count(m.parameters),
            "The numbers that make the model; for an n-gram model, its n-grams.",
        ),
        "on disk": (lambda m: f"{brief(m.cost.disk_bytes)}B", "The folder of the weights, in bytes."),
        "training": (
            lambda m: duration(m.cost.training_seconds / 60) if m.cost.training_seconds else NOTHING,
            "The time of the run, validations included, wherever it was run.",
        ),
        "learns": (learning, "Tokens a second of that time."),
        "writes alone": (lambda m: f"{m.cost.tokens_per_second_alone:,.0f}", "Tokens a second of one text."),
        "writes together": (
            lambda m: f"{m.cost.tokens_per_second_together:,.0f}",
            "Tokens a second of many texts at once.",
        ),
        "bytes together": (
            lambda m: f"{m.cost.bytes_per_second_together:,.0f}",
            "The same in bytes, which can be compared whatever the tokens are.",
        ),
        "memory": (
            lambda m: f"{brief(m.cost.memory_bytes)}B",
            "The most that the process held while writing, beyond Python and torch.",
        ),
        "quantization cost": (
            lambda m: f"{100 * m.quantization_cost:+z.2f} %".replace("-", "−"),
            f"More bits per byte with the weights that write ({meta.written_in}) than with those that score "
            f"({meta.scored_in}).",
        ),
    }
    return _by_model("What they cost", models, measures)
