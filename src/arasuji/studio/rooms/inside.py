"""The Look inside room: how a token is chosen, what a transformer reads, what an LSTM keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import Field

from arasuji.errors import ArasujiError, OptionError
from arasuji.generation.explain import explain
from arasuji.inside.attention import attention_of
from arasuji.inside.memory import memory_of
from arasuji.inside.reading import Reading, of_document
from arasuji.inside.reset import reset
from arasuji.runs import TrainedModel
from arasuji.studio.asked import Asked, Ready, ready, refusal

MOST_CANDIDATES = 200
DIGITS = 4
"""Shares are sent with this many digits."""

router = APIRouter(prefix="/api/inside")
T = TypeVar("T")


class Choice(Asked):
    """The place after the tokens of a text."""

    count: int = Field(12, ge=1, le=MOST_CANDIDATES)
    """The number of candidates that are shown."""


class Token(Asked):
    """A token of a text: the first one, 0, stands before every text."""

    token: int = Field(ge=0, lt=2**31)


class Layer(Asked):
    """A layer of a model; the last one is -1."""

    layer: int = Field(-1, ge=-1024, lt=1024)
    cell: int | None = Field(None, ge=0, lt=2**31)
    """A cell of it, whose values are wanted too."""


@router.post("/choice")
async def choice(asked: Choice, request: Request) -> dict[str, Any]:
    """How the next token is chosen: the candidates, what each setting does to them, and the draw. It is the token that
    /api/write would write."""
    place = await ready(asked, request)
    tokenizer = place.opened.trained.tokenizer
    return await _computed(
        request, lambda: asdict(explain(place.opened.trained.model, tokenizer, place.request(), asked.count))
    )


@router.post("/attention")
async def attention(asked: Token, request: Request) -> dict[str, Any]:
    """How much a token reads of each token up to itself: {"texts": (T,), "weights": (layers, heads, T)}."""
    place = await ready(asked, request)
    exact = await _exact(asked.run, request)

    def work() -> dict[str, Any]:
        read = _read(exact, place)
        if asked.token >= len(read.ids):
            raise OptionError(f"the text has {len(read.ids)} tokens, and none has the number {asked.token}")
        weights = attention_of(exact, read).weights[:, :, asked.token]
        return _texts(read) | {"token": asked.token, "weights": weights.mul(10**DIGITS).round().int().tolist()}

    return await _computed(request, work)


@router.post("/memory")
async def memory(asked: Layer, request: Request) -> dict[str, Any]:
    """The gates and the memory of a layer after each token; of each token the cells that it moved most."""
    place = await ready(asked, request)
    exact = await _exact(asked.run, request)

    def work() -> dict[str, Any]:
        found = memory_of(exact, _read(exact, place))
        layers, tokens, cells = found.gates.cell.shape
        if not -layers <= asked.layer < layers or (asked.cell is not None and asked.cell >= cells):
            raise OptionError(f"{exact.name} has {layers} layers of {cells} cells each")
        return _texts(found.reading) | {
            "layers": layers,
            "cells": cells,
            "layer": asked.layer % layers,
            "lines": {name: _rounded(line.tolist()) for name, line in found.lines(asked.layer).items()},
            "moved": [
                [[cell, round(change, DIGITS)] for cell, change in found.most_moved(t, layer=asked.layer)]
                for t in range(tokens)
            ],
            "cell": None if asked.cell is None else _rounded(found.cell(asked.cell, asked.layer).tolist()),
        }

    return await _computed(request, work)


@router.post("/reset")
async def reset_at(asked: Token, request: Request) -> dict[str, Any]:
    """What is lost where the memory of a recurrent model is emptied before a token."""
    place = await ready(asked, request)
    exact = await _exact(asked.run, request)

    def work() -> dict[str, Any]:
        read = _read(exact, place)
        found = reset(exact, read, asked.token)

        def named(rows: list[tuple[int, float]]) -> list[dict[str, Any]]:
            end, before = exact.tokenizer.end_id, read.ids[1 : asked.token + 1]
            return [
                {"ends": id == end, "text": exact.tokenizer.continuation(before, [id]) if id != end else "", "share": p}
                for id, p in rows
            ]

        return _texts(read) | {
            "at": found.at,
            "bits": _rounded(found.bits),
            "bits_without": _rounded(found.bits_without),
            "differences": _rounded(found.differences),
            "before": named(found.before),
            "after": named(found.after),
            "lost": found.lost,
            "agree_after": found.agree_after,
        }

    return await _computed(request, work)


async def _exact(name: str, request: Request) -> TrainedModel:
    """The run with whole weights: its 8-bit form keeps neither attention nor gates."""
    try:
        exact: TrainedModel = await asyncio.to_thread(
            request.app.state.shelf.exact, name, request.app.state.writers.in_use
        )
    except ArasujiError as error:
        raise refusal(503, str(error)) from error
    return exact


async def _computed(request: Request, work: Callable[[], T]) -> T:
    """Models are used by one thread alone, between two steps of what is written."""
    try:
        result: T = await request.app.state.writers.run(work)
    except ArasujiError as error:
        raise refusal(400, str(error)) from error
    return result


def _read(trained: TrainedModel, place: Ready) -> Reading:
    return of_document(trained, place.request().document, place.ids)


def _texts(read: Reading) -> dict[str, Any]:
    return {"texts": read.texts, "counted_from": read.counted_from}


def _rounded(values: list[float]) -> list[float]:
    return [round(value, DIGITS) for value in values]
