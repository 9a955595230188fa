"""What was liked is kept: at once on the disk, changed, exported, and a corpus is made of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from arasuji.corpus import Corpus
from arasuji.corpus.folder import SPLITS
from arasuji.corpus.read import read
from arasuji.corpus.source import Reading

TEXT = "A baker sails for the ice. \u3053\u3093\u306b\u3061\u306f \U0001f30a"
ABOUT = {"prompt": "A baker", "fields": {"title": "The Ice Road", "genres": ["Drama", "Sea"]}, "seed": 3}


@pytest.fixture
def desk(runs, serve, tmp_path):
    with serve(tmp_path / "runs") as server, httpx.Client(base_url=server.url, timeout=30) as client:
        client.folder = tmp_path / "runs"
        yield client


def kept(client, text=TEXT, **more) -> dict:
    answer = client.post("/api/desk", json={"text": text, "run": "told", "about": ABOUT} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_text_is_kept_changed_rejected_and_deleted(desk):
    assert desk.get("/api/desk").json() == []
    assert not (desk.folder / "desk.sqlite").exists()  # who only looks writes nothing
    own = kept(desk)
    assert (own["text"], own["about"], own["verdict"]) == (TEXT, ABOUT, "kept")
    changed = desk.patch(f"/api/desk/{own['id']}", json={"text": "Another end."}).json()
    assert (changed["text"], changed["verdict"], changed["made"]) == ("Another end.", "kept", own["made"])
    assert desk.patch(f"/api/desk/{own['id']}", json={"verdict": "rejected"}).json()["verdict"] == "rejected"
    assert desk.get("/api/desk", params={"verdict": "kept"}).json() == []
    assert [row["text"] for row in desk.get("/api/desk").json()] == ["Another end."]
    assert desk.delete(f"/api/desk/{own['id']}").status_code == 204
    assert desk.delete(f"/api/desk/{own['id']}").status_code == 404
    assert desk.patch(f"/api/desk/{own['id']}", json={"text": "x"}).status_code == 404


def test_kept_texts_become_a_corpus_once_there_are_enough(desk, starter_texts):
    for text in starter_texts[:25]:
        kept(desk, text)
    made = desk.post("/api/desk/corpus", json={"name": "mine"})
    assert made.status_code == 201, made.text
    corpus = Corpus.load(desk.folder.parent / "corpora" / "mine")
    texts = {record.text for name in SPLITS for record in corpus.split(name)}
    assert sum(made.json()["documents"].values()) == len(texts) > 20
    assert corpus.train[0].metadata["genres"] == ["Drama", "Sea"]
    assert desk.post("/api/desk/corpus", json={"name": "mine"}).status_code == 409


@pytest.mark.parametrize("name", ["../out", "", "a/b", ".hidden", "-x", "a" * 101])
def test_a_corpus_of_the_desk_cannot_leave_its_folder_and_needs_texts(desk, name):
    assert desk.post("/api/desk/corpus", json={"name": name}).status_code == 400
    few = desk.post("/api/desk/corpus", json={"name": "few"})
    assert (few.status_code, (desk.folder.parent / "corpora").exists()) == (400, False), few.text


@pytest.mark.parametrize(
    "about", ['{"a":' * 300 + "1" + "}" * 300, '{"a": "\\ud800"}', '{"a": "' + "x" * 200_000 + '"}']
)
def test_what_could_not_be_read_again_is_not_kept(desk, about):
    body = f'{{"text": "A text.", "about": {about}}}'
    answer = desk.post("/api/desk", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert desk.get("/api/desk").json() == []


def test_a_number_is_not_given_twice(desk):
    first = kept(desk)["id"]
    desk.delete(f"/api/desk/{first}")
    assert kept(desk)["id"] != first


def test_many_hands_lose_nothing(desk):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: kept(desk, f"Text {i}."), range(40)))
    assert sorted(row["text"] for row in desk.get("/api/desk").json()) == sorted(f"Text {i}." for i in range(40))


def test_what_was_kept_survives_a_server_that_is_killed(run_of_server, tmp_path):
    url, server = run_of_server(tmp_path)
    with httpx.Client(base_url=url) as client:
        kept(client)
    server.kill()
    server.wait()
    url, server = run_of_server(tmp_path)
    with httpx.Client(base_url=url) as client:
        assert [row["text"] for row in client.get("/api/desk").json()] == [TEXT]


def test_exports_hold_the_kept_texts_and_can_be_prepared(desk, tmp_path):
    kept(desk)
    kept(desk, "Rejected.", verdict="rejected")
    kept(desk, 'Two lines,\nand a "quote".', about={})
    assert desk.get("/api/desk/export", params={"format": "txt"}).text == f'{TEXT}\n\nTwo lines,\nand a "quote".\n\n'
    for suffix in ("csv", "jsonl"):
        answer = desk.get("/api/desk/export", params={"format": suffix})
        assert answer.headers["content-disposition"] == f'attachment; filename="desk.{suffix}"'
        path = tmp_path / f"desk.{suffix}"
        path.write_bytes(answer.content)
        records = list(read(path, Reading(), lambda message: None))
        assert [record.text for record in records] == [TEXT, 'Two lines,\nand a "quote".']
        assert records[0].metadata["title"] == "The Ice Road"
        assert records[0].metadata["genres"] == ["Drama", "Sea"]


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_of_a_table_is_a_formula(desk, text):
    kept(desk, text, about={"fields": {"title": text}})
    _, line = desk.get("/api/desk/export", params={"format": "csv"}).text.split("\r\n", 1)
    assert line.startswith(("'", "\"'"))


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": "a" * 60_000}, {"text": 7}, {"text": "a", "verdict": "loved"}, {"text": "a", "x": 1}],
)
def test_what_is_no_text_is_refused(desk, body):
    assert desk.post("/api/desk", json=body).status_code == 400
    assert desk.get("/api/desk/export", params={"format": "exe"}).status_code == 400
    assert json.loads(desk.patch("/api/desk/0", json={}).text)["error"]
