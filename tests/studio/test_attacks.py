"""What a hostile reviewer would try, where no other test of this folder tries it; docs/studio.md lists all ten."""

from __future__ import annotations

import gc
import http.client
import json
import shutil
import socket
import struct
import time
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from arasuji.studio.connection import Connection

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e\x1b[31m{{7*7}}${7*7}"
STEPS = 4000
LONG = {"model": "told", "prompt": "A baker", "max_tokens": STEPS, "min_tokens": STEPS, "n": 1, "stream": True}
ROOMS = ["write", "inside", "arena", "data", "train", "compare", "desk"]


@pytest.mark.slow
def test_names_and_texts_of_strangers_run_nothing_in_any_room(open_page, runs, serve, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    name = EVIL.replace("/", "")
    shutil.copytree(runs / "ngram", folder / name)
    asked, dialogs = [], []
    with serve(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        about = {"fields": {"title": EVIL, "genres": [EVIL]}, "prompt": EVIL}
        assert client.post("/api/desk", json={"text": EVIL, "run": EVIL, "about": about}).status_code == 201
        page = open_page()
        page.wait_for_load_state("networkidle")
        page.on("request", lambda request: asked.append(urlsplit(request.url).netloc))
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        for room in ROOMS:
            page.goto(f"{server.url}/#{room}")
            page.reload()
            expect(page.get_by_role("link", name="Desk")).to_be_visible()
            page.wait_for_load_state("networkidle")
            assert page.locator("main img, main script").count() == 0
            if room == "write":
                page.locator("#run-0").select_option(name)
                page.locator("#run-1").select_option("")
                page.get_by_label("The beginning").fill(EVIL)
                page.get_by_role("button", name="Write", exact=True).click()
                expect(page.locator(".lane > .hint")).to_have_count(1)
                page.locator(".lane .token").first.click()
                expect(page.locator(".candidates li").first).to_be_visible()
    assert (set(asked), dialogs) == ({urlsplit(server.url).netloc}, [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "told", "n": 10**6}),
        ("/v1/completions", {"model": "told", "max_tokens": 10**9}),
        ("/v1/completions", {"model": "told", "prompt": "word " * 100_000}),
        ("/api/write", {"lanes": [{"run": "told", "ids": [5] * 100_000}]}),
        ("/api/write", {"lanes": [{"run": "told"}] * 1000}),
        ("/api/inside/choice", {"run": "told", "count": 10**9}),
        ("/api/desk", {"text": "x" * 1_000_000}),
        ("/api/desk", {"text": {"toString": "x"}}),
    ],
)
def test_what_is_far_too_much_is_refused(client, path, body):
    assert client.post(path, json=body).status_code in (400, 413, 429)


def test_refusing_takes_no_memory(run_of_server, runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    url, process = run_of_server(tmp_path / "runs")
    sized = psutil.Process(process.pid)
    garbage = [b'{"a":' * 100_000, b"[" * 1_500_000, json.dumps({"model": "x" * 1_900_000}).encode(), b"x" * 10**7]
    with httpx.Client(base_url=url, timeout=60) as client:

        def attack() -> None:
            for content in garbage:
                answer = client.post("/v1/completions", content=content, headers={"Content-Type": "application/json"})
                assert answer.status_code in (400, 413)

        attack()
        before = sized.memory_info().rss
        for _ in range(10):
            attack()
        assert sized.memory_info().rss - before < 50 * 2**20


def test_connections_that_are_reset_or_never_read_change_no_other_text(server, client, calls):
    server.until_idle()
    asked = {"model": "told", "prompt": "A baker", "seed": 9, "max_tokens": 60}
    alone = client.post("/v1/completions", json=asked).json()["choices"][0]["text"]
    body = json.dumps(LONG).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    request = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    silent = []
    for number in range(16):
        own = socket.create_connection(("127.0.0.1", server.port))
        own.sendall(request)
        if number % 2:
            silent.append(own)  # it asks, and never reads
        else:
            own.recv(1)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            own.close()  # with a reset
    assert client.post("/v1/completions", json=asked).json()["choices"][0]["text"] == alone
    for own in silent:
        own.close()
    server.until_idle()
    assert calls["step"] < STEPS


def test_a_full_disk_is_said_and_nothing_that_was_kept_is_lost(run_of_server, tmp_path):
    resource = pytest.importorskip("resource")
    url, _ = run_of_server(
        tmp_path / "runs", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    )
    kept = []
    with httpx.Client(base_url=url, timeout=30) as client:
        for number in range(20):
            answer = client.post("/api/desk", json={"text": f"{number} " + "word " * 2000})
            if answer.status_code != 201:
                break
            kept.append(answer.json()["text"])
        assert answer.status_code == 503
        assert "desk.sqlite" in answer.json()["error"]["message"]
        assert 0 < len(kept) < 20
        assert [row["text"] for row in client.get("/api/desk").json()] == kept


def test_a_connection_that_comes_to_no_request_is_closed(server, client, monkeypatch):
    for module in ("connection", "safety"):
        monkeypatch.setattr(f"arasuji.studio.{module}.SLOWEST", 0.3)
    head = f"POST /api/desk HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    for sent in (
        "",
        "POST",
        head,
        f"{head}Content-Length: 100\r\n\r\n",
        f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as silent:
            silent.sendall(sent.encode())
            answer = silent.recv(4096)
            assert answer.startswith(b"HTTP/1.1 400 ") if "\r\n\r\n" in sent else answer == b"", (sent, answer)
    with client.stream("POST", "/v1/completions", json=LONG) as slow:  # a stream takes as long as it does
        lines = slow.iter_lines()
        began = time.monotonic()
        while time.monotonic() < began + 1:
            assert next(lines) is not None


def test_a_connection_whose_second_request_does_not_come_is_closed(server, monkeypatch):
    monkeypatch.setattr("arasuji.studio.connection.SLOWEST", 0.5)
    address = f"HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    whole = f"GET /v1/models {address}\r\n"
    refused = f"POST /api/desk {address}Content-Length: 100\r\n\r\n"  # for its content, which does not come
    for first, more in ((whole, "GET /v1/models HTTP"), (refused, "text")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as own:
            own.sendall(first.encode())
            assert own.recv(4096).startswith(b"HTTP/1.1 ")
            own.settimeout(3)  # uvicorn itself waits for 5 seconds, until the first byte
            own.sendall(more.encode())
            while own.recv(4096):
                pass


def test_requests_of_one_connection_are_answered_for_as_long_as_they_come(server, monkeypatch):
    monkeypatch.setattr("arasuji.studio.connection.SLOWEST", 0.5)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.connect()
    connection.auto_open = 0  # no other connection takes its place
    for _ in range(10):
        connection.request("GET", "/v1/models")
        assert connection.getresponse().read()
        time.sleep(0.1)
    connection.close()


def test_of_a_connection_that_has_ended_nothing_is_kept(server):
    before = _connections()
    for _ in range(20):
        httpx.get(f"{server.url}/v1/models")
    until = time.monotonic() + 5
    while _connections() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert _connections() <= before


def _connections() -> int:
    gc.collect()
    return sum(isinstance(found, Connection) for found in gc.get_objects())
