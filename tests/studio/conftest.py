from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, expect

from arasuji import api
from arasuji.generation.engine import Engine
from arasuji.studio.app import app_of
from arasuji.studio.connection import Connection


@pytest.fixture(scope="session")
def runs(corpus, tmp_path_factory) -> Path:
    """A folder with a small LSTM, which can be told fields, and 5-grams."""
    folder = tmp_path_factory.mktemp("served")
    settings = ["tokenizer.size=400", "model.hidden=24", "model.embedding=16"]
    list(api.train_events("lstm-control", corpus, folder / "told", max_steps=2, settings=settings))
    list(api.train_events("ngram", corpus, folder / "ngram", settings=["tokenizer.size=400"]))
    return folder


class Server:
    """A real server on a free port of this machine."""

    def __init__(self, runs: Path, token: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.app = app_of(runs, self.port, token, runs.parent / "corpora")
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(self.app, port=self.port, log_level="warning", http=Connection, ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> Server:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.should_exit = True
        self.thread.join()

    def until_idle(self) -> None:
        """Wait until nothing is being written, a minute at most."""
        until = time.monotonic() + 60
        while self.app.state.writers.writing:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    """How often the engines of all models were asked for a step ("step") and to give up a text ("cancel")."""
    counted: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., Any]:
        function = getattr(Engine, name)

        def call(*arguments: Any) -> Any:
            counted[name] += 1
            return function(*arguments)

        return call

    for name in ("step", "cancel"):
        monkeypatch.setattr(Engine, name, counting(name))
    return counted


@pytest.fixture(scope="session")
def server(runs) -> Iterator[Server]:
    with Server(runs) as running:
        yield running


@pytest.fixture
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def serve() -> type[Server]:
    """What serves another folder, or with a token: `with serve(runs) as server`."""
    return Server


@pytest.fixture
def run_of_server() -> Iterator[Callable[..., tuple[str, subprocess.Popen[bytes]]]]:
    """Starts the server of a folder as a program of its own: its address, and its process."""
    started = []

    def start(folder: Path, **options: Any) -> tuple[str, subprocess.Popen[bytes]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "arasuji", "serve", "--runs", str(folder), "--port", str(port)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=folder.parent, **options))
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/api/desk")
                return url, started[-1]
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.1)

    yield start
    for server in started:
        server.kill()
        server.wait()


expect.set_options(timeout=60_000)  # the first text of a model takes a while on a machine with other work


@pytest.fixture
def open_page(browser, server) -> Iterator[Callable[..., Page]]:
    """Opens the page, in a window of its own, with nothing on the desk and without colours that change slowly. At the
    end no error may have been logged, of the policy or any other, but those that `allow` has named: the browser logs
    each answer that is an error, and the page may ask once more while it is closed."""
    contexts, problems, allowed = [], [], []
    for row in server.app.state.desk.texts():
        server.app.state.desk.delete(row["id"])

    def opened(path: str = "/", **options: Any) -> Page:
        contexts.append(browser.new_context(reduced_motion="reduce", **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(server.url + path)
        return page

    opened.allow = lambda *parts: allowed.extend(parts)  # type: ignore[attr-defined]
    yield opened
    for context in contexts:
        context.close()
    assert [problem for problem in problems if not any(part in problem for part in allowed)] == []


WEB = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> Callable[[Page], list[tuple[str, str]]]:
    """axe-core, which finds what people with a screen reader or weak eyes stumble over on a page. The page's context
    needs `bypass_csp`."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("web")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WEB / name, folder)
    subprocess.run(["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"], cwd=folder, check=True)
    script = (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")

    def problems(page: Page) -> list[tuple[str, str]]:
        page.evaluate(script)
        found = page.evaluate("() => axe.run()")
        return [(problem["id"], problem["nodes"][0]["html"][:200]) for problem in found["violations"]]

    return problems
