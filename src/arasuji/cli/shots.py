"""`--shots` of the verbs that take one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Option

from arasuji.errors import OptionError

if TYPE_CHECKING:
    from arasuji.corpus import Corpus
    from arasuji.runs import TrainedModel

Shots = Annotated[
    int,
    Option(
        "--shots",
        min=0,
        metavar="K",
        help="Before each text, read K whole texts of the training split, drawn by --seed; they are not counted",
    ),
]


def with_shots(trained: TrainedModel, corpus: Corpus | None, shots: int, seed: int) -> TrainedModel:
    """The model with texts of the corpus in its context. Raises OptionError where there is no corpus, or no room."""
    if not shots:
        return trained
    if corpus is None:
        raise OptionError(
            f"--shots are texts of a training split, and {trained.name} knows no corpus: say --corpus DIR"
        )
    return trained.with_shots(corpus.train, shots, seed)
