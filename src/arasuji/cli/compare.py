"""`arasuji compare`: which model is better, and by how much, on one page."""

from __future__ import annotations

import json as json_
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from arasuji.cli.place import check_place
from arasuji.cli.terminal import progress_bar, show_json, table, wrapped
from arasuji.speech import duration, say, size

REPORT_BYTES = 2**28
"""The most that a report may hold."""


def compare(
    runs: Annotated[
        list[str] | None, Argument(metavar="RUN...", help="Run folders and base models", show_default=False)
    ] = None,
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: that of the first run")] = None,
    out: Annotated[Path | None, Option(help="Write the report, one offline HTML file, here")] = None,
    samples: Annotated[int, Option(min=1, help="Texts that each model writes, for each seed")] = 200,
    seeds: Annotated[int, Option(min=1, help="How many times so many texts are written")] = 3,
    documents: Annotated[int, Option(min=1, help="Documents of the test split that are scored")] = 250,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Of the first text; the next one's is one more")] = 0,
    json: Annotated[bool, Option("--json", help="Print the report as one JSON object")] = False,
    from_: Annotated[
        Path | None, Option("--from", help="Show a report that --json has printed; no model is needed")
    ] = None,
) -> None:
    """Compare models on one corpus: likelihood of unseen texts, what they write, what they copy, what they cost."""
    from arasuji.errors import OptionError

    if out:
        check_place(out)
    if from_:
        if runs:
            raise OptionError("say RUN... or --from, not both")
        report = _read(from_)
    else:
        if not runs:
            raise OptionError("name the runs to compare, or a report with --from")
        with progress_bar() as progress:
            from arasuji import api

            report = api.compare(runs, corpus, samples, seeds, documents, seed, progress)
        said = ["--corpus", str(corpus)] if corpus else []
        asked = f"--samples {samples} --seeds {seeds} --documents {documents} --seed {seed}"
        report["meta"]["command"] = f"arasuji compare {shlex.join([*runs, *said])} {asked}"
    if out:
        with whole(from_) if from_ else nullcontext():
            save(report, out)
    if json:
        show_json(report)
    else:
        show(report)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Whatever a report lacks that somebody has changed is one line."""
    from arasuji.errors import ArasujiError, SourceError

    try:
        yield
    except ArasujiError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise SourceError(f"{path} is not a whole report of `arasuji compare --json` ({reason})") from error


def save(report: dict[str, Any], out: Path) -> None:
    """Write the page."""
    from arasuji.files import write_text
    from arasuji.reports.compare import compare_page

    write_text(out, compare_page(report))
    say(f"the report is in {out}")


def _read(path: Path) -> dict[str, Any]:
    from arasuji.errors import SourceError
    from arasuji.evaluation.compare import LAYOUT
    from arasuji.files import read_json

    try:
        report: dict[str, Any] = read_json(path, REPORT_BYTES, follow=True)
        layout = report["meta"]["layout"] if len(report["models"]) > 1 else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path} is not a report that `arasuji compare --json` has printed: {error}") from error
    if layout != LAYOUT:
        raise SourceError(f"{path} was printed by another version of arasuji: compare the models again")
    with whole(path), redirect_stdout(StringIO()):  # nothing is printed of a damaged one
        json_.dumps(report, allow_nan=False)
        show(report)
    return report


def show(report: dict[str, Any]) -> None:
    """The report in 80 columns, the finding first."""
    from arasuji.reports.page import share
    from arasuji.reports.verdict import verdict

    def part(value: float | None) -> str:
        return "-" if value is None else share(value)

    print(wrapped(" ".join(verdict(report))) + "\n")
    models, real = report["models"], report["real"]
    bits = [[m["name"], f"{m['bits_per_byte']:.3f}", f"{m['low']:.3f} to {m['high']:.3f}", _charge(m)] for m in models]
    title = f"Bits per byte of {report['meta']['documents']:,} held-out texts (less is better)"
    table(title, ["model", "bits", "95 %", "of these charged"], bits)
    rows = [
        ("real texts", real["samples"], real["originality"]),
        *((m["name"], m["samples"], m["originality"]) for m in models),
    ]
    texts = [
        [
            name,
            part(s["told"] and s["told"]["share"]),
            part(s["distinct_2"]),
            part(s.get("ends")),
            f"{s['words']:.0f}",
            o["longest_words"],
            part(o["share_8gram"]),
        ]
        for name, s, o in rows
    ]
    headers = ["what they write", "told", "pairs", "end", "words", "longest", "8 in a row"]
    table("", headers, texts)
    print("told: from real texts, by a classifier (half is chance); pairs: different ones;")
    print("longest: words in a row that a training text has; 8 in a row: runs found there\n")
    costs = [
        [
            m["name"],
            f"{m['parameters'] / 1e6:.1f} M",
            size(m["cost"]["disk_bytes"]),
            "-" if m["cost"]["training_seconds"] is None else duration(m["cost"]["training_seconds"]),
            f"{m['cost']['writing_alone']:.0f}",
            f"{m['cost']['writing_together']:.0f}",
            size(m["cost"]["memory_bytes"]),
        ]
        for m in models
    ]
    headers = ["what they cost", "weights", "on disk", "trained", "tokens/s", "of many", "memory"]
    table("", headers, costs)


def _charge(model: dict[str, Any]) -> str:
    return "not known" if model["charge"] is None else f"{model['charge']:.3f}" if model["charge"] else "-"
