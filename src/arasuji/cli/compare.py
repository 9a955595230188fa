"""`arasuji compare`: says which model is better, and by how much, on one page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from arasuji.cli.place import check_place
from arasuji.cli.terminal import progress_bar, show_json, table, wrapped
from arasuji.errors import OptionError
from arasuji.speech import duration, say, share, size

if TYPE_CHECKING:
    from arasuji.evaluation.report import Report


def compare(
    runs: Annotated[
        list[str] | None, Argument(metavar="RUN...", help="Run folders and base models", show_default=False)
    ] = None,
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: that of the first run")] = None,
    out: Annotated[Path | None, Option(help="Write the report, one offline HTML file, here")] = None,
    samples: Annotated[int, Option(min=1, help="The number of prompts that each model continues")] = 200,
    seeds: Annotated[
        int, Option(min=1, help="How many times each model continues them, each time with other seeds")
    ] = 3,
    documents: Annotated[int, Option(min=1, help="The number of documents of the test split that are scored")] = 250,
    seed: Annotated[
        int, Option(min=0, max=2**32 - 1, help="The seed of the first text; each further text has the next one")
    ] = 0,
    shots: Annotated[
        list[int] | None,
        Option(
            min=0,
            metavar="K",
            help="Add a row for every base model: the same with K training texts in its context; may be repeated",
        ),
    ] = None,
    reader: Annotated[
        list[str] | None,
        Option(
            metavar="BASE",
            help="A base model that reads the texts and tells them from real ones; may be repeated; default: "
            "smollm2-135m",
        ),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print the report as one JSON object")] = False,
    from_: Annotated[
        Path | None, Option("--from", help="Show a report that --json has printed; no model is needed")
    ] = None,
) -> None:
    """Compare models on one corpus: the likelihood of unseen texts, the texts they write, copies, and costs."""
    from arasuji.evaluation.report import read

    if out:
        check_place(out)
    if from_:
        if runs:
            raise OptionError("say RUN... or --from, not both")
        report = read(from_)
    else:
        if not runs:
            raise OptionError("name the runs to compare, or a report with --from")
        with progress_bar() as progress:
            from arasuji import api

            report = api.compare(runs, corpus, samples, seeds, documents, seed, progress, shots or [], reader or [])
        said = ["--corpus", str(corpus)] if corpus else []
        said += [word for count in shots or [] for word in ("--shots", str(count))]
        said += [word for name in reader or [] for word in ("--reader", name)]
        asked = f"--samples {samples} --seeds {seeds} --documents {documents} --seed {seed}"
        report.meta.command = f"arasuji compare {shlex.join([*runs, *said])} {asked}"
    if out:
        save(report, out)
    if json:
        show_json(report.model_dump(mode="json"))
    else:
        show(report)


def save(report: Report, out: Path) -> None:
    """Write the report as an HTML page."""
    from arasuji.files import write_text
    from arasuji.reports.compare import compare_page

    write_text(out, compare_page(report), follow=True)
    say(f"the report is in {out}")


def show(report: Report) -> None:
    """Print the report in 80 columns, the verdict first."""
    from arasuji.evaluation.verdict import verdict

    print(wrapped(" ".join(verdict(report))) + "\n")
    _show_likelihood(report)
    _show_judges(report)
    _show_texts(report)
    _show_obedience(report)
    _show_costs(report)


def _show_likelihood(report: Report) -> None:
    rows = [
        [
            m.name,
            f"{m.bits_per_byte:.3f}",
            "-" if m.low is None or m.high is None else f"{m.low:.3f} to {m.high:.3f}",
            "not known" if m.charge is None else f"{m.charge:.3f}" if m.charge else "-",
        ]
        for m in report.models
    ]
    title = f"Bits per byte of {report.meta.documents:,} held-out texts (less is better)"
    table(title, ["model", "bits", "95 %", "of these charged"], rows)


def _show_judges(report: Report) -> None:
    from arasuji.reports.compare import judges_of

    if report.meta.without_judge:
        print(wrapped(report.meta.without_judge) + "\n")
    for reader, judged in judges_of(report):
        rows = [
            [
                name,
                share(found.accuracy),
                f"{share(found.low)} to {share(found.high)}",
                f"{found.auroc:.2f}",
                share(found.without_surprisal.accuracy),
                share(found.words_accuracy),
            ]
            for name, found in judged
        ]
        count = min(found.texts for _, found in judged)
        title = f"How well a judge tells them from real texts ({count:,} of each; 50 % is chance; read by {reader})"
        print(wrapped(title))
        table("", ["texts", "accuracy", "95 %", "AUROC", "no surprisal", "words"], rows)
        alike = [f"{name} {found.mauve:.2f}" for name, found in judged if found.mauve is not None]
        if alike:
            print(wrapped(f"MAUVE (1 is alike): {', '.join(alike)}") + "\n")
    if judges_of(report):
        print("no surprisal: by the reader's hidden states alone; words: by words alone\n")


def _show_texts(report: Report) -> None:

    def part(value: float | None) -> str:
        return "-" if value is None else share(value)

    sets = [("real texts", report.real.samples, report.real.originality)]
    sets += [(m.name, m.samples, m.originality) for m in report.models]
    rows = [
        [
            name,
            part(s.distinct_2),
            part(s.finished),
            f"{s.words:.0f}",
            o.longest_words,
            part(o.share_8gram),
        ]
        for name, s, o in sets
    ]
    table("", ["what they write", "pairs", "end", "words", "longest", "8 in a row"], rows)
    print("pairs: different pairs of words; end: texts that the model ended")
    print("longest: most words in a row that a training text has; 8 in a row: share of")
    print("the shingles of 8 words that training texts have")
    print()


def _show_obedience(report: Report) -> None:
    from arasuji.reports.compare import between, obedience_of, of_real, points

    rows = [
        [
            name,
            points(found.lift),
            between(found.low, found.high, points),
            of_real(found.of_real),
            between(found.of_real_low, found.of_real_high, of_real),
            "-" if found.times is None else f"{found.times:.1f}",
        ]
        for name, found in obedience_of(report)
    ]
    if rows:
        table("", ["told genres", "lift", "95 %", "of real", "95 %", "times"], rows)
        print("lift: in how many more of 100 texts a genre is found if it was asked for")
        print(f"times: in how many times as many; both: the median of {len(report.genres)} genres\n")


def _show_costs(report: Report) -> None:
    rows = [
        [
            m.name,
            f"{m.parameters / 1e6:.1f} M",
            size(m.cost.disk_bytes),
            "-" if m.cost.training_seconds is None else duration(m.cost.training_seconds),
            f"{m.cost.tokens_per_second_alone:.0f}",
            f"{m.cost.tokens_per_second_together:.0f}",
            size(m.cost.memory_bytes),
        ]
        for m in report.models
    ]
    table("", ["what they cost", "weights", "on disk", "trained", "tokens/s", "of many", "memory"], rows)
