"""Trainings are started, found, stopped and resumed, whatever happens to the server and to them."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from arasuji.studio.rooms.metrics import Metrics
from arasuji.training.lock import run_lock

TINY = ["tokenizer.size=400", "hidden=24", "embedding=16", "validation_documents=4", "checkpoint_steps=20"]
LONG = {"preset": "lstm-small", "corpus": "starter", "minutes": 60, "settings": [*TINY, "epochs=10000", "patience=0"]}
UNTIL = 90
"""Seconds after which a test gives up."""


@pytest.fixture
def folder(corpus, tmp_path) -> Path:
    """A folder for runs, with a corpus in it."""
    shutil.copytree(corpus, tmp_path / "runs/starter")
    return tmp_path / "runs"


@pytest.fixture
def room(folder, serve):
    with serve(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        client.folder = folder
        yield client
        for run in client.get("/api/trainings").json():
            if run["state"] == "training" and run["own"]:
                client.post(f"/api/runs/{run['id']}/stop", json={})
        until(lambda: not any(job["running"] for job in client.get("/api/jobs").json()))


@pytest.fixture
def program(folder):
    """Starts `arasuji serve` as a program of its own; gives a client and the process."""
    started = []

    def start() -> tuple[httpx.Client, subprocess.Popen]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "arasuji", "serve", "--runs", str(folder), "--port", str(port)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        until(lambda: answers(client))
        return client, started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def answers(client) -> bool:
    try:
        return client.get("/api/jobs").status_code == 200
    except httpx.TransportError:
        return False


def until(condition):
    """Wait until it is true, and return what it gave."""
    began = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() < began + UNTIL
        time.sleep(0.05)
    return found


def training(client, name) -> dict:
    return next(run for run in client.get("/api/trainings").json() if run["id"] == name)


def start(client, name, **more) -> None:
    answer = client.post("/api/runs", json={**LONG, "name": name, **more})
    assert answer.status_code == 202, answer.text


def steps(path) -> list[int]:
    """The steps that a run has logged, the validation at a stop aside."""
    try:
        lines = (path / "metrics.jsonl").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    return [entry["step"] for entry in entries if not entry.get("at_stop")]


def stop(client, name) -> dict:
    assert client.post(f"/api/runs/{name}/stop", json={}).status_code == 200
    return until(lambda: (found := training(client, name))["state"] == "stopped" and found)


@pytest.mark.slow
def test_a_training_goes_on_when_the_server_is_killed_and_another_one_finds_and_stops_it(program, folder):
    client, server = program()
    start(client, "evening")
    assert training(client, "evening")["state"] == "training"  # at once, before it has a folder
    until(lambda: len(steps(folder / "evening")) > 5)
    server.send_signal(signal.SIGKILL)
    server.wait()
    before = len(steps(folder / "evening"))
    until(lambda: len(steps(folder / "evening")) > before)
    other, _ = program()
    found = training(other, "evening")
    assert (found["state"], found["own"], found["settings"]) == ("training", True, LONG["settings"])
    stopped = stop(other, "evening")
    assert stopped["why"] == "a person stopped it"
    assert stopped["checkpoint"] == stopped["step"] == steps(folder / "evening")[-1]
    assert stopped["best"]["bits_per_byte"] > 0


@pytest.mark.slow
def test_a_killed_training_is_said_to_be_killed_and_continues_with_the_step_after_its_checkpoint(room):
    start(room, "night")
    until(lambda: training(room, "night")["checkpoint"])
    os.kill(json.loads((room.folder / ".jobs/train-night.json").read_text())["pid"], signal.SIGKILL)
    killed = until(lambda: (found := training(room, "night"))["state"] == "stopped" and found)
    assert "killed" in killed["why"]
    assert killed["step"] >= killed["checkpoint"] > 0
    assert room.post("/api/runs/night/resume", json={}).status_code == 202
    until(lambda: training(room, "night")["step"] > killed["step"] + 5)
    stop(room, "night")
    taken = steps(room.folder / "night")
    assert taken == list(range(1, len(taken) + 1))


def test_an_estimate_is_measured_and_leaves_nothing_behind(room):
    asked = {"preset": "lstm-small", "corpus": "starter", "minutes": 2, "settings": TINY}
    before = sorted(path.name for path in room.folder.iterdir())
    assert room.post("/api/estimate", json=asked).status_code == 202
    assert room.post("/api/estimate", json=asked).status_code == 409  # one at a time
    found = until(lambda: not (now := room.get("/api/estimate").json())["running"] and now)
    assert (found["asked"], found["problem"]) == (asked, "")
    low, high = found["plan"]["seconds"]
    assert 0 < low <= high <= 120
    assert 0 < found["plan"]["memory"] < found["plan"]["free"]
    assert sorted(path.name for path in room.folder.iterdir()) == sorted([*before, ".jobs"])


def test_a_training_that_cannot_be_says_why(room):
    start(room, "large", settings=["batch_size=1000000"])
    found = until(lambda: (now := training(room, "large"))["state"] == "stopped" and now)
    assert "batch_size 1000000 is more than the corpus has tokens" in found["why"]
    assert room.post("/api/runs/large/resume", json={}).status_code == 409  # it has no folder
    assert room.post("/api/runs", json={**LONG, "name": "large", "minutes": 0}).status_code == 400


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("preset", {"preset": "no-such-preset"}),
        ("preset", {"preset": "/etc/passwd.toml"}),
        ("corpus", {"corpus": "starte"}),
        ("corpus", {"corpus": "../starter"}),
        ("minutes", {"minutes": 0}),
        ("minutes", {"minutes": 1e9}),
        ("minutes", {"minutes": "soon"}),
        ("name", {"name": "told"}),
        ("name", {"name": "reports"}),
        ("name", {"name": ".."}),
        ("name", {"name": "a/b"}),
        ("name", {"name": "-x"}),
        ("name", {"name": "a" * 101}),
        ("settings", {"settings": ["hiden=24"]}),
        ("settings", {"settings": ["hidden=many"]}),
        ("settings", {"settings": ["hidden"]}),
    ],
)
def test_wrong_input_is_refused_with_the_name_of_its_field(client, runs, field, change):
    answer = client.post("/api/runs", json={**LONG, "name": "new", **change})
    assert answer.status_code in (400, 409)
    message = answer.json()["error"]["message"]
    assert message.startswith(f"{field}: ")
    assert not (runs / "new").exists()


def test_what_no_command_line_can_hold_is_refused(client):
    for value in ("a\0b", "\ud800"):
        body = json.dumps({**LONG, "name": "new", "settings": [f"base={value}"]})
        headers = {"Content-Type": "application/json"}
        assert client.post("/api/runs", content=body, headers=headers).status_code == 400


def test_runs_of_the_command_line_are_listed_with_what_their_manifests_say(client):
    found = {run["id"]: run for run in client.get("/api/trainings").json()}
    assert (found["told"]["preset"], found["told"]["state"], found["told"]["step"]) == ("lstm-control", "finished", 2)
    assert found["told"]["settings"] == ["tokenizer.size=400", "model.hidden=24", "model.embedding=16"]
    assert found["ngram"]["corpus"]["name"] == "starter"
    assert found["ngram"]["best"]["bits_per_byte"] > 0


def test_a_run_that_another_program_trains_is_shown_as_trained_and_is_stopped_there(room, runs):
    shutil.copytree(runs / "told", room.folder / "told")
    assert training(room, "told")["state"] == "finished"
    with run_lock(room.folder / "told"):
        found = training(room, "told")
        assert (found["state"], found["own"]) == ("training", False)
        answer = room.post("/api/runs/told/stop", json={})
        assert "has not started" in answer.json()["error"]["message"]
        assert room.post("/api/runs/told/resume", json={}).status_code == 409
    assert training(room, "told")["state"] == "finished"


def test_a_damaged_run_is_listed_and_hurts_no_other(room, runs):
    shutil.copytree(runs / "told", room.folder / "told")
    shutil.copytree(runs / "told", room.folder / "broken")
    (room.folder / "broken/manifest.json").write_text('{"experiment": 7}')
    (room.folder / "told/last/state.json").write_text('{"progress": {"step": "x"}, "plan": []}')
    (room.folder / "told/metrics.jsonl").write_text(
        '{"step": 1e999, "seconds": []}\n{"step": 3, "loss": "much"}\n[]\n{"st'
    )
    found = {run["id"]: run for run in room.get("/api/trainings").json()}
    assert found["broken"]["state"] == "damaged"
    assert found["told"]["state"] == "stopped"
    assert room.get("/api/runs/told/metrics").json() == {"loss": [], "validation": []}
    assert room.get("/api/runs/broken/metrics").status_code == 200


def test_a_model_is_not_replaced_by_a_training_that_would_begin_again(room, runs):
    shutil.copytree(runs / "told", room.folder / "told")
    shutil.rmtree(room.folder / "told/last")
    assert (training(room, "told")["state"], training(room, "told")["checkpoint"]) == ("stopped", None)
    answer = room.post("/api/runs/told/resume", json={})
    assert (answer.status_code, "no checkpoint" in answer.text) == (409, True)


@pytest.mark.parametrize("name", ["nobody", "..", "%2e%2e", "starter", "a" * 300, "%00"])
def test_what_is_no_run_is_not_found(client, name):
    for path in ("metrics", "samples"):
        assert client.get(f"/api/runs/{name}/{path}").status_code == 404
    for path in ("stop", "resume"):
        assert client.post(f"/api/runs/{name}/{path}", json={}).status_code == 404


def test_samples_have_their_step_and_prompt(client):
    found = client.get("/api/runs/told/samples").json()
    assert {one["prompt"] for one in found} == {"", "After years", "A young man"}
    assert {one["step"] for one in found} == {1, 2}
    assert all(one["text"].startswith(one["prompt"]) for one in found)


def log(path, begin, end) -> None:
    with path.open("a") as file:
        for step in range(begin, end):
            more = {"bits_per_byte": 2 - step / 1e5} if step % 1000 == 0 else {}
            loss = 99.0 if step == 777 else -1.0 if step == 778 else 3 + math.sin(step) / 9
            file.write(
                json.dumps({"step": step, "tokens": 10 * step, "seconds": step / 7, "loss": loss, **more}) + "\n"
            )


def test_a_long_run_is_shown_whole_in_few_points_with_its_extremes(tmp_path):
    path, metrics = tmp_path / "metrics.jsonl", Metrics()
    assert metrics.series(path, 500) == {"loss": [], "validation": []}
    log(path, 1, 20_001)
    loss, validation = metrics.series(path, 500).values()
    assert 400 < len(loss) <= 500
    assert (loss[0][0], loss[-1][0]) == (1, 20_000)
    assert {777, 778} <= {point[0] for point in loss}
    at = {point[0]: point for point in loss}
    assert at[777][3] == pytest.approx(99 / math.log(2))
    assert at[20_000][4] == pytest.approx(3 / math.log(2), abs=0.05)  # smoothed
    assert [point[0] for point in validation] == list(range(1000, 20_001, 1000))
    assert validation[-1] == [20_000, 200_000, pytest.approx(20_000 / 7), pytest.approx(1.8)]


def test_only_what_is_new_is_read_and_a_log_that_was_rewound_is_read_again(tmp_path):
    path, metrics = tmp_path / "metrics.jsonl", Metrics()
    log(path, 1, 11)
    with path.open("a") as file:
        file.write('{"step": 11, "lo')  # half a line
    assert [point[0] for point in metrics.series(path, 500)["loss"]] == list(range(1, 11))
    with path.open("a") as file:
        file.write('ss": 2.0, "tokens": 1, "seconds": 1}\n')
    assert metrics.series(path, 500)["loss"][-1][0] == 11
    log(tmp_path / "new", 1, 6)
    (tmp_path / "new").replace(path)
    assert [point[0] for point in metrics.series(path, 500)["loss"]] == list(range(1, 6))
