"""The Write room: what runs there are, and texts as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from arasuji import models
from arasuji.corpus.originality import Copied
from arasuji.errors import ArasujiError
from arasuji.generation.engine import Finished
from arasuji.runs import RunDirectory, best_of
from arasuji.studio.asked import Asked, Ready, ready, refusal
from arasuji.studio.leaving import EventStream
from arasuji.studio.shelf import Shelf
from arasuji.studio.writers import FullError, Stream, WritingError

MOST_LANES = 8

router = APIRouter(prefix="/api")


class WriteRequest(BaseModel):
    """Texts that are written at the same time."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    lanes: list[Asked] = Field(min_length=1, max_length=MOST_LANES)


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
            "shows": sorted(models.family(facts.experiment.family).shows),
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
    try:
        request.app.state.writers.check_room(len(asked.lanes))
    except FullError as error:
        raise refusal(429, str(error)) from error
    lanes = await asyncio.gather(*(_begun(lane, request) for lane in asked.lanes), return_exceptions=True)
    begun = [lane for lane in lanes if isinstance(lane, _Begun)]

    def close() -> None:
        for one in begun:
            one.stream.close()

    for failed in lanes:
        if isinstance(failed, BaseException):
            close()
            raise failed
    return EventStream(_events(begun), close)


@dataclass
class _Begun:
    """A text that is being written."""

    ready: Ready
    stream: Stream


async def _begun(asked: Asked, request: Request) -> _Begun:
    lane = await ready(asked, request)
    try:
        (stream,) = request.app.state.writers.submit(lane.opened, [lane.request()])
    except FullError as error:
        raise refusal(429, str(error)) from error
    except ArasujiError as error:
        raise refusal(400, str(error)) from error
    return _Begun(lane, stream)


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
    sample = lane.ready.options.sample(0, lane.ready.text, finished)
    return {
        "reason": "ended" if finished.ended else "length",
        "rest": finished.rest,
        "text": sample.text,
        "copied": _copied(sample.copied),
    }


def _copied(found: Copied | None) -> dict[str, Any] | None:
    """The longest copy of a text; None where nothing is copied, or copies are not known."""
    if found is None or found.source is None:
        return None
    start, end = found.span
    return {"words": found.longest, "start": start, "end": end}
