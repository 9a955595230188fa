"""The server as a program: it says where it is, answers, refuses what lets others in, and ends with Ctrl-C."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import httpx


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_another_address_needs_a_token(arasuji_, tmp_path):
    outcome = arasuji_("serve", "--host", "0.0.0.0", "--runs", tmp_path)
    assert (outcome.code, "say --token too" in outcome.complaint) == (2, True)


def test_a_port_that_is_taken_is_said_in_one_line(arasuji_, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = arasuji_("serve", "--port", port, "--runs", tmp_path)
    assert (outcome.code, "say another --port" in outcome.complaint) == (2, True)


def test_the_server_answers_until_ctrl_c(run):
    port = free_port()
    command = [sys.executable, "-m", "arasuji", "serve", "--runs", str(run.parent), "--port", str(port), "--token"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert f"http://127.0.0.1:{port}" in server.stderr.readline()
        token = server.stderr.readline().split()[-1]
        asked = {"model": run.name, "max_tokens": 3}
        until = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
                break
            except httpx.ConnectError:
                assert time.monotonic() < until
                time.sleep(0.1)
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/completions", json=asked, headers=headers, timeout=60)
        assert answer.json()["choices"][0]["finish_reason"] in ("stop", "length")
    finally:
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=30)
    assert "Traceback" not in said
    assert server.returncode in (0, 130)
