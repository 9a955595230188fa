"""`arasuji inspect`: what is wrong with a collection of texts, and what a model will learn from it."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from arasuji.cli import reading
from arasuji.cli.complete import rule_sets
from arasuji.cli.place import check_place
from arasuji.cli.terminal import COLUMNS, clipped, progress_bar, show_json, table, wrapped
from arasuji.speech import listed, say

if TYPE_CHECKING:
    from arasuji.inspection import Inspection

BAR = 40
"""The longest bar of the histogram is this many columns wide."""
SHOWN = 5
"""The terminal shows at most this many clusters, phrases, languages and genres; the report has more."""


def inspect(
    sources: Annotated[
        list[Path],
        Argument(
            metavar="SOURCE...", help="Files or folders that `prepare` reads, or one corpus folder", show_default=False
        ),
    ],
    out: Annotated[Path | None, Option(help="Write the report, one offline HTML file, here")] = None,
    rules: Annotated[
        str, Option(help="default, article, article-lstm, or a TOML file of rules", autocompletion=rule_sets)
    ] = "default",
    text_column: reading.TextColumn = None,
    title_column: reading.TitleColumn = None,
    genre_column: reading.GenreColumn = None,
    delimiter: reading.Delimiter = None,
    encoding: reading.Encoding = None,
    text_layout: reading.TextLayout = None,
    no_header: reading.NoHeader = False,
    skip_bad_rows: reading.SkipBadRows = False,
    largest: reading.Largest = None,
    seed: Annotated[int, Option(help="The seed of the split")] = 0,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Examine texts before and after the rules: repeats, boilerplate, damage, lengths, leakage, and a verdict."""
    if out:
        check_place(out)
    with progress_bar() as progress:
        from arasuji.inspection.examine import examine

        options: dict[str, Any] = {
            "text_column": text_column,
            "title_column": title_column,
            "genre_column": genre_column,
            "delimiter": delimiter,
            "encoding": encoding,
            "text_layout": text_layout,
            "no_header": no_header,
            "skip_bad_rows": skip_bad_rows,
            "largest": largest,
        }
        found = examine(sources, rules, seed, progress, **options)
    if out:
        from arasuji.files import write_text
        from arasuji.reports.inspect import inspect_page

        command = f"arasuji inspect {_arguments(sources, rules, seed, options)} --out {shlex.quote(str(out))}"
        versions = {name: version(name) for name in ("arasuji", "rensa", "py3langid", "ftfy")}
        page = inspect_page(found, {"command": command, "seed": seed, "versions": versions})
        write_text(out, page, follow=True)
        say(f"the report is in {out}")
    if json:
        show_json(found.to_json())
        return
    _show(found)
    if not found.rules:
        print(f"next       arasuji train lstm-small --corpus {shlex.quote(str(sources[0]))} --out runs/lstm")
    elif found.hash:
        print(f"next       arasuji prepare {_arguments(sources, rules, seed, options)} --out corpora/NAME")


def _arguments(sources: list[Path], rules: str, seed: int, options: dict[str, Any]) -> str:
    """The same arguments for `prepare`, quoted for a shell."""
    return shlex.join([*map(str, sources), "--rules", rules, "--seed", str(seed), *reading.as_options(options)])


def _show(found: Inspection) -> None:
    """Print the inspection in 80 columns, the verdict first."""
    print(wrapped(" ".join(found.verdict)) + "\n")
    for note in found.notes:
        print(wrapped(note, "note       "))
    print("\n" * bool(found.notes), end="")
    before, after = found.found, found.prepared
    figures = [
        ["documents", before.documents, after.documents],
        ["without a text", before.empty, after.empty],
        ["words", before.words, after.words],
        ["bytes", before.bytes, after.bytes],
        ["median words of a text", before.quantiles["50"], after.quantiles["50"]],
        ["words that 95 % do not exceed", before.quantiles["95"], after.quantiles["95"]],
    ]
    table("Before and after the rules", ["", "as found", "as prepared"], figures)
    wrong = [[finding.what, finding.rule, finding.documents] for finding in found.findings]
    table(
        "What is wrong with the texts, and the rule that mends it", ["texts that", "rule", "documents"], wrong, left=2
    )
    _show_lengths(found)
    tokens = [[b.tokenizer, *map(_share, b.beyond.values())] for b in found.tokenizers]
    if found.tokenizers:
        headers = ["tokenizer", *(f"> {context}" for context in found.tokenizers[0].beyond)]
        table("Share of the prepared texts that are longer, in tokens", headers, tokens)
    _show_repeats(found)
    words = found.vocabulary
    _say(
        "vocabulary",
        f"{words.different:,} different words among {words.words:,} to learn from; {words.once:,} occur once; of the "
        f"validation split's words, {_share(words.unknown_rate)} occur less than twice there",
    )
    _say("leakage", f"{_share(found.leakage)} of the validation split's 13-word shingles stand in the training split")
    _say("languages", _most(before.languages) + ("; ? is too short to tell" if "?" in before.languages else ""))
    _say("genres", _most(before.genres))
    _say("years", f"{min(before.years)} to {max(before.years)}" if before.years else "none known")
    print()
    expected = [[one.preset, f"{one.bits_per_byte:.2f}", f"{one.minutes:g}"] for one in found.outlook]
    if expected:
        table("What to expect (measured on anime synopses)", ["preset", "bits per byte", "minutes"], expected)


def _say(label: str, text: str) -> None:
    print(wrapped(text, f"{label:12}"))


def _share(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _most(counts: dict[str, int]) -> str:
    return listed([f"{name} {count:,}" for name, count in counts.items()], SHOWN) or "none known"


def _show_lengths(found: Inspection) -> None:
    most = max((count for _, count in found.prepared.lengths), default=0)
    if not most:
        return
    print("Words of the prepared texts")
    for start, count in found.prepared.lengths:
        print(f"{start:6,}  {'█' * round(BAR * count / most):{BAR}} {count:8,}")
    print()


def _show_repeats(found: Inspection) -> None:
    repeats = found.duplicates
    how_many = f"{repeats.exact:,} texts repeat an earlier one, {repeats.near:,} nearly do; {repeats.groups:,} clusters"
    _say("repeats", how_many)
    for cluster in repeats.clusters[:SHOWN]:
        print(f"            {cluster.documents:6,}  {clipped(cluster.texts[0], COLUMNS - 22)}")
    _say("boilerplate", "at the edges of many texts" if found.boilerplate else "none found")
    for phrase in found.boilerplate[:SHOWN]:
        print(f"            {phrase.documents:6,}  {clipped(phrase.text, COLUMNS - 22)}")
    print()
