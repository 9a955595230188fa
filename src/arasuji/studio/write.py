"""The Write room: what runs there are, texts as they are written, and what else could stand at a place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from arasuji import writing
from arasuji.config import MOST_TOKENS, SamplingConfig, checked
from arasuji.corpus.originality import Copied
from arasuji.errors import ArasujiError, OptionError
from arasuji.generation import sampling, texts
from arasuji.generation.engine import Finished
from arasuji.generation.wishes import Wishes
from arasuji.runs import RunDirectory, best_of
from arasuji.studio.leaving import EventStream
from arasuji.studio.shelf import Opened, Shelf
from arasuji.studio.writers import RETRY_AFTER, FullError, Stream, WritingError

MOST_LANES = 8
CANDIDATES = 12
"""The number of other tokens that are shown for a place."""

router = APIRouter(prefix="/api")
Text = Annotated[str, Field(max_length=20_000)]


class Asked(BaseModel):
    """What a run continues."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field(max_length=300)
    prompt: Text = ""
    fields: dict[str, Any] = Field(default_factory=dict, max_length=100)
    sampling: dict[str, float] = Field(default_factory=dict, max_length=20)
    """Settings that differ from the run's own."""


class Lane(Asked):
    """A text that is asked for."""

    seed: int = Field(0, ge=0, lt=2**32)
    required: list[Text] = Field(default_factory=list, max_length=50)
    without: list[Text] = Field(default_factory=list, max_length=50)


class WriteRequest(BaseModel):
    """Texts that are written at the same time."""

    model_config = ConfigDict(extra="forbid")

    lanes: list[Lane] = Field(min_length=1, max_length=MOST_LANES)


class Place(Asked):
    """A place in a text."""

    ids: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(default_factory=list, max_length=MOST_TOKENS)
    """The tokens after the prompt and before the place."""


def refusal(status: int, what: str, headers: dict[str, str] | None = None) -> HTTPException:
    return HTTPException(status, what, headers)


@router.get("/runs")
async def runs(request: Request) -> list[dict[str, Any]]:
    """The runs of the folder, and what each can be told."""
    shelf: Shelf = request.app.state.shelf
    return await asyncio.to_thread(lambda: [_run(shelf, name) for name in shelf.names()])


def _run(shelf: Shelf, name: str) -> dict[str, Any]:
    try:
        directory = RunDirectory(shelf.folder / name)
        facts, best = directory.facts, best_of(shelf.folder / name)
        return {
            "id": name,
            "preset": facts.name,
            "family": facts.experiment.family,
            "predicts": facts.experiment.document.predicts,
            "bits_per_byte": best["bits_per_byte"] if best else None,
            "sampling": directory.sampling.model_dump(),
            "fields": {field: list(values) for field, values in facts.told.items()},
            "problem": None,
        }
    except (ArasujiError, KeyError, TypeError, ValueError, OSError) as error:
        return {"id": name, "problem": str(error)}


@router.post("/write")
async def write(asked: WriteRequest, request: Request) -> Response:
    """Write texts, as events: {"lane", "tokens": [[id, text, probability, rank], ...]}, then {"lane", "end"}."""
    writers = request.app.state.writers
    if writers.writing + len(asked.lanes) > writers.most:
        raise refusal(429, f"{writers.writing} texts are being written", {"Retry-After": str(RETRY_AFTER)})
    lanes = await asyncio.gather(*(_begun(lane, request) for lane in asked.lanes), return_exceptions=True)
    begun = [lane for lane in lanes if isinstance(lane, _Begun)]
    for failed in lanes:
        if isinstance(failed, BaseException):
            for one in begun:
                one.stream.close()
            raise failed

    def close() -> None:
        for one in begun:
            one.stream.close()

    return EventStream(_events(begun), close)


@dataclass
class _Begun:
    """A text that is being written."""

    options: texts.Options
    request: texts.Request
    stream: Stream


async def _begun(lane: Lane, request: Request) -> _Begun:
    opened = await _opened(lane.run, request)
    try:
        wishes = Wishes(lane.required, lane.without)
        settings = _settings(opened, lane.sampling)
        options = await asyncio.to_thread(
            writing.options_of, opened.trained, settings, redraw=0, wishes=wishes
        )  # a tokenizer's first look at its words takes a moment
        ((prompt, told),) = writing.check_prompts(opened.trained, [{"prompt": lane.prompt, **lane.fields}])
        asked = texts.Request(prompt, lane.seed, told)
        (stream,) = request.app.state.writers.submit(opened, [options.request(asked, streamed=True, likeliest=0)])
    except FullError as error:
        raise refusal(429, str(error), {"Retry-After": str(RETRY_AFTER)}) from error
    except ArasujiError as error:
        raise refusal(400, str(error)) from error
    return _Begun(options, asked, stream)


async def _opened(name: str, request: Request) -> Opened:
    shelf, writers = request.app.state.shelf, request.app.state.writers
    try:
        opened: Opened = await asyncio.to_thread(shelf.open, name, writers.in_use)
    except OptionError as error:
        raise refusal(404, str(error)) from error
    except ArasujiError as error:
        raise refusal(503, str(error)) from error
    return opened


def _settings(opened: Opened, given: dict[str, float]) -> SamplingConfig:
    own = opened.options.sampling.model_dump() | {"num_beams": 1}
    settings: SamplingConfig = checked(SamplingConfig, own | given, "sampling")
    return settings


async def _events(lanes: list[_Begun]) -> AsyncIterator[str]:
    parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def read(number: int, lane: _Begun) -> None:
        try:
            async for events in lane.stream:
                tokens = [
                    [event.token, event.text, round(event.probability, 6), event.rank]
                    for event in events
                    if not isinstance(event, Finished)
                ]
                if tokens:
                    parts.put_nowait({"lane": number, "tokens": tokens})
                if isinstance(events[-1], Finished):
                    parts.put_nowait({"lane": number, "end": _end(lane, events[-1])})
        except WritingError as error:
            parts.put_nowait({"lane": number, "fail": str(error)})

    reading = [asyncio.ensure_future(read(i, lane)) for i, lane in enumerate(lanes)]
    try:
        left = len(lanes)
        while left:
            part = await parts.get()
            left -= "end" in part or "fail" in part
            yield f"data: {json.dumps(part, ensure_ascii=False)}\n\n"
    finally:
        for task in reading:
            task.cancel()


def _end(lane: _Begun, finished: Finished) -> dict[str, Any]:
    sample = lane.options.sample(0, lane.request, finished)
    return {
        "reason": "ended" if finished.ended else "length",
        "rest": finished.rest,
        "text": sample.text,
        "copied": _copied(lane, sample.copied),
    }


def _copied(lane: _Begun, found: Copied | None) -> dict[str, Any] | None:
    """The longest copy of a text; None where nothing is copied, or copies are not known."""
    if found is None or found.source is None:
        return None
    start, end = found.span
    return {"words": found.longest, "start": start, "end": end}


@router.post("/inspect")
async def inspect(place: Place, request: Request) -> dict[str, Any]:
    """The tokens that could come next at a place, by the model itself, and which of them the settings keep."""
    opened = await _opened(place.run, request)
    try:
        settings = _settings(opened, place.sampling)
        ((prompt, told),) = writing.check_prompts(opened.trained, [{"prompt": place.prompt, **place.fields}])
        work = partial(_candidates, opened, prompt, told, place.ids, settings)
        return await request.app.state.writers.run(work)
    except ArasujiError as error:
        raise refusal(400, str(error)) from error


def _candidates(
    opened: Opened, prompt: str, told: dict[str, Any], ids: list[int], settings: SamplingConfig
) -> dict[str, Any]:
    trained = opened.trained
    document = texts.beginning_of(prompt, told, trained.tokenizer, trained.format)
    read = [*document.ids, *ids]
    if any(token >= trained.tokenizer.vocabulary_size for token in ids):
        raise OptionError("a token of the text is none of this model")
    if trained.model.context_length is not None and len(read) > trained.model.context_length:
        raise OptionError(f"the model's context holds {trained.model.context_length:,} tokens")
    with torch.inference_mode():
        scores, _ = trained.model.step(torch.tensor([read]), torch.tensor([len(read)]))
        scores = scores[:, : trained.tokenizer.vocabulary_size].float()
        shares = scores.softmax(-1)
        kept = sampling.candidates(scores.clone(), [settings], trained.tokenizer.end_id)
        chosen = dict(zip(kept.ids[0].tolist(), kept.scores[0].softmax(-1).tolist(), strict=True))
        best = shares[0].topk(min(CANDIDATES, shares.shape[1]))
    rows = [
        {
            "id": token,
            "text": "" if token == trained.tokenizer.end_id else trained.tokenizer.continuation(read[1:], [token]),
            "ends": token == trained.tokenizer.end_id,
            "raw": share,
            "final": chosen.get(token, 0.0),
        }
        for token, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    return {"rows": rows, "others": shares.shape[1] - len(rows), "rest": max(0.0, 1 - sum(row["raw"] for row in rows))}
