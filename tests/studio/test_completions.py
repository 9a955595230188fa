"""OpenAI's own client writes with these models; texts of many clients are those of one; who leaves takes no room."""

from __future__ import annotations

import json
import shutil
import threading
import time

import httpx
import openai
import pytest

from arasuji import api

STEPS = 4000
LONG = {"model": "told", "prompt": "A baker", "max_tokens": STEPS, "min_tokens": STEPS}
"""A text that takes some seconds, since it may not end before."""
SHORT = {"model": "told", "prompt": "A baker", "max_tokens": 1}


@pytest.fixture
def openai_client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_the_models_are_the_runs_of_the_folder(openai_client):
    assert [model.id for model in openai_client.models.list()] == ["ngram", "told"]
    assert openai_client.models.retrieve("told").id == "told"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("../told")


@pytest.mark.parametrize("name", ["told", "ngram"])
def test_a_text_is_the_one_that_generate_writes_with_the_same_seed(openai_client, runs, name):
    answer = openai_client.completions.create(model=name, prompt=["A baker", "The sea"], n=2, seed=5, max_tokens=40)
    expected = list(api.generate(runs / name, ["A baker", "The sea"], 2, 5, {"max_length": 40}, redraw=0))
    assert [choice.text for choice in answer.choices] == [sample.completion for sample in expected]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.finish_reason for choice in answer.choices] == [
        "stop" if sample.finished else "length" for sample in expected
    ]
    assert answer.usage.completion_tokens <= sum(sample.tokens for sample in expected)


def test_a_streamed_text_is_the_whole_one(openai_client):
    asked = {"model": "told", "prompt": "A baker", "seed": 3, "max_tokens": 60, "n": 3}
    whole = openai_client.completions.create(**asked)
    pieces: dict[int, str] = {}
    reasons = {}
    usage = None
    for event in openai_client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        usage = event.usage or usage
        for choice in event.choices:
            pieces[choice.index] = pieces.get(choice.index, "") + choice.text
            reasons[choice.index] = choice.finish_reason
    assert [pieces[i] for i in range(3)] == [choice.text for choice in whole.choices]
    assert [reasons[i] for i in range(3)] == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_stops_before_a_stop_and_nothing_of_it_is_sent(openai_client, stream):
    asked = {"model": "told", "prompt": "A baker", "seed": 3, "max_tokens": 60}
    plain = openai_client.completions.create(**asked).choices[0].text
    stop = plain[20:23]
    answer = openai_client.completions.create(**asked, stop=["never in here", stop], stream=stream)
    parts = [event.choices[0] for event in answer] if stream else answer.choices
    assert "".join(part.text for part in parts) == plain[: plain.index(stop)]
    assert parts[-1].finish_reason == "stop"


def test_echo_gives_the_prompt_too_and_logprobs_name_the_likeliest_tokens(openai_client):
    asked = {"model": "told", "prompt": "A baker", "seed": 3, "max_tokens": 8, "temperature": 0}
    (choice,) = openai_client.completions.create(**asked, echo=True, logprobs=3).choices
    assert choice.text.startswith("A baker")
    found = choice.logprobs
    assert "A baker" + "".join(found.tokens) == choice.text
    for place, token in zip(found.text_offset, found.tokens, strict=True):
        assert choice.text[place:].startswith(token)
    for own, best in zip(found.token_logprobs, found.top_logprobs, strict=True):
        assert len(best) == 3
        assert own <= max(best.values())
        assert all(value <= 0 for value in best.values())


def test_what_a_run_can_be_told_is_a_field_of_the_request(openai_client, runs):
    fields = {"title": "The Ice Road", "genres": ["Drama"]}
    answer = openai_client.completions.create(
        model="told", prompt="A", seed=1, max_tokens=30, extra_body={"fields": fields}
    )
    (expected,) = api.generate(runs / "told", "A", 1, 1, {"max_length": 30}, redraw=0, fields=fields)
    assert answer.choices[0].text == expected.completion


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"model": "nothing"}, 404, "no run 'nothing'"),
        ({"model": "../runs/told"}, 404, "no run"),
        ({"model": "ngram", "fields": {"title": "A"}}, 400, "trained without fields"),
        ({"model": "told", "fields": {"studio": "A"}}, 400, "cannot be told 'studio'"),
        ({"model": "told", "temperature": -1}, 400, "temperature"),
        ({"model": "told", "top_p": 0}, 400, "top_p"),
        ({"model": "told", "n": 33}, 400, "n: "),
        ({"model": "told", "max_tokens": 10**9}, 400, "max_tokens"),
        ({"model": "told", "prompt": "a" * 30_000}, 400, "prompt"),
        ({"model": "told", "prompt": ["a"] * 33}, 400, "prompt"),
        ({"model": "told", "presence_penalty": 1.0}, 400, "presence_penalty"),
        ({"model": "told", "best_of": 3}, 400, "best_of"),
        ({"model": "told", "unknown": 1}, 400, "unknown"),
        ({}, 400, "model"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(client, asked, status, said):
    answer = client.post("/v1/completions", json=asked)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert said in error["message"]
    assert "\n" not in error["message"]
    assert error["type"] == "invalid_request_error"


def test_more_than_there_is_room_for_may_try_again(server, client):
    server.until_idle()
    with client.stream("POST", "/v1/completions", json=LONG | {"n": 32, "stream": True}) as full:
        assert full.status_code == 200
        refused = client.post("/v1/completions", json=SHORT)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        done = threading.Event()
        texts = []

        def retry() -> None:
            patient = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=5)
            texts.append(patient.completions.create(**SHORT).choices[0].text)
            done.set()

        thread = threading.Thread(target=retry)
        thread.start()
        time.sleep(0.3)
        assert not done.is_set()
    thread.join(30)
    assert done.is_set()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_takes_no_room(server, client, calls, stream):
    client.post("/v1/completions", json=SHORT)  # opens the model
    for _ in range(5):  # a client that leaves in the moment in which it is sent something is noticed as well
        server.until_idle()
        calls.clear()
        if stream:
            with client.stream("POST", "/v1/completions", json=LONG | {"n": 8, "stream": True}) as answer:
                lines = answer.iter_lines()
                next(lines)
                assert server.app.state.writers.writing == 8
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/completions", json=LONG | {"n": 8}, timeout=0.5)
        server.until_idle()
        assert calls["cancel"] == 8
        assert calls["step"] < STEPS


def test_texts_beside_others_are_the_same_as_alone_also_when_clients_leave(server, openai_client):
    server.until_idle()
    asked = {"model": "told", "prompt": "A baker", "seed": 9, "max_tokens": 80, "n": 4}
    alone = [choice.text for choice in openai_client.completions.create(**asked).choices]
    with (
        httpx.Client(base_url=server.url) as leaving,
        leaving.stream("POST", "/v1/completions", json=LONG | {"n": 8, "stream": True}) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        stream = openai_client.completions.create(**asked, stream=True)
        pieces: dict[int, str] = {}
        for number, event in enumerate(stream):
            if number == 2:
                answer.close()
            choice = event.choices[0]
            pieces[choice.index] = pieces.get(choice.index, "") + choice.text
    assert [pieces[i] for i in range(4)] == alone


def test_a_model_whose_files_are_damaged_fails_alone(runs, serve, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    weights = folder / "told" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with serve(folder) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        broken = client.post("/v1/completions", json={"model": "told", "max_tokens": 3})
        assert broken.status_code == 503
        assert "damaged" in broken.json()["error"]["message"]
        assert client.post("/v1/completions", json={"model": "ngram", "max_tokens": 3}).status_code == 200


def test_a_model_that_fails_while_it_writes_fails_alone_and_writes_again(runs, serve):
    with serve(runs) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.post("/v1/completions", json={"model": "told", "max_tokens": 3}).status_code == 200
        engine = server.app.state.shelf.open("told").engine
        step, engine.step = engine.step, lambda: 1 / 0
        failed = client.post("/v1/completions", json={"model": "told", "max_tokens": 3})
        assert (failed.status_code, failed.json()["error"]["code"]) == (500, "model_failed")
        with client.stream("POST", "/v1/completions", json={"model": "told", "stream": True}) as answer:
            (line,) = [line for line in answer.iter_lines() if line]
        assert json.loads(line.removeprefix("data: "))["error"]["code"] == "model_failed"
        assert client.post("/v1/completions", json={"model": "ngram", "max_tokens": 3}).status_code == 200
        engine.step = step
        assert client.post("/v1/completions", json={"model": "told", "max_tokens": 3}).status_code == 200


def test_events_are_those_of_the_api(client):
    with client.stream("POST", "/v1/completions", json=SHORT | {"stream": True}) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert lines[-1] == "data: [DONE]"
    assert {json.loads(line.removeprefix("data: "))["object"] for line in lines[:-1]} == {"text_completion"}
