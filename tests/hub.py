"""A small Hugging Face hub on this machine: it serves folders, as the hub's own client asks for them.

It can cut a connection, hide a model behind terms, and know it under an older name; and it remembers what it was asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from huggingface_hub import constants

COMMIT = "c0ffee" + 34 * "0"
"""Each model has one commit."""
NOWHERE = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


def point_at(monkeypatch, address: str) -> None:
    """Let the client of this process, which read HF_ENDPOINT when it was imported, ask this address."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


class Hub:
    """What is served, and what was asked for."""

    def __init__(self) -> None:
        self.models: dict[str, Path] = {}
        """Folders, by the names OWNER/NAME."""
        self.renamed: dict[str, str] = {}
        """New names, by the old ones."""
        self.refusals: dict[str, tuple[int, str]] = {}
        """The status and the code of an error, by the names of the models whose files are not given."""
        self.token: str | None = None
        """Where it is set, a request with another token is refused."""
        self.cuts: dict[str, int] = {}
        """After how many bytes of a file the connection is cut once, by the file's name."""
        self.broken: set[str] = set()
        """The names of files that the hub fails to give."""
        self.sent: list[tuple[str, int, int]] = []
        """The name of each file that was given, from which byte on, and how many bytes."""
        self.address = ""

    def bytes_of(self, suffix: str) -> int:
        """How many bytes were sent of the files with this ending."""
        return sum(count for name, _, count in self.sent if name.endswith(suffix))


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers, until the end of the block."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are kept in `Hub.sent`, and not printed."""

    def _answer(self) -> None:
        path = urlsplit(self.path).path.strip("/").split("/")
        api = path[:2] == ["api", "models"]
        owner, model, *rest = path[2:] if api else path
        name = f"{owner}/{model}"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and self.served.token and token != self.served.token:
            self._send(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif new := self.served.renamed.get(name):
            self._send(307, {"Location": self.path.replace(name, new)})
        elif name not in self.served.models:
            self._send(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif api and "tree" in rest:
            self._send_json([_entry(file) for file in _files(self.served.models[name])])
        elif api:
            siblings = [{"rfilename": file.name} for file in _files(self.served.models[name])]
            self._send_json({"id": name, "sha": COMMIT, "siblings": siblings})
        elif name in self.served.refusals:
            status, code = self.served.refusals[name]
            self._send(status, {"X-Error-Code": code, "X-Error-Message": f"Access to model {name} is restricted"})
        else:
            self._send_file(self.served.models[name] / rest[-1])

    def _send_json(self, value: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _send_file(self, file: Path) -> None:
        about = {"ETag": f'"{_entry(file)["oid"]}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        content = file.read_bytes()
        if self.command == "GET" and file.name in self.served.broken:
            self._send(503)
            return
        begin = int(self.headers["Range"].removeprefix("bytes=").split("-")[0]) if "Range" in self.headers else 0
        if begin:
            about["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._send(206 if begin else 200, about, content[begin:], file.name, begin)

    def _send(
        self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", file: str = "", begin: int = 0
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.served.cuts.pop(file, None)
        self.wfile.write(body[:cut])
        if file:
            self.served.sent.append((file, begin, len(body[:cut])))
        self.close_connection = cut is not None


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _entry(file: Path) -> dict[str, object]:
    return {
        "type": "file",
        "path": file.name,
        "size": file.stat().st_size,
        "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
    }
