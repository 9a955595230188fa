"""Pages of other sites, programs without a token, and bodies that are no JSON are turned away before any work."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

ASKED = {"model": "ngram", "max_tokens": 3}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:1", "127.0.0.1", "", "evil.example:{port}", "127.0.0.1.nip.io:{port}"]
)
def test_another_name_that_leads_here_is_refused(client, server, host):
    answer = client.get("/v1/models", headers={"Host": host.format(port=server.port)})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}"])
def test_the_names_of_this_machine_are_answered(client, server, host):
    assert client.get("/v1/models", headers={"Host": host.format(port=server.port)}).status_code == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:1", "file://", ""])
def test_a_page_of_another_site_is_refused(client, origin):
    answer = client.post("/v1/completions", json=ASKED, headers={"Origin": origin})
    assert answer.status_code == 403
    assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_a_page_of_this_server_is_answered(client, server):
    assert client.post("/v1/completions", json=ASKED, headers={"Origin": server.url}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_is_not_said_to_be_json_is_refused(client, kind):
    answer = client.post("/v1/completions", content=b'{"model": "ngram"}', headers={"Content-Type": kind})
    assert answer.status_code == 415


def test_a_body_that_is_too_large_is_refused_whatever_it_says(client):
    assert client.post("/v1/completions", json={"model": "a" * 3_000_000}).status_code == 413

    def endless():
        for _ in range(300):
            yield b" " * 10_000

    answer = client.post("/v1/completions", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": NaN}', b"\xff", b'{"a":' * 5000])
def test_a_body_that_is_no_request_is_refused(client, body):
    answer = client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_every_answer_says_what_a_page_of_this_server_may_do(client):
    for answer in (client.get("/v1/models"), client.get("/nothing"), client.post("/v1/completions", content=b"x")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/v1/models/..%2f..%2fetc", "/v1/models/%00", "/..%2f..%2fetc/passwd"])
def test_names_do_not_leave_the_folder(client, path):
    assert client.get(path).status_code in (400, 404)


def test_an_address_that_is_too_long_or_has_an_encoded_slash_is_refused(client):
    assert client.get("/v1/models/" + "a" * 5000).status_code == 414
    assert client.delete("/api/desk/" + "1" * 60_000).status_code == 414
    assert client.get("/v1%2Fmodels").status_code == 404


def test_with_a_token_every_request_needs_it_and_any_name_will_do(runs, serve):
    with serve(runs, "secret") as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/v1/models").status_code == 401
        for given in (
            "Bearer wrong",
            "Basic secret",
            "Bearer",
            "Bearer secret2",
            "Bearer sécret".encode("latin-1").decode("latin-1"),
        ):
            assert client.get("/v1/models", headers={"Authorization": given.encode("latin-1")}).status_code == 401
        with_token = {"Authorization": "Bearer secret"}
        assert client.get("/v1/models", headers=with_token).status_code == 200
        assert client.get("/v1/models", headers=with_token | {"Host": "studio.lan"}).status_code == 200
        assert client.get("/v1/models", headers=with_token | {"Origin": "http://evil.example"}).status_code == 403
        cookie = {"Cookie": f"arasuji-{server.port}=secret"}
        assert client.get("/v1/models", headers=cookie).status_code == 200
        assert client.get("/v1/models", headers={"Cookie": "arasuji-1=secret"}).status_code == 401
        for others in ("a/b=1", 'foo={"a":1}', "=", ";;"):  # cookies of other programs on this machine
            both = {"Cookie": f"{others}; {cookie['Cookie']}"}
            assert client.get("/v1/models", headers=both).status_code == 200


def test_a_browser_shows_the_token_once_and_gets_a_cookie_of_this_port(runs, serve, open_page):
    with serve(runs, "secret") as server:
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/").status_code == client.get("/page/app.js").status_code == 200
            assert client.post("/api/enter", json={"token": "wrong"}).status_code == 401
            assert client.get("/api/runs").status_code == 401
            entered = client.post("/api/enter", json={"token": "secret"})
            assert entered.headers["set-cookie"] == f"arasuji-{server.port}=secret; HttpOnly; Path=/; SameSite=strict"
            assert client.get("/api/runs").status_code == 200
        page = open_page()
        page.goto(f"{server.url}/#token=secret")
        expect(page.get_by_label("The beginning")).to_be_visible()
        assert "secret" not in page.url
        page.reload()
        expect(page.get_by_label("The beginning")).to_be_visible()
