"""The studio's server as a program of its own, with as many clients as it takes, and with many more that misbehave."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

MOST = 32
"""The texts that the server writes at once."""
SECONDS, FEWEST, DAILY = 600, 5, 50
"""How long clients misbehave with `--share 1`; at least this long; and so long times the share, for a smaller share."""
TOKENS = 1500
SEEDS = 4
EXTRA, LEAVERS = 200, 1000
SLOW, HALF_OPEN = 8, 40
"""At the same time."""
GROWTH, GROWTH_EARLY = 0.05, 0.25
"""The memory at the end is at most this much above that after the first minute; or above that after a third of the
time where it ran for less than `SETTLED` seconds, as caches are still filling."""
SETTLED = 180
MEASURED = 20
"""The memory is the median of so many values."""
LATEST = 20.0
"""A bound for the time of an answer, which a busy machine keeps too; what it takes is printed."""
REFUSED = 0.5
"""The same for the median of one that says that all slots are taken, beside no other request: it takes milliseconds."""
ASKED = {"model": "lstm", "prompt": "A baker", "max_tokens": TOKENS, "min_tokens": TOKENS}
NUMBERS = [
    '"max_tokens": NaN', '"max_tokens": -1', '"max_tokens": 1000000000', '"n": 1000000000', '"n": -1', '"n": 0.5',
    '"temperature": NaN', '"temperature": -1e9', '"temperature": 1e999', '"top_p": Infinity', '"top_k": -1000000000',
    '"seed": -1', '"seed": 1e30', '"seed": ' + "9" * 5000, '"min_tokens": 1000000000', '"guidance": 1e9',
    '"repetition_penalty": -Infinity', '"logprobs": 1000000000', '"min_p": NaN', '"temperature": "NaN"',
]  # fmt: skip


class Served:
    """The server."""

    def __init__(self, runs: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "arasuji", "serve", "--runs", str(runs), "--port", str(self.port)]
        self.said = runs.parent / "said"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(command, stderr=said, env=os.environ | {"OMP_NUM_THREADS": "1"})
        until = time.monotonic() + 120
        while True:
            with suppress(OSError):
                self.ask({"model": "lstm", "max_tokens": 1})
                return
            assert time.monotonic() < until, self.said.read_text("utf-8")
            time.sleep(0.1)

    def ask(self, body: dict[str, Any] | str) -> tuple[int, Any]:
        """The status of an answer, and what it holds."""
        with self.connection() as connection:
            answer = self.begin(connection, body)
            return answer.status, json.loads(answer.read())

    def connection(self) -> _Closing:
        return _Closing("127.0.0.1", self.port, timeout=120)

    def begin(self, connection: http.client.HTTPConnection, body: dict[str, Any] | str) -> http.client.HTTPResponse:
        content = body if isinstance(body, str) else json.dumps(body)
        connection.request("POST", "/v1/completions", content, {"Content-Type": "application/json"})
        return connection.getresponse()

    def raw(self, *, head: str = "", body: dict[str, Any] = ASKED) -> bytes:
        """The bytes of a request."""
        content = json.dumps(body).encode()
        lines = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        return f"{lines}{head}Content-Length: {len(content)}\r\n\r\n".encode() + content

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LATEST)

    @property
    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def has_all_slots(self) -> bool:
        """Whether it would write as many texts as it can: then no one else has a slot."""
        until = time.monotonic() + LATEST
        while time.monotonic() < until:
            if self.ask({"model": "lstm", "n": MOST, "max_tokens": 1})[0] == 200:
                return True
            time.sleep(0.05)
        return False


class _Closing(http.client.HTTPConnection):
    def __enter__(self) -> _Closing:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Client(threading.Thread):
    """Asks for texts, one after the other, and compares each with the one that the server writes for nobody else."""

    def __init__(self, served: Served, seed: int, expected: str) -> None:
        super().__init__()
        self.served, self.seed, self.expected = served, seed, expected
        self.done, self.parts, self.whole = False, 0, 0
        self.problems: list[str] = []

    def run(self) -> None:
        while not self.done:
            try:
                text = self._text()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                continue
            if text is None:  # another client was faster
                time.sleep(0.1)
                continue
            self.whole += 1
            if text != self.expected:
                self.problems.append(f"{len(text)} characters in place of {len(self.expected)}")

    def _text(self) -> str | None:
        with self.served.connection() as connection:
            answer = self.served.begin(connection, ASKED | {"seed": self.seed, "stream": True})
            if answer.status == 429:
                return None
            found, line = "", b""
            for line in answer:
                if line.startswith(b"data: {"):
                    found += json.loads(line[6:])["choices"][0]["text"]
                    self.parts += 1
                if line == b"data: [DONE]\n":
                    return found
            raise ValueError(f"it was dropped, after {len(found)} characters: {line!r}")


@pytest.fixture
def served(runs: Path, tmp_path: Path) -> Iterator[Served]:
    shutil.copytree(runs / "lstm", tmp_path / "runs" / "lstm")
    server = Served(tmp_path / "runs")
    yield server
    server.process.kill()
    server.process.wait()


def at_once(served: Served, count: int) -> list[tuple[int, float]]:
    """So many requests at once: the status of each, and the seconds until it came."""
    request, found = served.raw(body=ASKED | {"stream": True}), []
    sockets = [served.open() for _ in range(count)]
    began = time.monotonic()
    for one in sockets:
        one.sendall(request)
    for one in sockets:
        head = one.recv(4096)
        seconds = time.monotonic() - began
        status = int(head.split(b" ", 2)[1])
        assert status != 429 or b"retry-after: " in head.lower()
        found.append((status, seconds))
    for one in sockets:  # not before all are answered: then there is room for another one
        one.close()
    return found


class Guests:
    """Clients that misbehave, a few at a time."""

    def __init__(self, served: Served, chance: random.Random) -> None:
        self.served, self.random = served, chance
        self.slow: list[socket.socket] = []
        self.half_open: list[socket.socket] = []

    def leave(self) -> str:
        """Ask for a text, and go: at once, after the first byte, or with a reset."""
        with self.served.open() as one:
            one.sendall(
                self.served.raw(body=ASKED | {"stream": self.random.random() < 0.7, "n": self.random.choice((1, 2))})
            )
            if self.random.random() < 0.5 and not one.recv(1):
                return "no answer"
            if self.random.random() < 0.3:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return ""

    def read_slowly(self) -> str:
        """Read a byte of each slow client's text; now and then one leaves, and another one asks."""
        if len(self.slow) < SLOW:
            one = self.served.open()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.sendall(self.served.raw(body=ASKED | {"stream": True}))
            self.slow.append(one)
        for one in self.slow:
            if not one.recv(1):
                return "a slow reader was dropped"
        if self.random.random() < 0.1:
            self.slow.pop(0).close()
        return ""

    def stay_half_open(self) -> str:
        """Begin a request, and say no more."""
        whole = self.served.raw()
        one = self.served.open()
        one.sendall(whole[: self.random.randrange(len(whole))])
        self.half_open.append(one)
        if len(self.half_open) > HALF_OPEN:
            self.half_open.pop(0).close()
        return ""

    def send_numbers(self) -> str:
        """A number that is none, or far too large."""
        asked = self.random.choice(NUMBERS)
        status, answer = self.served.ask('{"model": "lstm", "stream": true, ' + asked + "}")
        return "" if status == 400 and answer["error"]["message"] else f"{asked[:50]}: {status} {answer}"

    def send_a_header(self) -> str:
        """A header of 64 kB or of 1 MB."""
        with self.served.open() as one, suppress(OSError):  # it may be closed before it is read
            one.sendall(self.served.raw(head=f"X: {'x' * self.random.choice((2**16, 2**20))}\r\n"))
            answer = one.recv(4096)
            return f"{answer[:100]!r}" if answer.startswith(b"HTTP/1.1 5") else ""
        return ""

    def close(self) -> None:
        for one in (*self.slow, *self.half_open):
            one.close()


@pytest.mark.timeout(1500)
def test_clients_that_misbehave_take_nothing_from_the_others(served, cases, capsys):
    """Beside clients that leave, read slowly, stop in the middle or ask for 10⁹, all texts are written to their end."""
    references = [served.ask(ASKED | {"seed": seed})[1]["choices"][0]["text"] for seed in range(SEEDS)]
    assert len({*references}) == SEEDS
    seconds = SECONDS if cases.share >= 1 else max(FEWEST, DAILY * cases.share)
    clients = [Client(served, i % SEEDS, references[i % SEEDS]) for i in range(MOST)]
    guests = Guests(served, cases.random)
    began = time.monotonic()
    for client in clients:
        client.start()
    try:
        while not all(client.parts for client in clients):
            assert time.monotonic() < began + 120, "not all texts have begun"
            time.sleep(0.01)
        ended = sum(client.whole for client in clients)
        answers = at_once(served, EXTRA)
        alone = [taken for _ in range(20) for status, taken in at_once(served, 1) if status == 429]
        time.sleep(1)  # the clients take note of the texts that have ended meanwhile
        ended = sum(client.whole for client in clients) - ended
        for status, taken in answers:
            cases.saw(
                "one too many", "" if status in (200, 429) and taken < LATEST else f"{status} after {taken:.1f} s"
            )
        cases.saw("one alone", "" if _median(alone) < REFUSED else f"429 after {_median(alone):.1f} s")
        taken_in = sum(status == 200 for status, _ in answers)
        cases.saw(
            "all too many", f"{taken_in} of {EXTRA} were let in, {ended} texts had ended" if taken_in > ended else ""
        )
        pause = seconds / cases.count(LEAVERS)
        memory: list[tuple[float, int]] = []
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds or len(memory) < 2 * MEASURED:
            for guest in (
                guests.leave,
                guests.read_slowly,
                guests.stay_half_open,
                guests.send_numbers,
                guests.send_a_header,
            ):
                cases.saw(guest.__name__, guest())
            memory.append((passed, served.memory))
            time.sleep(max(0, began + passed + pause - time.monotonic()))
    finally:
        for client in clients:
            client.done = True
        for client in clients:
            client.join()
        guests.close()
    for client in clients:
        cases.saw(client.name, "; ".join(client.problems[:3]))
        cases.tried += max(0, client.whole - 1)
    cases.saw("the slots", "" if served.has_all_slots() else "they were not free again")
    early = 60 if seconds >= SETTLED else seconds / 3
    before = _median([size for passed, size in memory if passed >= early][:MEASURED])
    after = _median([size for _, size in memory[-MEASURED:]])
    bound = GROWTH if seconds >= SETTLED else GROWTH_EARLY
    grown = "" if after <= before * (1 + bound) else f"{before / 1e6:.0f} MB grew to {after / 1e6:.0f} MB"
    cases.saw("memory", grown)
    cases.saw("messages", "a traceback" if "Traceback" in served.said.read_text("utf-8", "replace") else "")
    refused = [taken for status, taken in answers if status == 429]
    with capsys.disabled():
        print(
            f"\n{seconds:.0f} s, {sum(client.whole for client in clients)} texts; "
            f"429 after {1e3 * _median(alone):.0f} ms, of "
            f"{EXTRA} at once after {1e3 * _median(refused):.0f} ms; "
            f"{before / 1e6:.0f} MB, at the end {after / 1e6:.0f} MB"
        )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")
