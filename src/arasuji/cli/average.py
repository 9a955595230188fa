"""`arasuji average`: the mean of the weights of fine-tuned runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from arasuji.cli.listing import asking
from arasuji.cli.terminal import show_json, working


def average(
    runs: Annotated[list[str], Argument(metavar="RUN...", help="Run folders, fine-tuned from one base on one corpus")],
    out: Annotated[Path, Option(help="The run folder to write")],
    corpus: Annotated[Path | None, Option(help="A corpus folder; default: that of the first run")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Average the weights of fine-tuned runs, which often predicts better than each.

    Train with other seeds first: --set seed=1, --set seed=2. The mean is scored on the validation split.
    """
    with working(f"averaging {len(runs)} runs"):
        from arasuji import api

        made = api.average(runs, out, corpus)
        (line,) = made.history()
    if json:
        show_json({"run": str(out), "runs": runs, "bits_per_byte": line["bits_per_byte"]})
        return
    print(f"mean       {line['bits_per_byte']:.3f} bits per byte on the validation split")
    print(f"next       {asking(out)}")
    print(f"           arasuji evaluate {shlex.quote(str(out))}")
