"""Responses that end when the client leaves, whether they are streamed or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

SLOWEST = 60.0
"""A client that has not taken a part of a stream after this number of seconds has left."""

T = TypeVar("T")


class ClientLeftError(Exception):
    """The client has left."""


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_left(request: Request, work: Awaitable[T]) -> T:
    """Wait for a result. Raises ClientLeftError, and stops the work, where the client leaves before."""
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientLeftError
        return doing.result()
    finally:
        leaving.cancel()
        doing.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


class EventStream(StreamingResponse):
    """Server-sent events. Starlette's own response sees that a client has left only when it sends the next event."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], gone: Callable[[], None]) -> None:
        """`gone` is called at the end, whatever it is."""
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self.events, self.gone = events, gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: dict[str, object]) -> None:
            async with asyncio.timeout(SLOWEST):  # not wait_for: Python 3.11's can lose a cancellation
                await send(message)

        sending, leaving = (asyncio.ensure_future(work) for work in (self._send(sent), _left(receive)))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except (OSError, TimeoutError):  # the client has left
            pass
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self.gone()

    async def _send(self, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.events) as events:  # type: ignore[type-var]
            async for event in events:
                await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
