"""`arasuji title`: titles for texts."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from arasuji.cli.terminal import show_json, working


def title(
    run: Annotated[str, Argument(metavar="RUN", help="A run that predicts titles, such as one of pretrained-title")],
    texts: Annotated[list[str], Argument(metavar="TEXT...", help="The texts")],
    n: Annotated[int, Option("-n", min=1, help="Titles for each text")] = 5,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="The seed by which they are drawn")] = 0,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Propose titles for texts. None is the title of a training text."""
    with working(f"opening {run}"):
        from arasuji import api

        trained = api.load(run)
    found = []
    for text in texts:
        proposed = []
        for sample in api.titles(trained, text, n, seed):
            proposed.append(sample.text)
            if not json:
                print(sample.text, flush=True)
        found.append({"text": text, "titles": proposed})
        if not json and len(found) < len(texts):
            print()
    if json:
        show_json({"texts": found})
