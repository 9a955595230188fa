"""The page of `arasuji inspect`: what a collection holds, what is wrong with it, and what to expect of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from arasuji.inspection import Duplicates, Inspection, Stage, Vocabulary
from arasuji.reports.inspect_plots import beyond, genres, growth, lengths, outlook, years
from arasuji.reports.page import NOTHING, Table, count, render, several
from arasuji.speech import share

CLUSTERS = 20
"""Clusters of repeats that are shown."""

_MEASURES: dict[str, tuple[Callable[[Stage], int], str]] = {
    "documents": (lambda stage: stage.documents, "Texts, one to a row or a file."),
    "words": (
        lambda stage: stage.words,
        "What white space parts; in scripts without spaces, two characters are a word.",
    ),
    "bytes": (lambda stage: stage.bytes, "The size of the texts in UTF-8, where an English letter is one byte."),
    "empty": (lambda stage: stage.empty, "Documents without a text."),
}
_QUANTILES = {
    "0": "shortest text",
    "5": "5\u00a0% of the texts have at most",
    "25": "a quarter have at most",
    "50": "half have at most (the median)",
    "75": "three quarters have at most",
    "95": "95\u00a0% have at most",
    "100": "longest text",
}
_LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "la": "Latin",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "th": "Thai",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def inspect_page(inspection: Inspection, facts: Mapping[str, Any]) -> str:
    """One HTML file. `facts` stand at its foot: {"command", "seed", "versions": {name: version}}."""
    found, prepared = inspection.found, inspection.prepared
    stages = {"as found": found, "as prepared": prepared} if inspection.rules else {"in the corpus": prepared}
    names = [Path(source).name or source for source in inspection.sources]
    return render(
        "inspect.html",
        name=", ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} more",
        inspection=inspection,
        facts=facts,
        found=found,
        findings=Table(
            "What to know or to mend",
            ["texts that", "documents", "rule that mends it"],
            [[finding.what, finding.documents, finding.rule or "none"] for finding in inspection.findings],
        ),
        sizes=_sizes(stages),
        removals=_removals(inspection.removals),
        lengths=lengths(stages),
        tokenizers=Table(
            "Tokenizers",
            ["tokenizer", "documents counted", "tokens", "bytes per token"],
            [[b.tokenizer, b.documents, b.tokens, f"{b.bytes_per_token:.2f}"] for b in inspection.tokenizers],
        ),
        beyond=beyond(inspection.tokenizers),
        vocabulary=_vocabulary(inspection.vocabulary),
        growth=growth(inspection.vocabulary),
        genres=genres(stages),
        years=years(stages),
        languages=_languages(stages),
        language=_the_language(found),
        duplicates=_duplicates(inspection.duplicates, found),
        clusters=[
            (cluster, list(zip_longest(cluster.titles, cluster.texts, fillvalue="")))
            for cluster in inspection.duplicates.clusters[:CLUSTERS]
        ],
        boilerplate=Table(
            "Phrases at the beginning or the end of many texts",
            ["phrase", "documents"],
            [[phrase.text, phrase.documents] for phrase in inspection.boilerplate],
        ),
        outlook=outlook(inspection.outlook),
    )


def _sizes(stages: dict[str, Stage]) -> Table:
    rows: list[list[str | int]] = [
        [name, *(measure(stage) for stage in stages.values())] for name, (measure, _) in _MEASURES.items()
    ]
    notes: dict[str | int, str] = {name: note for name, (_, note) in _MEASURES.items()}
    rows += [[name, *(_words(stage, key) for stage in stages.values())] for key, name in _QUANTILES.items()]
    return Table("The size of the collection, and the lengths of its texts", ["measure", *stages], rows, notes)


def _words(stage: Stage, quantile: str) -> str:
    return several(stage.quantiles[quantile], "word") if quantile in stage.quantiles else NOTHING


def _removals(removals: list[dict[str, Any]]) -> Table:
    rows = [
        ["before the rules" if row["rule"] == "all" else row["rule"], row["removed"], row["changed"], row["left"]]
        for row in removals
    ]
    return Table("Documents that each rule removed, changed and left", ["rule", "removed", "changed", "left"], rows)


def _vocabulary(vocabulary: Vocabulary) -> Table:
    once = share(vocabulary.once / max(1, vocabulary.different))
    return Table(
        "Words of the training split",
        ["measure", "figure"],
        [
            ["words", vocabulary.words],
            ["different words", vocabulary.different],
            ["words that occur once", f"{count(vocabulary.once)} ({once})"],
            ["unknown words", share(vocabulary.unknown_rate)],
        ],
        {
            "different words": "Capitals and small letters count as the same.",
            "words that occur once": "And their share of the different words: one text does not teach their use.",
            "unknown words": "Share of the validation split's words that do not occur at least twice in training: "
            "a model of whole words can neither read nor write them.",
        },
    )


def _languages(stages: dict[str, Stage]) -> Table:
    seen = {code: None for stage in stages.values() for code in stage.languages}
    names = {code: f"{name} ({code})" for code, name in _LANGUAGES.items()} | {"?": "too short to tell (?)"}
    rows: list[list[str | int]] = [
        [names.get(code, code), *(stage.languages.get(code, 0) for stage in stages.values())] for code in seen
    ]
    return Table("Documents of each language", ["language", *stages], rows)


def _the_language(stage: Stage) -> str:
    """The one language of the texts, or "" where there are none or several."""
    known = [code for code, documents in stage.languages.items() if documents and code != "?"]
    return _LANGUAGES.get(known[0], known[0]) if len(known) == 1 else ""


def _duplicates(duplicates: Duplicates, found: Stage) -> Table:
    def row(name: str, documents: int) -> list[str | int]:
        return [name, documents, share(documents / max(1, found.documents))]

    return Table(
        "Repeats among the texts as found",
        ["repeats", "documents", "of all"],
        [row("exact", duplicates.exact), row("near", duplicates.near)],
        {
            "exact": "Repeat an earlier text, but for case and white space.",
            "near": "Beyond these, are nearly the same as an earlier text.",
        },
    )
