"""The page's files, the runs that it shows, texts as they come, and what else could stand at a place."""

from __future__ import annotations

import json
import shutil

import httpx
import pytest

from arasuji import api
from arasuji.studio.pages import contents


def written(client: httpx.Client, *lanes: dict) -> list[dict]:
    """What came of each lane: its tokens, and its end or failure."""
    found: list[dict] = [{"tokens": []} for _ in lanes]
    with client.stream("POST", "/api/write", json={"lanes": lanes}) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line:
                event = json.loads(line.removeprefix("data: "))
                own = found[event.pop("lane")]
                own["tokens"] += event.pop("tokens", [])
                own |= event
    return found


def test_the_page_and_all_its_files_come_from_the_package(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    for name, (content, kind, mark) in contents().items():
        answer = client.get(f"/page/{name}")
        assert (answer.content, answer.headers["content-type"], answer.headers["etag"]) == (content, kind, mark)
        assert client.get(f"/page/{name}", headers={"If-None-Match": mark}).status_code == 304
    assert client.get("/page/..%2fapp.py").status_code == 404


def test_no_file_of_the_page_names_another_site():
    for name, (content, _, _) in contents().items():
        if not name.startswith("vendor"):
            assert "//" not in content.decode().replace("http://www.w3.org", "").replace("// ", "").replace("//\n", "")


def test_script_and_style_are_small():
    assert sum(len(content) for name, (content, *_) in contents().items() if name.endswith((".js", ".css"))) < 250_000


def test_runs_say_what_they_can_be_told_and_a_broken_one_says_so(runs, serve, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    (folder / "ngram" / "manifest.json").write_text("{", "utf-8")
    with serve(folder) as server, httpx.Client(base_url=server.url) as client:
        broken, told = client.get("/api/runs").json()
    assert broken["id"] == "ngram"
    assert broken["problem"]
    assert (told["id"], told["preset"], told["predicts"], told["problem"]) == ("told", "lstm-control", "text", None)
    assert "Drama" in told["fields"]["genres"]
    assert told["sampling"]["top_p"] == 0.95


def test_two_models_write_side_by_side_what_generate_writes(client, runs):
    lanes = [
        {"run": name, "prompt": "A baker", "seed": 4, "sampling": {"max_length": 40}} for name in ("told", "ngram")
    ]
    for name, found in zip(("told", "ngram"), written(client, *lanes), strict=True):
        (expected,) = api.generate(runs / name, "A baker", 1, 4, {"max_length": 40}, redraw=0)
        assert found["end"]["text"] == expected.text
        assert "".join(text for _, text, _, _ in found["tokens"]) + found["end"]["rest"] == expected.completion
        assert all(0 <= probability <= 1 and rank >= 0 for _, _, probability, rank in found["tokens"])


def test_a_copy_is_marked_where_it_stands(client):
    (found,) = written(client, {"run": "ngram", "prompt": "The", "seed": 2})
    copied = found["end"]["copied"]
    assert 1 <= copied["words"] <= 8
    assert 0 <= copied["start"] < copied["end"] <= len(found["end"]["text"])


def test_fields_and_words_reach_the_text(client):
    lane = {"run": "told", "prompt": "A", "fields": {"genres": ["Drama"]}, "required": ["harbour"], "without": ["the"]}
    (found,) = written(client, lane)
    words = found["end"]["text"].lower().split()
    assert any("harbour" in word for word in words)
    assert "the" not in words


@pytest.mark.parametrize(
    ("lane", "status", "said"),
    [
        ({"run": "nothing"}, 404, "no run"),
        ({"run": "told", "fields": {"genres": ["Dramma"]}}, 400, "did you mean Drama?"),
        ({"run": "told", "sampling": {"temperature": -1}}, 400, "temperature"),
        ({"run": "told", "sampling": {"heat": 1}}, 400, "heat"),
        ({"run": "told", "required": ["sea"], "without": ["Sea"]}, 400, "is not to"),
        ({"run": "told", "more": 1}, 400, "more"),
    ],
)
def test_a_lane_that_cannot_be_written_is_refused_in_one_line(server, client, lane, status, said):
    answer = client.post("/api/write", json={"lanes": [{"run": "told"}, lane]})
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True), answer.text
    server.until_idle()  # the lane beside it was given up


def test_a_text_goes_on_after_the_tokens_that_it_has(client):
    lane = {"run": "told", "prompt": "A baker", "seed": 4, "sampling": {"max_length": 40}}
    (whole,) = written(client, lane)
    ids = [token for token, *_ in whole["tokens"]]
    (rest,) = written(client, lane | {"ids": ids[:9]})
    assert rest["tokens"] == whole["tokens"][9:]
    assert rest["end"]["text"] == whole["end"]["text"]
    full = lane | {"ids": ids[:9], "sampling": {"max_length": 9}}
    answer = client.post("/api/write", json={"lanes": [full]})
    assert (answer.status_code, "it may have 9" in answer.text) == (400, True)


def test_tokens_of_another_model_are_refused(client):
    for ids in ([10**6], [-1], list(range(5000)), [0]):
        answer = client.post("/api/write", json={"lanes": [{"run": "told", "ids": ids}]})
        assert answer.status_code == 400
