"""Prompts to texts, with the same settings for all of them: a short way to the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.corpus.characters import composed, tidy
from arasuji.corpus.originality import SHINGLE, Copied, copied
from arasuji.corpus.script import is_unspaced
from arasuji.corpus.suffixes import Suffixes
from arasuji.documents import NO_SHOTS, Document, Shots, document_of, prefix_of
from arasuji.errors import PromptError
from arasuji.generation import engine
from arasuji.generation.engine import Engine, Finished
from arasuji.generation.processors import Processor
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BATCH_ROWS, JOINING = engine.ROWS, engine.JOINING
TOO_NEAR, FEWEST_SHINGLES = 0.2, 20
"""A text with 20 shingles or more is drawn again where one training text has more than this share of them
(`Copied.containment`); of unseen synopses of an anime catalogue seven in a thousand have more."""
NEXT_SEED = 2_654_435_761
"""What is added to the seed of a text each time that it is drawn again. torch takes seeds modulo 2**32: of this odd
number all multiples differ, and the first ones lie far from each other and from the seeds of other texts."""


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
class Redrawn:
    """Request number `index` is written again from its beginning: the pieces of it so far are void."""

    index: int
    copied: Copied
    """Why: what of the text stood in the training split."""


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
    redrawn: int = 0
    """How many times it was drawn again, each time with `NEXT_SEED` more."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What the model was told of it."""
    copied: Copied | None = None
    """What of it, beyond the prompt, stands in the training split; None where that is not known."""


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
    predicts: str = "text",
    processors: Sequence[Processor] = (),
    training: Suffixes | None = None,
    redraw: int = 0,
) -> Iterator[Piece | Redrawn | Sample]:
    """Continue each request; samples come as they are finished, pieces (where asked for) as they are written. `format`
    is the one that the model was trained with, and so is what it `predicts` (see `DocumentConfig`); `shots` are read
    before each prompt, and `processors`, which have read nothing, change the scores of each text. Requests are taken as
    there is room: at first as many as there are rows, before anything is written.

    Samples say what of them stands in the `training` split. One that is `TOO_NEAR` to a training text is drawn again,
    at most `redraw` times where anything is drawn, and the last one is kept.

    Raises:
        PromptError: a prompt cannot be continued. The other texts are written before it is raised.
    """
    writing = Engine(model, tokenizer, BATCH_ROWS, JOINING)
    coming = enumerate(requests)
    taken: dict[int, tuple[int, Request, int]] = {}
    redraw = 0 if config.certain else redraw
    refused: PromptError | None = None

    def submit(index: int, request: Request, redrawn: int = 0) -> None:
        document = beginning_of(request.prompt, request.fields, tokenizer, format, shots)
        seed = request.seed + redrawn * NEXT_SEED
        before, _ = around(request, predicts)
        untold = None
        if config.guidance != 1 and request.fields:
            untold = beginning_of(request.prompt, {}, tokenizer, format, shots)
        number = writing.submit(engine.Request(document, config, seed, before, untold, tuple(processors), pieces))
        taken[number] = index, request, redrawn

    more = True
    while more or writing.busy or writing.waiting:
        while more and writing.waiting * config.num_beams < BATCH_ROWS:
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
                sample = _sample(index, request, event, redrawn, training, predicts)
                if redrawn < redraw and sample.copied and is_too_near(sample.copied):
                    submit(index, request, redrawn + 1)
                    if pieces:
                        yield Redrawn(index, sample.copied)
                else:
                    yield sample
    if refused:
        raise refused


def is_too_near(found: Copied) -> bool:
    """Whether so much of a text stands in one training text that it is drawn again."""
    return found.containment > TOO_NEAR and found.shingles[SHINGLE] >= FEWEST_SHINGLES


def around(request: Request, predicts: str) -> tuple[str, str]:
    """What stands before the new part of a text, and after it: the prompt, and the sentences between which a model of
    middles writes."""
    prompt = as_text(request.prompt)
    first, last = (str(request.fields.get(name, "")).strip() * (predicts == "middle") for name in ("from", "to"))
    return first + _space_after(first) + prompt, last


def _space_after(text: str) -> str:
    return " " if text and not is_unspaced(text[-1]) else ""


def _sample(
    index: int, request: Request, event: Finished, redrawn: int, training: Suffixes | None, predicts: str
) -> Sample:
    before, after = around(request, predicts)
    text = (before + event.completion).strip()
    return Sample(
        index,
        request.prompt,
        event.completion,
        text + _space_after(text) * bool(after) + after,
        len(event.ids),
        event.ended,
        request.seed,
        redrawn,
        request.fields,
        copied(text, training, len(before.strip())) if training else None,
    )
