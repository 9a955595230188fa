"""The page of `arasuji compare`: which model is better, by how much, and what their texts are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arasuji.reports import plots
from arasuji.reports.page import NOTHING, Plot, Table, brief, count, duration, render, share
from arasuji.reports.tinted import read_along, tinted
from arasuji.reports.verdict import foremost, hardest_to_tell, listed, verdict

REAL = "real texts"


def compare_page(report: dict[str, Any]) -> str:
    """One HTML file of a report."""
    models = report["models"]
    names = [model["name"] for model in models]
    colours = {name: plots.SERIES[i % len(plots.SERIES)] for i, name in enumerate(names)}
    return render(
        "compare.html",
        names=names,
        meta=report["meta"],
        verdict=verdict(report),
        dots=[f"var(--series-{i % len(plots.SERIES)})" for i in range(len(names))],
        bits=_bits(models, report["pairs"], colours),
        likelihood=_likelihood(models),
        few_recent=0 if any(m["recent"] for m in models) else report["meta"]["recent"],
        pairs=_pairs(report["pairs"]),
        curves=_curves(models, colours),
        where=[*_position(models, colours), *_frequency(models, colours)],
        calibration=_calibration(models, colours),
        told=_told(models, report["real"], colours),
        texts=_texts(models, report["real"]),
        originality=_originality(models, report["real"]),
        costs=_costs(models, report["meta"]),
        kept=[model["name"] for model in models if model["cost"]["kept"]],
        shown=[
            read_along(text, [model["tinted"][i] for model in models], names) for i, text in enumerate(report["shown"])
        ],
        samples=[
            (prompt, [tinted(model["name"], model["texts"][i], prompt, report["nearest"]) for model in models])
            for i, prompt in enumerate(report["prompts"])
        ],
    )


def _bits(models: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]], colours: dict[str, str]) -> list[Plot]:
    ordered = sorted(models, key=lambda model: float(model["bits_per_byte"]))
    first = foremost(models, pairs)
    title = f"{listed(first)} need the fewest bits"
    if len(first) == 1:
        fewer = share(1 - ordered[0]["bits_per_byte"] / ordered[1]["bits_per_byte"])
        title = f"{first[0]} needs {fewer} fewer bits than any other"
    table = Table(
        "Bits per byte",
        ["model", "bits per byte", "from", "to"],
        [[m["name"], *(f"{m[key]:.3f}" for key in ("bits_per_byte", "low", "high"))] for m in ordered],
    )
    svg = plots.rows(
        title,
        [m["name"] for m in ordered],
        [m["bits_per_byte"] for m in ordered],
        [f"{m['bits_per_byte']:.3f}" for m in ordered],
        [colours[m["name"]] for m in ordered],
        [(m["low"], m["high"]) for m in ordered],
    )
    return [
        Plot(title, "Bits for a byte of held-out text, with the interval that holds 95 % of resamples.", svg, table)
    ]


def _likelihood(models: Sequence[dict[str, Any]]) -> Table:
    def interval(found: dict[str, Any] | None) -> str:
        return f"{found['low']:.3f} to {found['high']:.3f}" if found else NOTHING

    def recent(model: dict[str, Any]) -> str:
        return f"{model['recent']['bits_per_byte']:.3f}" if model["recent"] else NOTHING

    measures: dict[str, Measure] = {
        "bits per byte": (
            lambda m: f"{m['bits_per_byte']:.3f}",
            "What a byte of unseen text costs: the sum of -log2 p over the bytes, the end of each text included.",
        ),
        "95 % interval": (interval, "Of resamples by group, so that seasons of one story count as one."),
        "of these charged": (
            lambda m: NOTHING if m["charge"] is None else f"{m['charge']:.3f}",
            "For what a tokenizer throws away: case, spacing, and how unknown words are spelled.",
        ),
        "tokens per byte": (lambda m: f"{m['tokens_a_byte']:.3f}", "How finely the tokenizer cuts."),
    }
    if any(m["recent"] for m in models):
        measures |= {
            "from 2025 on": (recent, "Bits per byte of titles that a pretrained model cannot have met."),
            "their interval": (lambda m: interval(m["recent"]), "It is wider, since there are fewer of them."),
            "how many": (lambda m: count(m["recent"]["scored"]) if m["recent"] else NOTHING, "Titles from 2025 on."),
        }
    return _by_model("Likelihood of held-out texts", models, measures)


Measure = tuple[Callable[[dict[str, Any]], str], str]
"""How a model's part of the report is shown, and what that means in one sentence."""


def _by_model(
    caption: str,
    models: Sequence[dict[str, Any]],
    measures: dict[str, Measure],
    real: dict[str, Any] | None = None,
) -> Table:
    """A row a model, real texts first, a column a measure."""
    rows = [*([{"name": REAL, **real}] if real else []), *models]
    return Table(
        caption,
        ["texts" if real else "model", *measures],
        [[row["name"], *(figure(row) for figure, _ in measures.values())] for row in rows],
        legend={name: note for name, (_, note) in measures.items() if note},
    )


def _pairs(pairs: Sequence[dict[str, Any]]) -> Table:
    return Table(
        "Every two models on the same documents",
        ["models", "difference, bits per byte", "95 % interval", "verdict"],
        [
            [
                f"{p['a']} against {p['b']}",
                f"{p['difference']:+.3f}".replace("-", "−"),
                f"{p['low']:+.3f} to {p['high']:+.3f}".replace("-", "−"),
                f"{p['a']} is better" if p["verdict"] == "better" else p["verdict"],
            ]
            for p in pairs
        ],
    )


def _curves(models: Sequence[dict[str, Any]], colours: dict[str, str]) -> list[Plot]:
    drawn = {
        m["name"]: [(seconds / 60, bits + (m["charge"] or 0)) for _, seconds, bits in m["curve"]]
        for m in models
        if len(m["curve"]) > 1
    }
    if not drawn:
        return []
    title = "How the validation texts become cheaper while a model learns"
    rows: list[list[str | int]] = [
        [m["name"], tokens, duration(seconds / 60), f"{bits + (m['charge'] or 0):.3f}"]
        for m in models
        for tokens, seconds, bits in m["curve"]
    ]
    note = (
        "Bits per byte of the validation texts that each run has drawn for itself, against its time. To those of a "
        "word model is added what the test texts are charged for what its words leave out."
    )
    svg = plots.lines(title, drawn, colours, ("minutes of training", "bits per byte"))
    return [
        Plot(title, note, svg, Table("Validation while learning", ["model", "tokens", "time", "bits per byte"], rows))
    ]


def _position(models: Sequence[dict[str, Any]], colours: dict[str, str]) -> list[Plot]:
    starts = [start for start, _ in models[0]["position"]]
    if len(starts) < 2:
        return []
    middle = len(starts) // 2
    first, later = (sum(m["position"][i][1] for m in models) for i in (0, middle))
    title = f"The beginning of a text costs {first / later:.1f} times what it does from character {starts[middle]} on"
    ticks = [str(start) for start in starts]
    drawn = {m["name"]: [(i, bits) for i, (_, bits) in enumerate(m["position"])] for m in models}
    rows: list[list[str | int]] = [
        [f"from {start}", *(f"{m['position'][i][1]:.3f}" for m in models)] for i, start in enumerate(starts)
    ]
    return [
        Plot(
            title,
            "Bits per byte in each part of the texts; the parts begin at these characters.",
            plots.lines(title, drawn, colours, ("characters read", "bits per byte"), ticks),
            Table("Bits per byte by position", ["characters", *(m["name"] for m in models)], rows),
        )
    ]


def _frequency(models: Sequence[dict[str, Any]], colours: dict[str, str]) -> list[Plot]:
    classes = [least for least, _, _ in models[0]["frequency"]]
    if len(classes) < 2:
        return []
    rare, frequent = (sum(m["frequency"][i][1] for m in models) for i in (0, -1))
    known = "rarely" if classes[0] else "never"
    title = f"A word that training {known} showed costs {rare / frequent:.1f} times what a frequent one does"
    ticks = [brief(least).replace("\u00a0", "").replace(" ", "") for least in classes]
    drawn = {m["name"]: [(i, bits) for i, (_, bits, _) in enumerate(m["frequency"])] for m in models}
    rows: list[list[str | int]] = [
        [tick, models[0]["frequency"][i][2], *(f"{m['frequency'][i][1]:.1f}" for m in models)]
        for i, tick in enumerate(ticks)
    ]
    return [
        Plot(
            title,
            "Bits of a word, by how often it occurs in the training split: at least so often.",
            plots.lines(title, drawn, colours, ("occurrences in training", "bits per word"), ticks),
            Table("Bits per word by frequency", ["occurrences", "words", *(m["name"] for m in models)], rows),
        )
    ]


def _calibration(models: Sequence[dict[str, Any]], colours: dict[str, str]) -> list[Plot]:
    drawn = {m["name"]: [(sure, right) for sure, right, _ in m["calibration"]] for m in models if m["calibration"]}
    if not drawn:
        return []
    best = min(models, key=lambda m: float(m["calibration_error"]))
    title = f"{best['name']} is the best calibrated: {share(best['calibration_error'])} off on average"
    rows: list[list[str | int]] = [
        [m["name"], share(sure), share(right), tokens] for m in models for sure, right, tokens in m["calibration"]
    ]
    return [
        Plot(
            title,
            "How often the likeliest token came, by the probability it was given; on the straight line a model is as "
            "sure as it is right, below it too sure.",
            plots.lines(title, drawn, colours, ("probability given", "share that came"), diagonal=True),
            Table("Calibration", ["model", "probability", "came", "tokens"], rows),
        )
    ]


def _told(models: Sequence[dict[str, Any]], real: dict[str, Any], colours: dict[str, str]) -> list[Plot]:
    found = [(m["name"], m["samples"]["told"], colours[m["name"]]) for m in models if m["samples"]["told"]]
    if not found:
        return []
    found.sort(key=lambda row: float(row[1]["share"]))
    title = f"The texts of {listed(hardest_to_tell(models))} are the hardest to tell from real ones"
    if len(found) == 1:
        title = f"The texts of {found[0][0]} are told from real ones in {share(found[0][1]['share'])} of the cases"
    if real["samples"]["told"]:
        found.insert(0, (REAL, real["samples"]["told"], plots.INK))
    told = [row[1] for row in found]
    rows: list[list[str | int]] = [[name, *(share(t[k]) for k in ("share", "low", "high"))] for name, t, _ in found]
    return [
        Plot(
            title,
            "Share of the texts, real and written, that a classifier takes for what they are; half is chance.",
            plots.rows(
                title,
                [name for name, _, _ in found],
                [t["share"] for t in told],
                [share(t["share"]) for t in told],
                [colour for _, _, colour in found],
                [(t["low"], t["high"]) for t in told],
            ),
            Table("Told from real texts", ["texts", "share", "from", "to"], rows),
        )
    ]


def _texts(models: Sequence[dict[str, Any]], real: dict[str, Any]) -> list[Table]:
    def part(key: str) -> Callable[[dict[str, Any]], str]:
        return lambda m: NOTHING if m["samples"].get(key) is None else share(m["samples"][key])

    def varied(key: str) -> Callable[[dict[str, Any]], str]:
        def figure(m: dict[str, Any]) -> str:
            mean, between = m["samples"][key], m["samples"][f"{key}_range"]
            if mean is None:
                return NOTHING
            off = max(abs(mean - end) for end in between)
            return share(mean) if off < 0.0005 else f"{share(mean)} ± {100 * off:.1f}"

        return figure

    variety: dict[str, Measure] = {
        "different words": (varied("distinct_1"), "Different words among all (distinct-1)."),
        "different pairs": (varied("distinct_2"), "Different runs of two words among all (distinct-2)."),
        "different triples": (varied("distinct_3"), "Different runs of three words among all (distinct-3)."),
        "self-BLEU": (varied("self_bleu"), "How much each text resembles the others."),
        "repetition": (varied("repetition"), "Runs of four words that a text has had before."),
    }
    shape: dict[str, Measure] = {
        "end by themselves": (part("ends"), "Texts that ended before their room was used up."),
        "words": (lambda m: f"{m['samples']['words']:.0f}", "Half of the texts have at least so many."),
        "long enough": (part("enough"), "Texts that have the number of words compared."),
    }
    if any(m["samples"]["mauve"] is not None for m in models):
        note = (
            "How much of a cloud of their texts and one of real texts, of other prompts, is the same (MAUVE), 1 being "
            "all of it. Of a hundred texts it scatters by a tenth."
        )
        shape["MAUVE"] = (
            lambda m: NOTHING if m["samples"]["mauve"] is None else f"{m['samples']['mauve']:.2f}",
            note,
        )
    return [
        _by_model("How varied texts are", models, variety, real),
        _by_model("How long they are, and whether they end", models, shape, real),
    ]


def _originality(models: Sequence[dict[str, Any]], real: dict[str, Any]) -> Table:
    def part(key: str) -> Callable[[dict[str, Any]], str]:
        return lambda m: NOTHING if m["originality"][key] is None else share(m["originality"][key])

    def longest(m: dict[str, Any]) -> str:
        low, high = m["originality"]["longest_words_range"]
        return f"{m['originality']['longest_words']} words" + (f" ({low} to {high})" if low < high else "")

    measures: dict[str, Measure] = {
        "longest copy": (longest, "Most words in a row, of whole texts, that stand in a training text."),
        "4 in a row": (part("share_4gram"), "Runs of four words that stand in the training split."),
        "8 in a row": (part("share_8gram"), "Runs of eight words."),
        "13 in a row": (part("share_13gram"), "Runs of thirteen words, which are hardly ever chance."),
        "texts that copy": (part("copying_texts"), "Whole texts with thirteen words in a row or more."),
        "nearest": (
            part("likeness"),
            "Half of the texts have at least so many of their runs of three words in a single one.",
        ),
    }
    return _by_model("What stands in the training split, word for word", models, measures, real)


def _costs(models: Sequence[dict[str, Any]], meta: dict[str, Any]) -> Table:
    def learning(m: dict[str, Any]) -> str:
        seconds = m["cost"]["training_seconds"]
        return f"{m['cost']['training_tokens'] / seconds:,.0f}" if seconds else NOTHING

    measures: dict[str, Measure] = {
        "parameters": (lambda m: count(m["parameters"]), "Numbers that make the model; of an n-gram model, its runs."),
        "on disk": (lambda m: f"{brief(m['cost']['disk_bytes'])}B", "The folder of the weights, in bytes."),
        "training": (
            lambda m: duration(m["cost"]["training_seconds"] / 60) if m["cost"]["training_seconds"] else NOTHING,
            "Time of the run, validations included, wherever it was run.",
        ),
        "learns": (learning, "Tokens a second of that time."),
        "writes alone": (lambda m: f"{m['cost']['writing_alone']:,.0f}", "Tokens a second, one text."),
        "writes together": (lambda m: f"{m['cost']['writing_together']:,.0f}", "Tokens a second, many texts at once."),
        "bytes together": (
            lambda m: f"{m['cost']['writing_bytes']:,.0f}",
            "The same in bytes, which are alike for all.",
        ),
        "memory": (
            lambda m: f"{brief(m['cost']['memory_bytes'])}B",
            "Most that the process held while writing, beyond what Python and torch take.",
        ),
        f"price of {meta['written_in']}": (
            lambda m: f"{100 * m['price_of_writing']:+.2f} %".replace("-", "−"),
            f"More bits per byte with the weights that write than with those in {meta['scored_in']}.",
        ),
    }
    return _by_model("What they cost", models, measures)
