"""`arasuji tune`: a search for the options with which a preset needs the fewest bits per byte."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from arasuji.cli.complete import presets
from arasuji.cli.terminal import show_json, table, wrapped
from arasuji.cli.train import A_YEAR, stop_on_signal
from arasuji.speech import duration, say

if TYPE_CHECKING:
    from arasuji.tuning import Search

PAGE = "search.html"
"""The page of the search, in its folder."""


def tune(
    preset: Annotated[
        str,
        Argument(
            metavar="PRESET|FILE.toml",
            help="A preset (see `arasuji presets`), or an experiment in a TOML file",
            autocompletion=presets,
        ),
    ],
    corpus: Annotated[Path, Option(help="A corpus folder that `prepare` has written")],
    out: Annotated[Path, Option(help="The folder of the search: its trials, a page, best.toml")],
    set_: Annotated[
        list[str],
        Option(
            "--set",
            metavar="KEY=VALUES",
            help="An option to search; may be given several times. KEY=A..B is a range (whole numbers if both are; "
            "logarithmic if A is above 0 and B at least 10 times A), 'KEY=A|B|C' are choices, in quotation marks for "
            "the shell. KEY=VALUE is the same in all trials",
        ),
    ],
    trials: Annotated[int, Option(min=1, help="The number of trials")] = 20,
    minutes: Annotated[
        float | None, Option(min=0.05, max=A_YEAR, help="Plan each trial so that it ends within this number of minutes")
    ] = None,
    max_steps: Annotated[
        int | None, Option(min=1, help="Plan each trial so that it ends after this number of steps")
    ] = None,
    max_minutes: Annotated[
        float | None,
        Option(min=0.05, max=A_YEAR, help="Stop after this number of minutes; the same command continues the search"),
    ] = None,
    seed: Annotated[
        int, Option(min=0, max=2**32 - 1, help="The seed of the search; the trials train with that of the preset")
    ] = 0,
    keep: Annotated[bool, Option("--keep", help="Keep the weights of all trials, not only those of the best")] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Search for the best options of a preset; Ctrl-C stops, and the same command continues.

    The score of a trial is its best bits per byte of the validation split; the test split is never read. A trial that
    is worse than the median of the others at the same point ends early.
    """
    from arasuji import api
    from arasuji.tuning.shown import show

    with stop_on_signal() as stop:
        search = show(
            api.tune_events(preset, corpus, out, set_, trials, minutes, max_steps, max_minutes, seed, keep, stop)
        )
    if search.best:
        from arasuji.files import write_text
        from arasuji.reports.tune import tune_page

        limits = {"--trials": trials, "--minutes": minutes, "--max-steps": max_steps, "--seed": seed}
        words = ["arasuji", "tune", preset, "--corpus", corpus, *(word for one in set_ for word in ("--set", one))]
        words += [word for name, value in limits.items() if value is not None for word in (name, value)]
        versions = {name: version(name) for name in ("arasuji", "torch", "optuna")}
        page = tune_page(search, {"command": shlex.join(map(str, words)), "versions": versions})
        write_text(out / PAGE, page)
    if json:
        show_json(search.model_dump(mode="json") | {"best": search.best and search.best.number})
        return
    _show(search, out, corpus)
    if len(search.trials) < trials:
        say(f"stopped after {len(search.trials):,} of {trials:,} trials: {search.ended}")


def _show(search: Search, out: Path, corpus: Path) -> None:
    """Print the trials in 80 columns, and what to do with the best one."""
    best = search.best
    rows = [
        [
            str(trial.number),
            *(str(value) for value in trial.values.values()),
            "-" if trial.bits_per_byte is None else f"{trial.bits_per_byte:.4f}",
            trial.steps,
            duration(trial.seconds),
            "best" if trial is best else trial.state,
        ]
        for trial in search.trials
    ]
    table("", ["trial", *search.space.searched, "bits per byte", "steps", "time", "state"], rows)
    for key, searched in search.space.searched.items():
        print(wrapped(f"{key}: {searched}", "searched   "))
    if search.lower_bound:
        print("note       scores are lower bounds: only `evaluate` charges for case and spacing")
    if best is None:
        print("best       none yet: no trial was trained to its end; the same command continues")
        return
    folder, of = shlex.quote(str(out)), shlex.quote(str(corpus))
    print(f"best       trial {best.number}: {best.bits_per_byte:.3f} bits per byte on the validation split")
    print(f"           {folder}/best.toml has its values, {folder}/{PAGE} shows the search")
    print(f"next       arasuji train {folder}/best.toml --corpus {of} --out RUN")
    print(f"           arasuji evaluate {folder}/{best.run}")
