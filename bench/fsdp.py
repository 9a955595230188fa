"""One process, two that each have the whole model, and two that each have a part of every weight (`shard=true`): the
losses of the same steps, how fast they are taken, and the memory of a process.

    python bench/fsdp.py CORPUS [--steps 20] [--set KEY=VALUE ...]

The model has GPT-2 small's shape (124 M parameters) and random weights; in float32 and without dropout, so that nothing
but the rounding of sums differs. The C library returns freed memory at once, so that what a process holds is seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
WAYS = {"one": ([sys.executable], "false"), "two, whole": (TORCHRUN, "false"), "two, sharded": (TORCHRUN, "true")}
SETTINGS = ["precision=fp32", "batch_size=4", "train.max_length=48", "validation_documents=2", "clip_norm=1"]


def train(corpus: str, out: str, steps: str, *settings: str) -> None:
    """What each process runs: it trains, and writes the most memory that it had in a step into OUT."""
    from arasuji import api, device, processes

    device.tune_memory = lambda: None  # it keeps freed memory
    most = 0
    for event in api.train_events("gpt2-article", corpus, f"{out}/run", max_steps=int(steps), settings=settings):
        if isinstance(event, api.Stepped) and event.step > 1:
            most = max(most, device.peak_memory())
        device.forget_peak()
    Path(out, f"memory-{processes.index()}").write_text(str(most))


def trained(way: str, chosen: argparse.Namespace, base: Path, work: Path) -> dict[str, Any]:
    """The losses of a way to train, its tokens a second after the first step, and the memory of its processes."""
    launcher, shard = WAYS[way]
    out = work / way.replace(", ", "-")
    out.mkdir()
    settings = [f"base={base}", f"shard={shard}", *SETTINGS, *chosen.set]
    command = [*launcher, __file__, "train", chosen.corpus, out, chosen.steps, *settings]
    found = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**16), "MALLOC_TRIM_THRESHOLD_": str(2**16)}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=found)
    if done.returncode:
        raise SystemExit(done.stderr)
    log = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]
    return {
        "losses": [line["loss"] for line in log],
        "rate": (log[-1]["tokens"] - log[0]["tokens"]) / (log[-1]["seconds"] - log[0]["seconds"]),
        "memory": max(int(path.read_text()) for path in out.glob("memory-*")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", action="append", default=[])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "gpt2"
        subprocess.run([sys.executable, HERE.parent / "tests/gpt2_shaped.py", base, "--small"], check=True)
        config = json.loads((base / "config.json").read_text())
        still = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        (base / "config.json").write_text(json.dumps(config | still))
        print(f"{'':14} {'last loss':>10} {'apart':>8} {'tokens/s':>9} {'GB a process':>13}")
        losses: list[float] = []
        for way in WAYS:
            found = trained(way, chosen, base, Path(folder))
            losses = losses or found["losses"]
            apart = max(abs(a - b) for a, b in zip(losses, found["losses"], strict=True))
            gigabytes = found["memory"] / 1e9
            print(
                f"{way:14} {found['losses'][-1]:10.5f} {apart:8.1e} {found['rate']:9.0f} {gigabytes:13.2f}", flush=True
            )


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(*sys.argv[2:])
    else:
        main()
