"""Connections to the server: one that comes to no request is closed, so that they shut nobody out."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from arasuji.studio.leaving import SLOWEST


class Connection(H11Protocol):
    """uvicorn's own, which waits for ever for the first request, and for a later one once its first byte has come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called when a client has connected."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(SLOWEST, self._leave_unless_asked)

    def on_response_complete(self) -> None:
        """Called when a request has been answered."""
        self._waiting.cancel()
        self._waiting = self.loop.call_later(SLOWEST, self._leave_unless_asked)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when a client has left, or was let go."""
        self._waiting.cancel()  # else it keeps the connection, with all that came over it, for a minute more
        super().connection_lost(exc)

    def _leave_unless_asked(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # no head of a request has come to its end since
            self.transport.close()  # not `abort`: a client may still be reading its last answer
