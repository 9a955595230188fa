"""`arasuji import`: a model that was trained elsewhere becomes a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from arasuji.cli.listing import asking
from arasuji.cli.terminal import show_json, working


def import_(
    folder: Annotated[
        Path, Argument(metavar="FOLDER", help="A causal language model as transformers writes it, in safetensors")
    ],
    out: Annotated[Path, Option(help="The run folder to write")],
    corpus: Annotated[Path | None, Option(help="A corpus to measure it on, which `compare` needs")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Make a run of a model that was trained elsewhere.

    generate, evaluate, compare and serve then work with it. An adapter is merged into its base before.
    """
    with working(f"opening {folder}"):
        from arasuji import api

        facts = api.import_model(folder, out, corpus).facts
    if json:
        show_json({"run": str(out), "imported": facts.imported, "corpus": facts.corpus.model_dump()})
        return
    print(f"imported   {facts.imported} as {out}")
    if facts.corpus.hash and not facts.corpus.folder:
        print(f"corpus     {facts.corpus.hash[:8]}, as the folder says; only its test texts are unseen")
    else:
        print("unknown    what it has learnt from: it may have seen the texts that it is measured on")
    print(f"next       {asking(out)}")
    where = "" if facts.corpus.folder else " --corpus DIR"
    print(f"           arasuji evaluate {shlex.quote(str(out))}{where}")
