"""`/v1/models` and `/v1/completions`, in the shape of OpenAI's API, so that its clients write with these models."""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from arasuji import writing
from arasuji.config import MOST_TOKENS, SamplingConfig, checked
from arasuji.errors import ArasujiError, OptionError
from arasuji.generation import texts
from arasuji.generation.engine import Finished, Token
from arasuji.studio.leaving import ClientLeftError, EventStream, unless_left
from arasuji.studio.shelf import Opened, Shelf
from arasuji.studio.writers import RETRY_AFTER, FullError, Stream, Writers, WritingError

MOST_CHARACTERS = 20_000
"""Of a prompt."""

router = APIRouter(prefix="/v1")
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Stop = Annotated[str, Field(min_length=1, max_length=100)]


class CompletionRequest(BaseModel):
    """OpenAI's request, but for what these models have not; and what they have beside it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: str = Field(max_length=300)
    """The name of a run."""
    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=32)] = ""
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int = Field(1, ge=1, le=32)
    seed: int | None = Field(None, ge=0, lt=2**32)
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    logprobs: int | None = Field(None, ge=0, le=5)
    stream: bool = False
    stream_options: dict[str, bool] | None = None
    echo: bool = False
    user: str | None = Field(None, max_length=1000)
    """Ignored."""
    best_of: int | None = Field(None, ge=1, le=32)
    """`n`, or none."""
    presence_penalty: float | None = Field(None, ge=0, le=0)
    frequency_penalty: float | None = Field(None, ge=0, le=0)
    logit_bias: dict[str, float] | None = Field(None, max_length=0)
    suffix: Annotated[str, Field(max_length=0)] | None = None

    min_tokens: int | None = Field(None, ge=0, le=MOST_TOKENS)
    top_k: int | None = Field(None, ge=0, le=2**31)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, ge=0.01, le=100)
    guidance: float | None = Field(None, ge=0, le=20)
    fields: dict[str, Any] = Field(default_factory=dict, max_length=100)
    """What the model is told: {"title": ..., "genres": [...]}; see `arasuji runs RUN`."""


def refusal(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> HTTPException:
    """An error in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
    return HTTPException(status, {"message": message, "type": kind, "param": None, "code": code}, headers)


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The runs that can write."""
    names = await asyncio.to_thread(request.app.state.shelf.names)
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/models/{name}")
async def model(name: str, request: Request) -> dict[str, Any]:
    """One of them."""
    if name not in await asyncio.to_thread(request.app.state.shelf.names):
        raise refusal(404, f"no run {name!r}", "model_not_found")
    return _model(name)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "arasuji"}


@router.post("/completions")
async def completions(asked: CompletionRequest, request: Request) -> Response:
    """Continue prompts. What is not said is as the run recommends; copies of training texts are never written."""
    shelf, writers = request.app.state.shelf, request.app.state.writers
    choices = await _begin(asked, shelf, writers)
    answer = _Answer(asked, choices)
    if asked.stream:
        return EventStream(answer.events(), answer.close)
    try:
        content = await unless_left(request, answer.whole())
    except ClientLeftError:
        return Response(status_code=499)
    finally:
        answer.close()
    return Response(json.dumps(content), media_type="application/json")


async def _begin(asked: CompletionRequest, shelf: Shelf, writers: Writers) -> list[_Choice]:
    """Open the model, and hand the texts in."""
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    if asked.best_of not in (None, asked.n):
        raise refusal(400, "best_of is n, or left out", "unsupported")
    try:
        writers.check_room(len(prompts) * asked.n)  # who is turned away is so at once, before a model is looked for
        opened = await asyncio.to_thread(shelf.open, asked.model, writers.in_use)
    except FullError as error:
        raise _full(error) from error
    except OptionError as error:
        raise refusal(404, str(error), "model_not_found") from error
    except ArasujiError as error:
        raise refusal(503, str(error), "model_broken") from error
    try:
        options = replace(opened.options, sampling=_sampling(asked, opened))
        told = writing.check_prompts(opened.trained, [{"prompt": p, **asked.fields} for p in prompts])
    except ArasujiError as error:
        raise refusal(400, str(error), "invalid") from error
    seed = uuid.uuid4().int % 2**32 if asked.seed is None else asked.seed
    requests = [
        texts.Request(prompt, seed + i, own)
        for i, (prompt, own) in enumerate((prompt, own) for prompt, own in told for _ in range(asked.n))
    ]
    try:
        streams = writers.submit(opened, [options.request(one, 0, True, asked.logprobs) for one in requests])
    except FullError as error:
        raise _full(error) from error
    except ArasujiError as error:
        raise refusal(400, str(error), "invalid") from error
    return [_Choice(i, one, stream, asked) for i, (one, stream) in enumerate(zip(requests, streams, strict=True))]


def _full(error: FullError) -> HTTPException:
    return refusal(429, str(error), "full", {"Retry-After": str(RETRY_AFTER)})


def _sampling(asked: CompletionRequest, opened: Opened) -> SamplingConfig:
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "guidance")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(asked, name)) is not None}
    if asked.max_tokens is not None:
        given |= {"max_length": asked.max_tokens, "min_length": 0}
    if asked.min_tokens is not None:
        given["min_length"] = asked.min_tokens
    own = opened.options.sampling.model_dump() | {"num_beams": 1}
    settings: SamplingConfig = checked(SamplingConfig, own | given, "completions")
    return settings


@dataclass
class _Choice:
    """One text of an answer: what was written of it, up to where it stops."""

    index: int
    request: texts.Request
    stream: Stream
    asked: CompletionRequest
    text: str = ""
    sent: int = 0
    """The number of its characters that were sent."""
    tokens: list[Token] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sent_tokens: int = 0
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        self.text = self.request.prompt if self.asked.echo else ""
        stops = [self.asked.stop] if isinstance(self.asked.stop, str) else self.asked.stop or []
        self.stops, self.begin = stops, len(self.text)

    def take(self, event: Token | Finished) -> None:
        """Take note of an event."""
        if self.finish_reason:
            return
        if isinstance(event, Token):
            self.offsets.append(len(self.text))
            self.tokens.append(event)
        self.text += event.rest if isinstance(event, Finished) else event.text
        if places := [place for stop in self.stops if (place := self.text.find(stop, self.begin)) >= 0]:
            self.text, self.finish_reason = self.text[: min(places)], "stop"
            self.stream.close()
        elif isinstance(event, Finished):
            self.finish_reason = "stop" if event.ended else "length"

    def part(self) -> dict[str, Any] | None:
        """What is new, as a choice of a streamed answer; None where nothing is. What may be the beginning of a stop is
        kept back."""
        end = len(self.text)
        if not self.finish_reason:
            end -= max((_overlap(self.text[self.begin :], stop) for stop in self.stops), default=0)
        if end <= self.sent and not self.finish_reason:
            return None
        text, self.sent = self.text[self.sent : end], end
        until = next((i for i, place in enumerate(self.offsets) if place >= end), len(self.tokens))
        if self.finish_reason and not self.stops:
            until = len(self.tokens)
        tokens, self.sent_tokens = range(self.sent_tokens, until), until
        return {
            "index": self.index,
            "text": text,
            "logprobs": self._logprobs(tokens) if self.asked.logprobs is not None else None,
            "finish_reason": self.finish_reason,
        }

    def _logprobs(self, which: range) -> dict[str, Any]:
        tokens = [self.tokens[i] for i in which]
        own = [math.log(max(token.probability, 1e-45)) for token in tokens]
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": own,
            "top_logprobs": [self._likeliest(token) for token in tokens] if self.asked.logprobs else None,
            "text_offset": [self.offsets[i] for i in which],
        }

    def _likeliest(self, token: Token) -> dict[str, float]:
        """The likeliest tokens in the place of one, with their log-probabilities."""
        tokenizer = self.stream.opened.trained.tokenizer
        return {tokenizer.decode([other]): math.log(max(share, 1e-45)) for other, share in token.likeliest}


def _overlap(text: str, stop: str) -> int:
    """The most characters at the end of a text with which a stop begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


class _Answer:
    """All texts of one request."""

    def __init__(self, asked: CompletionRequest, choices: list[_Choice]) -> None:
        self.asked, self.choices = asked, choices
        self.head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
        self.head["model"] = asked.model

    def close(self) -> None:
        for choice in self.choices:
            choice.stream.close()

    async def whole(self) -> dict[str, Any]:
        """The answer when all texts are written."""
        await asyncio.gather(*(self._read(choice) for choice in self.choices))
        return self.head | {"choices": [choice.part() for choice in self.choices], "usage": self._usage()}

    async def _read(self, choice: _Choice) -> None:
        try:
            async for events in choice.stream:
                for event in events:
                    choice.take(event)
                if choice.finish_reason:
                    return
        except WritingError as error:
            raise refusal(500, str(error), "model_failed") from error

    async def events(self) -> AsyncIterator[str]:
        """The same as it comes."""
        parts: asyncio.Queue[dict[str, Any] | HTTPException | None] = asyncio.Queue()

        async def read(choice: _Choice) -> None:
            try:
                async for events in choice.stream:
                    for event in events:
                        choice.take(event)
                    if part := choice.part():
                        parts.put_nowait(part)
                    if choice.finish_reason:
                        break
            except WritingError as error:
                parts.put_nowait(refusal(500, str(error), "model_failed"))
            parts.put_nowait(None)

        reading = [asyncio.ensure_future(read(choice)) for choice in self.choices]
        try:
            left = len(reading)
            while left:
                part = await parts.get()
                if part is None:
                    left -= 1
                elif isinstance(part, HTTPException):
                    yield _event({"error": part.detail})
                    return
                else:
                    yield _event(self.head | {"choices": [part]})
            if (self.asked.stream_options or {}).get("include_usage"):
                yield _event(self.head | {"choices": [], "usage": self._usage()})
            yield "data: [DONE]\n\n"
        finally:
            for task in reading:
                task.cancel()

    def _usage(self) -> dict[str, int]:
        tokenizer = self.choices[0].stream.opened.trained.tokenizer
        read = sum(len(tokenizer.encode(text)) for text in {choice.request.prompt for choice in self.choices})
        written = sum(len(choice.tokens) for choice in self.choices)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
