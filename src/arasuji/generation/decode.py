"""Prompts to texts, with the same options for all of them: a short way to the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from arasuji.corpus.originality import Copied
from arasuji.errors import PromptError
from arasuji.generation import engine
from arasuji.generation.engine import Engine, Finished
from arasuji.generation.texts import Options, Request, Sample
from arasuji.models import LanguageModel

BATCH_ROWS, JOINING = engine.ROWS, engine.JOINING


@dataclass(frozen=True)
class Piece:
    """Text that was added to request number `index`."""

    index: int
    text: str


@dataclass(frozen=True)
class Redrawn:
    """Request number `index` is written again from its beginning: the pieces of it so far are void."""

    index: int
    copied: Copied
    """Why: what of the text stood in the training split."""


def decode(
    model: LanguageModel, options: Options, requests: Iterable[Request], pieces: bool = False
) -> Iterator[Piece | Redrawn | Sample]:
    """Continue each request; samples come as they are finished, pieces (where asked for) as they are written. Requests
    are taken as there is room: at first as many as there are rows, before anything is written.

    Raises:
        PromptError: a prompt cannot be continued. The other texts are written before it is raised.
    """
    writing = Engine(model, options.tokenizer, BATCH_ROWS, JOINING)
    coming = enumerate(requests)
    taken: dict[int, tuple[int, Request, int]] = {}
    refused: PromptError | None = None

    def submit(index: int, request: Request, redrawn: int = 0) -> None:
        taken[writing.submit(options.request(request, redrawn, pieces))] = index, request, redrawn

    more = True
    while more or writing.busy or writing.waiting:
        while more and writing.waiting * options.sampling.num_beams < BATCH_ROWS:
            index, request = next(coming, (-1, None))
            if request is None:
                more = False
                break
            try:
                submit(index, request)
            except PromptError as error:
                refused = refused or error
        for event in writing.step():
            index, request, redrawn = taken[event.id]
            text = event.rest if isinstance(event, Finished) else event.text
            if pieces and text:
                yield Piece(index, text)
            if isinstance(event, Finished):
                del taken[event.id]
                sample = options.sample(index, request, event, redrawn)
                if not options.draws_again(sample):
                    yield sample
                    continue
                submit(index, request, redrawn + 1)
                if pieces and sample.copied:
                    yield Redrawn(index, sample.copied)
    if refused:
        raise refused
