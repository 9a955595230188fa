"""`arasuji sweep`: chooses the sampling settings with which a run writes the texts that are hardest to tell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from arasuji.cli.place import check_place
from arasuji.cli.terminal import progress_bar, show_json, table, wrapped
from arasuji.speech import say

if TYPE_CHECKING:
    from arasuji.evaluation.report import RealTexts
    from arasuji.tuning.swept import Sweep


NOTE = (
    "AUROC: of a written text and a real one, how often the judge takes the right one for written. The others are in "
    "per cent: different pairs of words; rows of 4 words that came before in the same text; rows of 8 words that a "
    "training text has; texts with such a row of 13 words; texts that the model ended."
)
"""What the columns of the table are."""


def sweep(
    run: Annotated[str, Argument(metavar="RUN", help="A run folder")],
    set_: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="KEY=VALUES",
            help="Other choices of a setting, as often as there are: 'KEY=A|B|C', in quotation marks for the shell; "
            "KEY=VALUE is the same for all",
        ),
    ] = None,
    samples: Annotated[
        int, Option(min=40, help="The texts of each setting at the first look; at the second, four times as many")
    ] = 100,
    seed: Annotated[
        int, Option(min=0, max=2**32 - 1, help="The seed of the first text; each further text has the next one")
    ] = 0,
    reader: Annotated[
        str, Option(metavar="BASE", help="The base model that reads the texts and tells them from real ones")
    ] = "smollm2-135m",
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: that of the run")] = None,
    out: Annotated[Path | None, Option(help="Write the report, one offline HTML file, here")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Choose a run's sampling settings: those whose texts are hardest to tell from real ones.

    All settings of a grid write texts; the best quarter write more, and the best one is written into RUN/sampling.toml,
    which may be edited or deleted. After Ctrl-C the same command goes on. The test split is never read.
    """
    if out:
        check_place(out)
    with progress_bar() as progress:
        from arasuji import api

        found = api.sweep(run, set_ or [], samples, seed, reader, corpus, progress)
    words = ["arasuji", "sweep", run, *(word for one in set_ or [] for word in ("--set", one))]
    words += ["--samples", str(samples), "--seed", str(seed), "--reader", reader]
    words += ["--corpus", str(corpus)] if corpus else []
    found.command = shlex.join(words)
    if out:
        from arasuji.files import write_text
        from arasuji.reports.sweep import sweep_page

        write_text(out, sweep_page(found))
        say(f"the report is in {out}")
    if json:
        show_json(found.model_dump(mode="json") | {"chosen": found.chosen, "shown_better": found.shown_better})
    else:
        _show(found, run)


def _show(found: Sweep, run: str) -> None:
    """Print the settings in 80 columns, the verdict first."""
    from arasuji.reports.sweep import REAL, RULE, label, verdict

    print(wrapped(" ".join(verdict(found))) + "\n")
    for number, look in zip((2, 1), reversed(found.looks), strict=True):
        tried = [one for one in found.tried if one.look == number]
        rows = [
            _row(REAL, look.real),
            *(_row(label(found, one.sampling), one.figures, one.repeats, one.copies) for one in tried),
        ]
        table(
            f"Look {number}: {look.texts:,} texts of each setting, {look.judged:,} judged",
            ["", "AUROC", "95 %", "pairs", "again", "by 8", "by 13", "ends"],
            rows,
        )
    print(wrapped(f"{NOTE} {RULE}"))
    print(f"\nwritten    {shlex.quote(run)}/sampling.toml, which may be edited or deleted")
    print(f"next       arasuji generate {shlex.quote(run)} 'After years'")


def _row(name: str, figures: RealTexts, repeats: bool = False, copies: bool = False) -> list[str]:
    from arasuji.reports.sweep import MORE

    def part(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f}"

    texts, copied = figures.samples, figures.originality
    judge = texts.judge
    return [
        name,
        f"{judge.auroc:.2f}" if judge else "-",
        f"{judge.auroc_low:.2f}-{judge.auroc_high:.2f}" if judge else "-",
        part(texts.distinct_2),
        part(texts.repetition) + MORE * repeats,
        part(copied.share_8gram),
        part(copied.copying_texts) + MORE * copies,
        part(texts.finished),
    ]
