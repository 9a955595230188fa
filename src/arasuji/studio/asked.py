"""What the rooms ask of a run: which text it continues, by which settings, and what the answer is refused with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from arasuji import writing
from arasuji.config import MOST_TOKENS, SamplingConfig, checked
from arasuji.errors import ArasujiError, OptionError, UnknownValueError
from arasuji.generation import engine, texts
from arasuji.generation.wishes import Wishes
from arasuji.studio.shelf import Opened
from arasuji.studio.writers import RETRY_AFTER

Text = Annotated[str, Field(max_length=20_000)]
Words = Annotated[list[Text], Field(max_length=50)]


class Asked(BaseModel):
    """A text of a run, written up to some place."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    run: str = Field(max_length=300)
    prompt: Text = ""
    fields: dict[str, Any] = Field(default_factory=dict, max_length=100)
    sampling: dict[str, float] = Field(default_factory=dict, max_length=20)
    """Settings that differ from the run's own."""
    seed: int = Field(0, ge=0, lt=2**32)
    required: Words = []
    without: Words = []
    words: tuple[int, int] | None = None
    names: bool = True
    """These four as in `Wishes`."""
    any_genre: bool = False
    """Whether a genre, or another value, may be told that no training text has."""
    ids: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(default_factory=list, max_length=MOST_TOKENS)
    """The tokens that it has after its prompt."""


@dataclass
class Ready:
    """What was asked, checked and opened."""

    opened: Opened
    options: texts.Options
    text: texts.Request
    ids: tuple[int, ...]

    def request(self) -> engine.Request:
        """As the engine takes it. Raises PromptError."""
        return self.options.request(self.text, streamed=True, likeliest=0, written=self.ids)


def refusal(status: int, what: str) -> HTTPException:
    """An answer that says what is wrong; 429 says when to ask again."""
    return HTTPException(status, what, {"Retry-After": str(RETRY_AFTER)} if status == 429 else None)


async def ready(asked: Asked, request: Request) -> Ready:
    """Open the run, and check all that is asked of it. Raises HTTPException: 404, 503 where it is damaged, 400."""
    opened = await opened_run(asked.run, request)
    try:
        wishes = Wishes(asked.required, asked.without, asked.words, asked.names)
        own = opened.options.sampling.model_dump() | asked.sampling | {"num_beams": 1}
        settings: SamplingConfig = checked(SamplingConfig, own, "sampling")
        # A tokenizer's first look at its words takes a moment.
        options = await asyncio.to_thread(writing.options_of, opened.trained, settings, redraw=0, wishes=wishes)
        beginning = {"prompt": asked.prompt, **asked.fields}
        ((prompt, told),) = writing.check_prompts(opened.trained, [beginning], any_genre=asked.any_genre)
        never = {opened.trained.tokenizer.end_id, *opened.trained.tokenizer.never_written}
        if any(token >= opened.trained.tokenizer.vocabulary_size or token in never for token in asked.ids):
            raise OptionError("a token of the text is none that this model writes in the middle of a text")
    except UnknownValueError as error:
        raise refusal(400, error.plain) from error
    except ArasujiError as error:
        raise refusal(400, str(error)) from error
    return Ready(opened, options, texts.Request(prompt, asked.seed, told), tuple(asked.ids))


async def opened_run(name: str, request: Request) -> Opened:
    """A run of the folder, opened. Raises HTTPException: 404, 503 where it is damaged."""
    shelf, writers = request.app.state.shelf, request.app.state.writers
    try:
        opened: Opened = await asyncio.to_thread(shelf.open, name, writers.in_use)
    except OptionError as error:
        raise refusal(404, str(error)) from error
    except ArasujiError as error:
        raise refusal(503, str(error)) from error
    return opened
