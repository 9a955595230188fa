"""The plots of a comparison: each says its finding in its title and brings the figures behind it."""

from __future__ import annotations

from collections.abc import Sequence

from arasuji.evaluation.report import ComparedModel, Pair, RealTexts
from arasuji.evaluation.verdict import foremost, listed, most_like_real
from arasuji.reports import plots, svg
from arasuji.reports.page import NOTHING, Plot, Table, brief, duration
from arasuji.speech import share

REAL = "real texts"
"""The name of the row of real texts."""
Models = Sequence[ComparedModel]


def colours_of(models: Models) -> dict[str, str]:
    """The colour of each model, by its name."""
    return {model.name: svg.SERIES[i % len(svg.SERIES)] for i, model in enumerate(models)}


def bits(models: Models, pairs: Sequence[Pair]) -> Plot:
    """Bits per byte with their intervals."""
    ordered = sorted(models, key=lambda model: model.bits_per_byte)
    first, colours = foremost(models, pairs), colours_of(models)
    title = f"{listed(first)} need the fewest bits"
    if len(first) == 1:
        fewer = share(1 - ordered[0].bits_per_byte / ordered[1].bits_per_byte)
        title = f"{first[0]} needs {fewer} fewer bits than any other"

    def shown(value: float | None) -> str:
        return NOTHING if value is None else f"{value:.3f}"

    return Plot(
        title,
        "Bits for a byte of held-out text, with the interval that holds 95 % of resamples.",
        plots.rows(
            title,
            [m.name for m in ordered],
            [m.bits_per_byte for m in ordered],
            [shown(m.bits_per_byte) for m in ordered],
            [colours[m.name] for m in ordered],
            [(m.bits_per_byte if m.low is None else m.low, m.bits_per_byte if m.high is None else m.high)
             for m in ordered],
        ),
        Table(
            "Bits per byte",
            ["model", "bits per byte", "from", "to"],
            [[m.name, shown(m.bits_per_byte), shown(m.low), shown(m.high)] for m in ordered],
        ),
    )  # fmt: skip


def curves(models: Models) -> list[Plot]:
    """How each run learned."""
    learned = {m.name: [(p.tokens, p.seconds / 60, p.bits_per_byte + (m.charge or 0)) for p in m.curve] for m in models}
    drawn = {name: [(minutes, bits) for _, minutes, bits in line] for name, line in learned.items() if len(line) > 1}
    if not drawn:
        return []
    title = "How the bits per byte of the validation texts fall while a model learns"
    rows: list[list[str | int]] = [
        [name, tokens, duration(minutes), f"{bits:.3f}"]
        for name, line in learned.items()
        for tokens, minutes, bits in line
    ]
    note = (
        "Bits per byte of the validation texts that each run has drawn for itself, by its training time. To those "
        "of a word model, the charge of its tokenizer for the test texts is added."
    )
    svg = plots.lines(title, drawn, colours_of(models), ("minutes of training", "bits per byte"))
    return [
        Plot(title, note, svg, Table("Validation while learning", ["model", "tokens", "time", "bits per byte"], rows))
    ]


def position(models: Models) -> list[Plot]:
    """Bits per byte by the position in the text."""
    starts = [part.start for part in models[0].bits_by_position]
    if len(starts) < 2:
        return []
    middle = len(starts) // 2
    first, later = (sum(m.bits_by_position[i].bits_per_byte for m in models) for i in (0, middle))
    title = f"The beginning takes {_times(first, later)} times the bits of the part from character {starts[middle]}"
    drawn = {m.name: [(i, part.bits_per_byte) for i, part in enumerate(m.bits_by_position)] for m in models}
    rows: list[list[str | int]] = [
        [f"from {start}", *(f"{m.bits_by_position[i].bits_per_byte:.3f}" for m in models)]
        for i, start in enumerate(starts)
    ]
    ticks = [str(start) for start in starts]
    return [
        Plot(
            title,
            "Bits per byte in each part of the texts; the parts begin at these characters.",
            plots.lines(title, drawn, colours_of(models), ("characters read", "bits per byte"), ticks),
            Table("Bits per byte by position", ["characters", *(m.name for m in models)], rows),
        )
    ]


def frequency(models: Models) -> list[Plot]:
    """Bits per word by how frequent the word is."""
    classes = models[0].bits_by_frequency
    if len(classes) < 2:
        return []
    rare, frequent = (sum(m.bits_by_frequency[i].bits_per_word for m in models) for i in (0, -1))
    known = "is rare in" if classes[0].least else "does not occur in"
    title = f"A word that {known} the training texts takes {_times(rare, frequent)} times the bits of a frequent one"
    ticks = [brief(kind.least).replace("\u00a0", "").replace(" ", "") for kind in classes]
    drawn = {m.name: [(i, kind.bits_per_word) for i, kind in enumerate(m.bits_by_frequency)] for m in models}
    rows: list[list[str | int]] = [
        [tick, classes[i].words, *(f"{m.bits_by_frequency[i].bits_per_word:.1f}" for m in models)]
        for i, tick in enumerate(ticks)
    ]
    return [
        Plot(
            title,
            "Bits of a word, by the least number of times that it occurs in the training split.",
            plots.lines(title, drawn, colours_of(models), ("occurrences in training", "bits per word"), ticks),
            Table("Bits per word by frequency", ["occurrences", "words", *(m.name for m in models)], rows),
        )
    ]


def calibration(models: Models) -> list[Plot]:
    """Accuracy by confidence."""
    drawn = {m.name: [(b.confidence, b.accuracy) for b in m.calibration] for m in models if m.calibration}
    if not drawn:
        return []
    best = min(models, key=lambda m: m.calibration_error)
    title = f"{best.name} is the best calibrated: {share(best.calibration_error)} off on average"
    rows: list[list[str | int]] = [
        [m.name, share(b.confidence), share(b.accuracy), b.tokens] for m in models for b in m.calibration
    ]
    return [
        Plot(
            title,
            "How often the likeliest token came, by the probability that the model gave it. Below the straight line, a "
            "model is too confident.",
            plots.lines(title, drawn, colours_of(models), ("confidence", "accuracy"), diagonal=True),
            Table("Calibration", ["model", "confidence", "accuracy", "tokens"], rows),
        )
    ]


def judge(models: Models, real: RealTexts) -> list[Plot]:
    """How well the judge tells the texts from real ones."""
    colours = colours_of(models)
    found = [(m.name, m.samples.judge, colours[m.name]) for m in models if m.samples.judge]
    if not found:
        return []
    found.sort(key=lambda row: row[1].accuracy)
    title = f"The texts of {listed(most_like_real(models))} are the hardest to tell from real ones"
    if len(found) == 1:
        title = f"The texts of {found[0][0]} are told from real ones with an accuracy of {share(found[0][1].accuracy)}"
    if real.samples.judge:
        found.insert(0, (REAL, real.samples.judge, svg.INK))
    rows: list[list[str | int]] = [[name, share(c.accuracy), share(c.low), share(c.high)] for name, c, _ in found]
    return [
        Plot(
            title,
            f"Accuracy of a judge that reads them as they are written, through {found[0][1].reader}; 50 % is chance.",
            plots.rows(
                title,
                [name for name, _, _ in found],
                [c.accuracy for _, c, _ in found],
                [share(c.accuracy) for _, c, _ in found],
                [colour for _, _, colour in found],
                [(c.low, c.high) for _, c, _ in found],
            ),
            Table("Accuracy of the judge", ["texts", "accuracy", "from", "to"], rows),
        )
    ]


def _times(one: float, other: float) -> str:
    """One as a multiple of the other, which may be 0."""
    return f"{one / max(other, 0.001):.1f}"
