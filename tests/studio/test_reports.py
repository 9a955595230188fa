"""Comparisons are started, cancelled and read, and no report can do anything in the browser."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import gpt2_shaped
import httpx
import pytest

from arasuji import api
from arasuji.studio.rooms import reports as room_of_reports

pytestmark = pytest.mark.slow

UNTIL = 120
"""Seconds after which a test gives up."""


@pytest.fixture(scope="module")
def folder(corpus, runs, tmp_path_factory) -> Path:
    """Two runs of one corpus."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    shutil.copytree(runs / "ngram", folder / "five")
    list(api.train_events("ngram", corpus, folder / "two", settings=["tokenizer.size=400", "order=2"]))
    return folder


@pytest.fixture(scope="module")
def served(folder, serve, tmp_path_factory):
    """A quick comparison scores and writes still less here, and a tiny model reads."""
    reader = gpt2_shaped.make(tmp_path_factory.mktemp("reader") / "base", **gpt2_shaped.TINY)
    patch = pytest.MonkeyPatch()
    patch.setattr(
        room_of_reports, "QUICK", ("--documents", "6", "--samples", "2", "--seeds", "1", "--reader", str(reader))
    )
    with serve(folder) as server:
        yield server
    patch.undo()


@pytest.fixture
def room(served, folder):
    with httpx.Client(base_url=served.url, timeout=60) as client:
        client.folder = folder
        yield client


def begun(client, **more) -> str:
    """The name of a comparison that was started."""
    answer = client.post("/api/reports", json={"runs": ["five", "two"], **more})
    assert answer.status_code == 202, answer.text
    return answer.json()["report"]


def until_ended(client) -> list[dict]:
    began = time.monotonic()
    while (found := client.get("/api/reports").json()) and found[0]["state"] == "running":
        assert time.monotonic() < began + UNTIL
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def made(served) -> dict:
    """A report, as it is listed."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        name = begun(client)
        second = client.post("/api/reports", json={"runs": ["five", "two"]})
        assert (second.status_code, "going on" in second.text) == (409, True)
        found = until_ended(client)
    assert found[0]["id"] == name
    return found[0]


def test_a_comparison_becomes_a_report_with_its_verdict(made, folder):
    assert (made["state"], made["problem"], made["runs"]) == ("ready", "", ["five", "two"])
    assert made["verdict"][0].endswith(".")
    assert {path.name for path in (folder / "reports").iterdir()} == {f"{made['id']}.html", f"{made['id']}.json"}


def test_in_a_report_nothing_can_run(made, room):
    answer = room.get(f"/api/reports/{made['id']}")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy == "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "five" in answer.text


def test_a_comparison_is_cancelled(made, room):
    name = begun(room, thorough=True)
    first = room.get("/api/reports").json()[0]
    assert (first["id"], first["state"]) == (name, "running")
    assert room.post(f"/api/jobs/{first['job']}/stop", json={}).status_code == 200
    first, *others = until_ended(room)
    assert (first["state"], first["problem"]) == ("ended", "a person stopped it")
    assert [one["id"] for one in others] == [made["id"]]
    assert not list((room.folder / "reports").glob(f"{name}*"))


def test_what_cannot_be_compared_says_why(room, made):
    for body, status, words in (
        ({"runs": ["five"]}, 400, "two models"),
        ({"runs": []}, 400, "runs"),
        ({"runs": ["five", "five"]}, 400, "named twice"),
        ({"runs": ["five", "nobody"]}, 404, "nobody"),
        ({"runs": ["five", "../five"]}, 404, "no run"),
        ({"runs": ["five"], "bases": ["gpt9"]}, 404, "no base model"),
        ({"runs": ["five"] * 13}, 400, "runs"),
    ):
        answer = room.post("/api/reports", json=body)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text


@pytest.mark.parametrize("name", ["nothing", "..", "%2e%2e%2fdesk", "%00", "a" * 300])
def test_what_is_no_report_is_not_found(room, name):
    assert room.get(f"/api/reports/{name}").status_code in (400, 404)


def test_a_damaged_report_is_listed_and_hurts_no_other(room, made):
    (room.folder / "reports/broken.json").write_text('{"models": []}')
    (room.folder / "reports/link.html").symlink_to("/etc/hostname")
    try:
        found = {one["id"]: one for one in room.get("/api/reports").json()}
        assert "not a whole report" in found["broken"]["problem"]
        assert found[made["id"]]["verdict"] == made["verdict"]
        assert room.get("/api/reports/link").status_code == 404
    finally:
        for name in ("broken.json", "link.html"):
            (room.folder / "reports" / name).unlink()


def test_the_base_models_of_this_machine_are_listed(room):
    for base in room.get("/api/bases").json():
        assert base["parameters"] > 1e6
