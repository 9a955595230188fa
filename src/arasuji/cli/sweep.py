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
    "AUROC: how often the judge finds out which of two texts, one generated and one real, is generated; half is "
    "chance. The others are in per cent: different pairs of words; 4 words in a row that have stood in the same text "
    "before; 8 words in a row that stand in a training text; texts with 13 such words; texts that the model ended."
)
"""What the columns of the table are."""


def sweep(
    run: Annotated[str, Argument(metavar="RUN", help="A run folder")],
    set_: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="KEY=VALUES",
            help="The choices of a setting, 'KEY=A|B|C' in quotation marks for the shell, or KEY=VALUE for all texts; "
            "may be given several times",
        ),
    ] = None,
    samples: Annotated[
        int,
        Option(
            min=40,
            help="About how many texts of each setting the first stage has; the second one has four times as many",
        ),
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

    The run writes texts with all settings of a grid, and more with the best quarter of them. The best one is written
    into RUN/sampling.toml, which may be edited or deleted. After Ctrl-C the same command continues. The test split is
    never read.
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

        write_text(out, sweep_page(found), follow=True)
        say(f"the report is in {out}")
    if json:
        show_json(found.model_dump(mode="json") | {"chosen": found.chosen, "shown_better": found.shown_better})
    else:
        _show(found, run)


def _show(found: Sweep, run: str) -> None:
    """Print the settings in 80 columns, the verdict first."""
    from arasuji.reports.sweep import REAL, RULE, label, verdict

    print(wrapped(" ".join(verdict(found))) + "\n")
    for number, stage in zip((2, 1), reversed(found.stages), strict=True):
        tried = [one for one in found.tried if one.stage == number]
        rows = [
            _row(REAL, stage.real),
            *(_row(label(found, one.sampling), one.figures, one.repeats, one.copies) for one in tried),
        ]
        table(
            f"Stage {number}: {stage.texts:,} texts of each setting, {stage.judged:,} judged",
            ["", "AUROC", "95 %", "pairs", "repeats", "8-grams", "copies", "ends"],
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
