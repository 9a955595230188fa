"""What the Look inside room is told is what the models do."""

from __future__ import annotations

import json

import httpx
import pytest

from arasuji import api
from arasuji.inside import reading, reset

LANE = {"run": "told", "prompt": "A baker", "seed": 4, "sampling": {"max_length": 30}}
TEXT = {"run": "told", "prompt": "A baker of bread walks along the harbour."}


def chosen_one_by_one(client, lane: dict) -> list[int]:
    """A text of single steps."""
    ids: list[int] = []
    while len(ids) < lane["sampling"]["max_length"]:
        found = client.post("/api/inside/choice", json=lane | {"ids": ids}).json()
        ids.append(found["chosen"])
        (own,) = [row for row in found["candidates"] if row["id"] == found["chosen"]]
        if own["ends"]:
            break
        assert own["low"] - 1e-6 <= found["number"] <= own["low"] + own["final"] + 1e-6
    return ids


@pytest.mark.parametrize("run", ["told", "ngram"])
def test_single_steps_write_the_text_that_generate_writes(client, runs, run):
    ids = chosen_one_by_one(client, LANE | {"run": run})
    model = api.load(runs / run)
    (expected,) = api.generate(model, "A baker", 1, 4, {"max_length": 30}, redraw=0)
    ids = ids[:-1] if ids[-1] == model.tokenizer.end_id else ids
    assert model.tokenizer.continuation(model.tokenizer.encode("A baker"), ids) == expected.completion


def test_a_text_with_wishes_is_explained_as_it_was_written_at_every_place(client):
    wishes = {"required": ["harbour", "night train"], "words": [8, 20]}
    lane = LANE | wishes | {"seed": 0, "sampling": {"max_length": 90}}
    with client.stream("POST", "/api/write", json={"lanes": [lane]}) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    ids = [token for event in events for token, *_ in event.get("tokens", [])]
    assert len(ids) > 10
    for place, token in enumerate(ids):
        found = client.post("/api/inside/choice", json=lane | {"ids": ids[:place]}).json()
        assert found["chosen"] == token, place


def test_beams_are_for_the_command_line(client):
    assert client.post("/api/inside/choice", json=LANE | {"sampling": {"num_beams": 3}}).status_code == 200


def test_candidates_come_with_every_stage_and_more_of_them_on_demand(client):
    few = client.post("/api/inside/choice", json=LANE).json()
    many = client.post("/api/inside/choice", json=LANE | {"count": 100}).json()
    assert len(few["candidates"]) in (12, 13)
    assert len(many["candidates"]) in (100, 101)
    assert many["candidates"][:12] == few["candidates"][:12]
    assert [cut["setting"] for cut in few["cuts"]] == ["top_p"]
    total = sum(row["raw"] for row in many["candidates"]) + many["rest_raw"]
    assert total == pytest.approx(1, abs=1e-4)


def test_looking_changes_no_later_text(client, runs):
    before = chosen_one_by_one(client, LANE)
    client.post("/api/inside/memory", json=TEXT)
    client.post("/api/inside/reset", json=TEXT | {"token": 3})
    assert chosen_one_by_one(client, LANE) == before


def test_the_memory_of_an_lstm_is_shown_by_layer_and_cell(client, runs):
    found = client.post("/api/inside/memory", json=TEXT | {"layer": 0, "cell": 3}).json()
    expected = api.memory(api.load(runs / "told", "fp32"), TEXT["prompt"])
    assert found["texts"] == expected.reading.texts
    assert found["cell"] == pytest.approx(expected.cell(3, 0).tolist(), abs=1e-4)
    assert found["lines"]["forget"] == pytest.approx(expected.lines(0)["forget"].tolist(), abs=1e-4)
    assert [cell for cell, _ in found["moved"][5]] == [cell for cell, _ in expected.most_moved(5, layer=0)]


def test_a_reset_says_what_is_lost(client, runs):
    found = client.post("/api/inside/reset", json=TEXT | {"token": 4}).json()
    model = api.load(runs / "told", "fp32")
    expected = reset(model, reading(model, TEXT["prompt"]), 4)
    assert found["lost"] == pytest.approx(expected.lost, abs=1e-4)
    assert [row["share"] for row in found["after"]] == pytest.approx([share for _, share in expected.after], abs=1e-5)


def test_the_attention_of_a_token_is_shown_by_layer_and_head(corpus, serve, tmp_path):
    settings = ["tokenizer.size=400", "layers=2", "heads=2", "width=16", "context_length=64", "train.max_length=64"]
    list(api.train_events("gpt2-mini", corpus, tmp_path / "mini", max_steps=2, settings=settings))
    with serve(tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        found = client.post("/api/inside/attention", json=TEXT | {"run": "mini", "token": 5}).json()
        (run,) = client.get("/api/runs").json()
    expected = api.attention(api.load(tmp_path / "mini", "fp32"), TEXT["prompt"])
    assert found["texts"] == expected.reading.texts
    for layer, heads in enumerate(found["weights"]):
        for head, weights in enumerate(heads):
            assert [w / 1e4 for w in weights] == pytest.approx(expected.of(5, layer, head).tolist(), abs=1e-4)
    assert run["shows"] == ["attention"]


@pytest.mark.parametrize(
    ("part", "more", "said"),
    [
        ("attention", {"token": 1}, "shows no attention"),
        ("memory", {"run": "ngram"}, "shows no gates"),
        ("memory", {"layer": 9}, "layers of"),
        ("reset", {"token": 0}, "before one of the tokens"),
        ("choice", {"count": 0}, "count"),
        ("memory", {"prompt": "word " * 2000}, "can be looked into"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(client, part, more, said):
    answer = client.post(f"/api/inside/{part}", json=TEXT | more)
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (400, True), answer.text
