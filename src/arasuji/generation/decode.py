"""Prompts to texts, with the same settings for all of them: a short way to the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.corpus.characters import composed, tidy
from arasuji.documents import NO_SHOTS, Document, Shots, document_of, prefix_of
from arasuji.errors import PromptError
from arasuji.generation import engine
from arasuji.generation.engine import Engine, Finished
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BATCH_ROWS, JOINING = engine.ROWS, engine.JOINING


@dataclass(frozen=True)
class Request:
    """A prompt to continue, and the fields of its text that are known, such as a title; see `Record.metadata`."""

    prompt: str
    seed: int
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """Text that was added to request number `index`."""

    index: int
    text: str


@dataclass(frozen=True)
class Sample:
    """A finished text of request number `index`; `finished` says that it ended by itself."""

    index: int
    prompt: str
    completion: str
    text: str
    tokens: int
    finished: bool
    seed: int


def as_text(prompt: str) -> str:
    """The prompt as the default rules leave a text: its characters, its white space.

    Raises:
        PromptError: it is no text, or UTF-8 cannot hold it: a shell hands over other bytes as lone surrogates.
    """
    if not isinstance(prompt, str):
        raise PromptError(f"a prompt is a text, and not {prompt!r}")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"the prompt {prompt!r} holds bytes that are not UTF-8") from error
    return tidy(composed(prompt))


def beginning_of(
    prompt: str, fields: Mapping[str, Any], tokenizer: Tokenizer, format: str, shots: Shots = NO_SHOTS
) -> Document:
    """What a model reads before it continues a prompt. Raises PromptError as `as_text` does, for the fields too."""
    as_text(prefix_of(format, fields))
    return document_of(Record("", as_text(prompt), metadata=dict(fields)), tokenizer, format, False, shots)


def decode(
    model: LanguageModel,
    tokenizer: Tokenizer,
    requests: Iterable[Request],
    config: SamplingConfig,
    pieces: bool = False,
    format: str = "",
    shots: Shots = NO_SHOTS,
) -> Iterator[Piece | Sample]:
    """Continue each request; samples come as they are finished, pieces (where asked for) as they are written. `format`
    is the one that the model was trained with, and `shots` are read before each prompt. Requests are taken as there is
    room: at first as many as there are rows, before anything is written.

    Raises:
        PromptError: a prompt cannot be continued. The other texts are written before it is raised.
    """
    writing = Engine(model, tokenizer, BATCH_ROWS, JOINING)
    coming = enumerate(requests)
    taken: dict[int, tuple[int, Request]] = {}
    refused: PromptError | None = None
    more = True
    while more or writing.busy or writing.waiting:
        while more and writing.waiting * config.num_beams < BATCH_ROWS:
            index, request = next(coming, (-1, None))
            if request is None:
                more = False
                break
            try:
                document = beginning_of(request.prompt, request.fields, tokenizer, format, shots)
                number = writing.submit(engine.Request(document, config, request.seed, streamed=pieces))
                taken[number] = index, request
            except PromptError as error:
                refused = refused or error
        for event in writing.step():
            index, request = taken[event.id]
            text = event.rest if isinstance(event, Finished) else event.text
            if pieces and text:
                yield Piece(index, text)
            if isinstance(event, Finished):
                del taken[event.id]
                yield _sample(index, request, event)
    if refused:
        raise refused


def _sample(index: int, request: Request, event: Finished) -> Sample:
    text = (as_text(request.prompt) + event.completion).strip()
    return Sample(index, request.prompt, event.completion, text, len(event.ids), event.ended, request.seed)
