"""The plots of the inspection: each says its finding in its title and brings the figures behind it."""

from __future__ import annotations

from itertools import pairwise

from arasuji.inspection import Beyond, Outlook, Stage, Vocabulary
from arasuji.reports import plots, svg
from arasuji.reports.page import NOTHING, Plot, Table, count, duration, several
from arasuji.speech import share

MOST_GENRES = 20
"""Genres that are drawn; the table has them all."""
FITS = 0.05
"""Share of the texts that a fitting context may cut."""


def lengths(stages: dict[str, Stage]) -> list[Plot]:
    """The histogram of each stage, all to one scale."""
    stages = {name: stage for name, stage in stages.items() if any(documents for _, documents in stage.lengths)}
    top = max((documents for stage in stages.values() for _, documents in stage.lengths), default=0)
    return [_lengths(name, stage, top) for name, stage in stages.items()]


def _lengths(name: str, stage: Stage, top: int) -> Plot:
    starts = [start for start, _ in stage.lengths]
    median = stage.quantiles.get("50", 0)
    title = f"{name.capitalize()}, half have at most {several(median, 'word')}"
    if stage.documents == 1:
        title = f"{name.capitalize()}, the one text has {several(median, 'word')}"
    ranges = [f"{a:,} to {b - 1:,}" for a, b in pairwise(starts)] + [f"{starts[-1]:,} or more"]
    rows: list[list[str | int]] = [
        [words, documents] for words, (_, documents) in zip(ranges, stage.lengths, strict=True)
    ]
    return Plot(
        title,
        "",
        plots.histogram(title, stage.lengths, "words of a text", top, (median, f"median {median:,}")),
        Table(f"Lengths {name}", ["words", "documents"], rows),
    )


def beyond(tokenizers: list[Beyond]) -> list[Plot]:
    """How many texts are longer than a context, for each tokenizer."""
    sizes = sorted({size for tokenizer in tokenizers for size in tokenizer.beyond})
    if not sizes:
        return []
    most = {size: max(tokenizer.beyond.get(size, 0) for tokenizer in tokenizers) for size in sizes}
    fitting = next((size for size in sizes if most[size] <= FITS), None)
    if fitting is not None:
        title = f"A context of {fitting:,} tokens holds at least {share(1 - most[fitting])} of the texts whole"
    else:
        title = f"Even a context of {sizes[-1]:,} tokens cuts up to {share(most[sizes[-1]])} of the texts"
    lines = {b.tokenizer: {sizes.index(size): part for size, part in sorted(b.beyond.items())} for b in tokenizers}
    rows = [[b.tokenizer, *(share(b.beyond[s]) if s in b.beyond else NOTHING for s in sizes)] for b in tokenizers]
    return [
        Plot(
            title,
            "The share of the texts that are longer than a context of this length, and lose their end in it.",
            plots.shares(title, [f"{size:,}" for size in sizes], lines, "tokens of context"),
            Table("Texts longer than a context", ["tokenizer", *(f"{s:,} tokens" for s in sizes)], rows),
        )
    ]


def growth(vocabulary: Vocabulary) -> list[Plot]:
    """Different words against words read."""
    points = [(0, 0), *vocabulary.growth]
    if len(points) < 2:
        return []
    (before, known), (words, different) = points[-2:]
    pace = 1000 * (different - known) / max(1, words - before)
    title = f"The last 1,000 words read bring about {pace:,.{0 if pace >= 10 else 1}f} that are new"
    if words < 1000:
        title = f"{several(words, 'word')} hold {several(different, 'different one')}"
    return [
        Plot(
            title,
            "Different words met while the training split is read; the line flattens where texts repeat their words.",
            plots.growth(title, vocabulary.growth, "words read", "different words"),
            Table("Growth of the vocabulary", ["words read", "different words"], [list(p) for p in vocabulary.growth]),
        )
    ]


def genres(stages: dict[str, Stage]) -> list[Plot]:
    """The most frequent genres of what the models learn from."""
    last = list(stages.values())[-1].genres
    seen = {genre: last.get(genre, 0) for stage in stages.values() for genre in stage.genres}
    if not seen:
        return []
    ordered = sorted(seen, key=lambda genre: -seen[genre])
    shown = ordered[:MOST_GENRES]
    documents = list(stages.values())[-1].documents
    title = f"{_in_line(shown[0])} is the most frequent genre: {share(seen[shown[0]] / max(1, documents))} of the texts"
    if not seen[shown[0]]:
        title = "The rules removed every text with a genre"
    of = f"the {len(shown)} most frequent of {len(ordered):,} genres" if len(ordered) > len(shown) else "each genre"
    return [
        Plot(
            title,
            f"Documents of {of}, {list(stages)[-1]}; a document may have several.",
            plots.rows(title, shown, [seen[g] for g in shown], [count(seen[g]) for g in shown], svg.BAR),
            Table("Documents of each genre", ["genre", *stages], [[g, *_of(stages, "genres", g)] for g in ordered]),
        )
    ]


def years(stages: dict[str, Stage]) -> list[Plot]:
    """When the works are from: a bar for a year, or for ten, a hundred or a thousand where the years reach far."""
    last = list(stages.values())[-1].years
    seen = sorted({year for stage in stages.values() for year in stage.years})
    if not seen:
        return []
    span = next(span for span in (1, 10, 100, 1000, seen[-1] - seen[0] + 1) if (seen[-1] - seen[0]) / span <= 100)
    first = seen[0] // span * span
    bars = dict.fromkeys(range(first, seen[-1] + 1, span), 0)
    for year, documents in last.items():
        bars[year // span * span if span <= 1000 else first] += documents
    title = f"Half of the texts with a year are from {_middle(last)} or later" if last else "No text kept has a year"
    return [
        Plot(
            title,
            f"Documents of {'each year' if span == 1 else f'every {span:,} years'}, {list(stages)[-1]}.",
            plots.columns(title, bars, "year"),
            Table("Documents of each year", ["year", *stages], [[str(y), *_of(stages, "years", y)] for y in seen]),
        )
    ]


def outlook(presets: list[Outlook]) -> list[Plot]:
    """What each preset is expected to reach, the best first."""
    ordered = sorted(presets, key=lambda preset: preset.bits_per_byte)
    if not ordered:
        return []
    best = ordered[0]
    title = f"{best.preset} is expected to need the fewest bits: {best.bits_per_byte:.2f} per byte"
    bits = [preset.bits_per_byte for preset in ordered]
    return [
        Plot(
            title,
            "Bits that a model needs for one byte of a text it has not seen: the fewer, the better its predictions.",
            plots.rows(title, [p.preset for p in ordered], bits, [f"{b:.2f}" for b in bits], svg.MODEL),
            Table(
                "What each preset is expected to reach",
                ["preset", "bits per byte", "training"],
                [[p.preset, f"{p.bits_per_byte:.2f}", duration(p.minutes)] for p in ordered],
            ),
        )
    ]


def _of(stages: dict[str, Stage], what: str, key: str | int) -> list[int]:
    return [getattr(stage, what).get(key, 0) for stage in stages.values()]


def _in_line(text: str) -> str:
    return " ".join(text.split())


def _middle(years: dict[int, int]) -> int:
    """The latest year from which on there are half of the documents."""
    total, later = sum(years.values()), 0
    for year in sorted(years, reverse=True):
        later += years[year]
        if 2 * later >= total:
            break
    return year
