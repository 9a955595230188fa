"""Requests as no browser of the page and no honest program sends them: byte for byte, over a socket.

The bytes of all files are compared before and after each one, so that a request that is refused has changed nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hard.attacks import BROKEN, NO_JSON, OTHER, READING, REFUSED, ROUTES, SECRET, TARGETS, WRONG, Head
from studio.conftest import Server

from arasuji.studio import jobs
from arasuji.studio.writers import Writers

KEPT = 25
"""Texts on the desk: a corpus can be made of them."""


class Studio:
    """A server with something of everything that can be changed. Jobs are started as processes that only wait."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.here = f"127.0.0.1:{server.port}"
        self.handed_in = 0
        """The number of times that texts were handed in to be written."""

    def state(self) -> tuple[Any, ...]:
        """The bytes of all files, and what was begun."""
        files = [path for path in sorted(self.folder.rglob("*")) if not path.is_dir()]
        return self.handed_in, *((str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)

    def request(self, route: tuple[str, str, Any], head: Head = Head()) -> bytes:  # noqa: B008
        """The bytes of a request to a route."""
        method, path, body = route
        filled = {"port": self.server.port, "here": self.here, "path": path, "method": method}
        fill = lambda line: line.format(**filled)  # noqa: E731
        lines = [f"{head.method or method} {fill(head.target)} HTTP/1.1"]
        lines += [f"Host: {fill(host)}" for host in head.host]
        lines += [f"Content-Type: {kind}" for kind in head.kind]
        lines += [fill(line) for line in head.more]
        content = json.dumps(body).encode()
        return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode("latin-1") + content

    def send(self, content: bytes, seconds: float = 5.0) -> tuple[int, bytes]:
        """The status of the first answer, and all bytes that came: 0 where none came. It waits until the answer is
        whole, the connection is closed or `seconds` have passed."""
        found, until = b"", time.monotonic() + seconds
        with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
            try:
                connection.sendall(content)
                while not _is_whole(found, content) and (left := until - time.monotonic()) > 0:
                    connection.settimeout(left)
                    part = connection.recv(65536)
                    if not part:
                        break
                    found += part
            except OSError:  # it was closed, or nothing came in time
                pass
        line = found.split(b"\r\n", 1)[0].split(b" ")
        return int(line[1]) if line[0].startswith(b"HTTP/1.") else 0, found

    def is_alive(self) -> bool:
        return self.send(f"GET /v1/models HTTP/1.1\r\nHost: {self.here}\r\n\r\n".encode())[0] == 200


def _is_whole(answer: bytes, asked: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    if not end or b"connection: close" in lines:
        return False
    if asked.startswith(b"HEAD ") or lines[0].startswith((b"http/1.1 204", b"http/1.1 304")):
        return True
    if b"transfer-encoding: chunked" in lines:
        return body.endswith(b"0\r\n\r\n")
    return any(line == b"content-length: %d" % len(body) for line in lines)


def _waits(command: list[str], folder: Path | None, out: Path, log: Path) -> subprocess.Popen[bytes]:
    """In place of a job's process: one that only waits. Its streams are made, as those of a job are."""
    out.touch()
    log.touch()
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


@pytest.fixture
def studio(runs: Path, corpus: Path, tmp_path: Path, monkeypatch, caplog) -> Iterator[Studio]:
    folder = tmp_path / "served"
    shutil.copytree(runs, folder / "runs")
    shutil.copytree(corpus, folder / "corpora" / "starter")
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(jobs, "_process", lambda *where: started.append(_waits(*where)) or started[-1])
    with Server(folder / "runs") as server:
        studio = Studio(server, folder)
        submit = Writers.submit

        def counted(*handed: Any) -> Any:
            studio.handed_in += 1
            return submit(*handed)

        monkeypatch.setattr(Writers, "submit", counted)
        for job, run in (("busy", ""), ("train-gpt2-mini", "gpt2-mini")):
            server.app.state.jobs.start(job, "train", [], {"run": run})
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for number in range(KEPT):
                text = f"Text {number}: a baker sails for the ice, and finds {number} ships that never were there. "
                assert client.post("/api/desk", json={"text": text * 3}).status_code == 201
            pair = client.post("/api/arena/pairs", json={"question": "read"}).json()["pair"]
            client.get("/api/arena")
            studio.pair = pair  # type: ignore[attr-defined]
        caplog.set_level(logging.ERROR, "uvicorn.error")
        yield studio
    for process in started:
        process.kill()
        process.wait()


def routes(studio: Studio) -> list[tuple[str, str, Any]]:
    return [
        (method, path, {name: studio.pair if value == "PAIR" else value for name, value in body.items()})  # type: ignore[attr-defined]
        for method, path, body in ROUTES
    ]


def test_every_route_that_changes_something_is_attacked_here(studio):
    described = httpx.get(f"{studio.server.url}/openapi.json").json()["paths"]
    changing = {(method, path) for path, of in described.items() for method in of if method != "get"}
    filled = [(method.lower(), path.replace("{", "").replace("}", "")) for method, path in changing]
    assert len(filled) == len(ROUTES) + len(READING)
    for method, path, _ in ROUTES:
        assert any(_fits(path, pattern) and kind == method.lower() for kind, pattern in changing), (method, path)


def _fits(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(b.startswith("{") or a == b for a, b in zip(parts, wanted, strict=True))


def test_a_request_of_another_site_changes_nothing(studio, cases):
    """A request with a foreign Host or Origin, another content type or method changes no file, and starts nothing."""
    every = [(route, head, True) for route in routes(studio) for head in REFUSED]
    every += [(route, head, True) for route in routes(studio) if route[0] != "DELETE" for head in NO_JSON]
    every += [
        (route, head, False)
        for route in routes(studio)
        for head in OTHER
        if head.method != route[0] or head[1:] != Head()[1:]
    ]
    before = studio.state()
    for route, head, is_refused in cases(every):
        status, answer = studio.send(studio.request(route, head))
        problem = ""
        if is_refused and not 400 <= status < 500:
            problem = f"it is answered with {status}: {answer[-200:]!r}"
        elif status >= 500 or status == 0:
            problem = f"{status}: {answer[:200]!r}"
        elif (after := studio.state()) != before:
            problem, before = f"it has changed {set(after) ^ set(before)}", after
        elif b"access-control-" in answer.lower():
            problem = "it lets another site read"
        cases.saw((route[:2], head), problem)
    assert studio.is_alive()
    for route in routes(studio) if not cases.problems else ():  # sent as the page sends it, each of them does its work
        before = studio.state()
        status, answer = studio.send(studio.request(route, Head(more=("Origin: http://{here}",))), 60)
        assert 200 <= status < 300, (route, answer)
        assert studio.state() != before or route[1] == "/api/enter", route


def test_what_is_no_request_changes_nothing(studio, cases):
    """Bytes that are no HTTP, or lie about lengths, hosts and paths, change no file, and the server lives on."""
    text = json.dumps({"text": "A text."}).encode()
    delete = b"DELETE /api/desk/1 HTTP/1.1\r\nHost: {here}\r\n\r\n".replace(b"{here}", studio.here.encode())
    filled = {
        b"{post}": b"POST /api/desk HTTP/1.1\r\nHost: {here}\r\nContent-Type: application/json\r\n",
        b"{text}": text, b"{chunked}": b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text), b"{size}": b"%d" % len(text),
        b"{delete}": delete, b"{whole}": b"%d" % len(delete), b"{here}": studio.here.encode(),
    }  # fmt: skip
    every = dict(BROKEN)
    for method in ("GET", "DELETE"):
        for target in TARGETS:
            every[f"{method} {target}"] = f"{method} {target} HTTP/1.1\r\nHost: {{here}}\r\n\r\n".encode()
    before = studio.state()
    for name in cases([*every]):
        content = every[name]
        for key, value in filled.items():
            content = content.replace(key, value)
        status, answer = studio.send(content, 0.7)
        problem = ""
        if status >= 500 or b" 500 " in answer:
            problem = f"{answer[:200]!r}"
        elif b"root:" in answer or b"SQLite format" in answer or b"from __future__" in answer:
            problem = f"it is shown a file: {answer[:300]!r}"
        elif (
            b"\nlocation:" in answer.lower() and b"\nlocation: http://%s/" % studio.here.encode() not in answer.lower()
        ):
            problem = f"it is sent elsewhere: {answer[:300]!r}"
        elif (after := studio.state()) != before:
            problem, before = f"it has changed {set(after) ^ set(before)}", after
        elif not studio.is_alive():
            problem = "the server does not answer any more"
        cases.saw(name, problem)
    assert cases.problems or studio.send(delete)[0] == 204
    assert cases.problems or studio.state() != before


def test_without_the_token_nothing_is_changed(studio, cases):
    """Where a token is needed, no request without exactly this token changes a file or is told what there is."""
    with Server(studio.folder / "runs", SECRET) as server:
        guarded = Studio(server, studio.folder)
        every = [(route, more, "{path}") for route in routes(studio) if route[1] != "/api/enter" for more in WRONG]
        for asked in ("?token={secret}", "#token={secret}", "?access_token={secret}", ";token={secret}"):
            every += [(route, (), "{path}" + asked) for route in routes(studio) if route[1] != "/api/enter"]
        every += [
            (("GET", path, {}), more, "{path}") for path in ("/api/desk", "/v1/models", "/api/jobs") for more in WRONG
        ]
        every += [
            (("POST", "/api/enter", {"token": token}), (), "{path}")
            for token in ("", "a", SECRET.lower(), "ä", "\ud800")
        ]
        before = studio.state()
        names = {"secret": SECRET, "lower": SECRET.lower(), "upper": SECRET.upper()}
        for route, more, target in cases(every):
            filled = tuple(_filled(line, names) for line in more)
            status, answer = guarded.send(guarded.request(route, Head(more=filled, target=_filled(target, names))))
            problem = ""
            if not 400 <= status < 500 or b"set-cookie" in answer.lower() or SECRET.encode() in answer:
                problem = f"it is answered with {status}: {answer[-200:]!r}"
            elif studio.state() != before:
                problem = "it has changed something"
            cases.saw((route[:2], more, target), problem)
        for line in (
            f"Authorization: Bearer {SECRET}",
            f"authorization: bearer {SECRET}",
            f"Cookie: x=1; arasuji-{server.port}={SECRET}",
        ):
            assert guarded.send(guarded.request(("GET", "/api/desk", {}), Head(more=(line,))))[0] == 200, line


def _filled(line: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        line = line.replace(f"{{{name}}}", value)
    return line
