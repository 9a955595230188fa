"""Writes the texts of all clients: one thread takes a step of each model that has texts, and the event loop hands the
new tokens out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Self, TypeVar

from arasuji.generation.engine import Event, Finished, Request
from arasuji.speech import say
from arasuji.studio.shelf import Opened

PERIOD = 0.05
"""Tokens are handed out at most every 50 milliseconds: for a fast model it takes longer to send a token than to write
it."""


RETRY_AFTER = 2
"""Seconds after which a client that found the server full may ask again."""
T = TypeVar("T")


class FullError(Exception):
    """As many texts as the server takes are being written."""


class WritingError(Exception):
    """The model could not go on with a text."""


class Stream:
    """The tokens of one text as they come. It is used in the event loop alone."""

    def __init__(self, opened: Opened, number: int, writers: Writers) -> None:
        self.opened, self.number, self._writers = opened, number, writers
        self._events: list[Event] = []
        self._failure = ""
        self._more = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[list[Event]]:
        """All events since the last ones were taken. The last one is `Finished`. Raises WritingError."""
        while True:
            await self._more.wait()
            self._more.clear()
            events, self._events = self._events, []
            if self._failure:
                raise WritingError(self._failure)
            yield events
            if isinstance(events[-1], Finished):
                return

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._more.set()

    def fail(self, message: str) -> None:
        self._failure = message
        self._more.set()

    def close(self) -> None:
        """Give the text up, where it is not finished: its row is free at the next step."""
        self._writers.give_up(self)


class Writers:
    """The thread that writes, and the texts that are being written. All but the thread runs in the event loop."""

    def __init__(self, most: int) -> None:
        """`most` texts are written at once."""
        self.most = most
        self._streams: dict[tuple[int, int], Stream] = {}
        """By the engine and the number that it gave the text."""
        self._jobs: deque[Callable[[], None]] = deque()
        self._work = threading.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._write, name="writers", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._closing = True
        self._work.set()
        await asyncio.to_thread(self._thread.join)

    @property
    def writing(self) -> int:
        """The number of texts that are being written."""
        return len(self._streams)

    def in_use(self, opened: Opened) -> bool:
        """Whether texts are being written with a model."""
        return any(engine == id(opened.engine) for engine, _ in list(self._streams))

    def check_room(self, count: int) -> None:
        """Raises FullError where there is no room for so many texts more."""
        if len(self._streams) + count > self.most:
            raise FullError(f"{len(self._streams)} of at most {self.most} texts are being written")

    def submit(self, opened: Opened, requests: list[Request]) -> list[Stream]:
        """Begin all of these texts, or none.

        Raises:
            FullError: there is no room for all of them.
            PromptError: a prompt cannot be continued.
        """
        self.check_room(len(requests))
        streams: list[Stream] = []
        try:
            for request in requests:
                streams.append(Stream(opened, opened.engine.submit(request), self))
        except BaseException:
            for stream in streams:
                opened.engine.cancel(stream.number)
            raise
        for stream in streams:
            self._streams[id(opened.engine), stream.number] = stream
        self._work.set()
        return streams

    async def run(self, work: Callable[[], T]) -> T:
        """Compute something with a model, between two steps: models are used by one thread alone."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def answer(give: Callable[..., None], value: Any) -> None:
            if not result.done():  # who asked may have left
                give(value)

        def job() -> None:
            try:
                loop.call_soon_threadsafe(answer, result.set_result, work())
            except Exception as error:
                loop.call_soon_threadsafe(answer, result.set_exception, error)

        self._jobs.append(job)
        self._work.set()
        return await result

    def give_up(self, stream: Stream) -> None:
        if self._streams.pop((id(stream.opened.engine), stream.number), None):
            stream.opened.engine.cancel(stream.number)

    def _write(self) -> None:
        """Take steps as long as there are texts. Runs in the thread."""
        new: list[tuple[int, Event]] = []
        failed: dict[int, str] = {}
        told = 0.0
        while not self._closing:
            while self._jobs:
                self._jobs.popleft()()
            engines = {id(stream.opened.engine): stream.opened.engine for stream in list(self._streams.values())}
            working = {key: engine for key, engine in engines.items() if engine.busy or engine.waiting}
            for key, engine in working.items():
                try:
                    new += [(key, event) for event in engine.step()]
                except Exception as error:  # of this model alone
                    say(f"writing failed: {type(error).__name__}: {error}")
                    failed[key] = f"{type(error).__name__}: {error}"
            ended = any(isinstance(event, Finished) for _, event in new)
            if (new or failed) and (ended or failed or not working or time.monotonic() - told >= PERIOD):
                self._tell(new, failed)
                new, failed, told = [], {}, time.monotonic()
            if not working and not new:
                self._work.wait()
                self._work.clear()

    def _tell(self, new: list[tuple[int, Event]], failed: dict[int, str]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._hand_out, new, failed)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._closing = True

    def _hand_out(self, new: list[tuple[int, Event]], failed: dict[int, str]) -> None:
        for key, event in new:
            stream = self._streams.get((key, event.id))
            if stream is None:  # it was given up
                continue
            if isinstance(event, Finished):
                del self._streams[key, event.id]
            stream.add(event)
        for key in failed:
            for place in [place for place in self._streams if place[0] == key]:
                stream = self._streams.pop(place)
                stream.opened.engine.cancel(stream.number)
                stream.fail(failed[key])
