"""`arasuji prepare`: files of texts to a corpus folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from arasuji.cli import reading
from arasuji.cli.complete import rule_sets
from arasuji.cli.terminal import progress_bar, show_json, table, wrapped

if TYPE_CHECKING:
    from arasuji.corpus import RuleCount


def prepare(
    sources: Annotated[
        list[Path], Argument(metavar="SOURCE...", help="CSV, JSON, JSONL, Parquet, .xlsx, .txt, or a folder of .txt")
    ],
    out: Annotated[Path, Option(help="The corpus folder to write")],
    rules: Annotated[
        str, Option(help="default, article, article-lstm, or a TOML file of rules", autocompletion=rule_sets)
    ] = "default",
    text_column: reading.TextColumn = None,
    title_column: reading.TitleColumn = None,
    genre_column: reading.GenreColumn = None,
    keep: Annotated[list[str] | None, Option(metavar="COLUMN", help="A column to keep with each text; repeat")] = None,
    delimiter: reading.Delimiter = None,
    encoding: reading.Encoding = None,
    text_layout: reading.TextLayout = None,
    no_header: reading.NoHeader = False,
    skip_bad_rows: reading.SkipBadRows = False,
    largest: reading.Largest = None,
    explain: Annotated[Path | None, Option(help="Write every removed text and its rule to this JSONL file")] = None,
    seed: Annotated[int, Option(help="Seeds the split")] = 0,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Clean a collection of texts and split it into training, validation and test."""
    from arasuji.corpus import SPLITS
    from arasuji.corpus import prepare as make

    with progress_bar() as progress:
        corpus = make(
            sources,
            out,
            rules,
            seed,
            explain,
            progress,
            text_column=text_column,
            title_column=title_column,
            genre_column=genre_column,
            keep=keep or (),
            delimiter=delimiter,
            encoding=encoding,
            text_layout=text_layout,
            no_header=no_header,
            skip_bad_rows=skip_bad_rows,
            largest=largest,
        )
    documents = {name: len(corpus.split(name)) for name in SPLITS}
    counts = [rule.counts() for rule in corpus.rules]
    if json:
        show_json({"rules": counts, "documents": documents, "notes": corpus.notes, "hash": corpus.hash})
        return
    table("What the rules did", ["rule", "removed", "changed", "left"], [list(c.values()) for c in counts])
    _show_examples(corpus.rules)
    print("documents  " + ", ".join(f"{n:,} {name}" for name, n in documents.items()))
    for note in corpus.notes:
        print(wrapped(note, "note       "))
    print(f"hash       {corpus.hash}")
    print(f"next       arasuji train lstm-small --corpus {shlex.quote(str(out))} --out runs/lstm")


def _show_examples(rules: Sequence[RuleCount]) -> None:
    """One text of each rule, before and after it."""
    print("One example of each")
    for count in rules:
        if count.example:
            before, after = count.example
            print(f" {count.rule}")
            print(wrapped(_marked(before), "   before  "))
            print(wrapped(_marked(after) or "(removed)", "   after   "))
    print()


def _marked(text: str) -> str:
    """The text with a mark for each line break."""
    return text.replace("\n", " ⏎ ")
