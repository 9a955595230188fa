"""Many clients of one server: how fast their texts come, beside the same texts written in one batch.

    python bench/serve.py RUN [--clients 32] [--tokens 200] [--rounds 3]

Each client streams one text, and reads no more of it than its lines. The server is a process of its own, as `arasuji
serve` starts it; the batch is `arasuji.generate` in this process, before the server starts. They take turns.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from turns import processor

from arasuji import api


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    print(processor())
    rates: dict[str, list[float]] = {"batch": [], "server": []}
    dropped = 0
    for _ in range(chosen.rounds):
        rates["batch"].append(_batch(chosen.run, chosen.clients, chosen.tokens))
        rate, lost = _served(chosen.run, chosen.clients, chosen.tokens)
        rates["server"].append(rate)
        dropped += lost
    batch, server = (statistics.median(own) for own in rates.values())
    print(f"batch {batch:,.0f} tokens a second, {chosen.clients} clients {server:,.0f}: {server / batch:.0%}")
    print(f"dropped {dropped} of {chosen.rounds * chosen.clients} streams")


def _batch(run: Path, clients: int, tokens: int) -> float:
    """Tokens a second of texts in one batch. The first text, which is not counted, compiles what is to be compiled."""
    model = api.load(run)
    length = {"max_length": tokens, "min_length": tokens}
    list(api.generate(model, "", 1, sampling=length, redraw=0))
    began = time.monotonic()
    samples = list(api.generate(model, "", clients, sampling=length, redraw=0))
    return sum(sample.tokens for sample in samples) / (time.monotonic() - began)


def _served(run: Path, clients: int, tokens: int) -> tuple[float, int]:
    """The same of streams, and how many of them did not end as they should."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "arasuji", "serve", "--runs", str(run.parent), "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v1"
    asked = {"model": run.name, "prompt": "", "max_tokens": tokens, "min_tokens": tokens, "stream": True}

    def stream(seed: int) -> bool:
        with httpx.stream("POST", f"{url}/completions", json=asked | {"seed": seed}, timeout=600) as answer:
            return [line for line in answer.iter_lines() if line][-1:] == ["data: [DONE]"]

    try:
        while True:
            try:
                httpx.get(f"{url}/models")
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        stream(0)
        with ThreadPoolExecutor(clients) as pool:
            began = time.monotonic()
            ended = list(pool.map(stream, range(clients)))
            seconds = time.monotonic() - began
        return clients * tokens / seconds, clients - sum(ended)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
