"""Two processes against one: the same steps of every preset, their score, and their median tokens a second.

    python bench/processes.py CORPUS [--only PRESET]

Both have the same cores. GPT-2 has its real shape and random weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STEPS = {
    "ngram": 12,
    "lstm-article": 60,
    "lstm-article-fast": 120,
    "lstm-small": 100,
    "gpt2-mini": 50,
    "gpt2-article": 10,
    "pretrained-lora": 20,
}
LAUNCH = {
    1: [sys.executable],
    2: [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
}


def trained(preset: str, processes: int, corpus: Path, work: Path) -> dict[str, Any]:
    """What a run prints, and its last validation score."""
    out = work / f"{preset}-{processes}"
    settings = ["validation_documents=50", "checkpoint_steps=1000000"]
    if preset == "gpt2-article":
        settings.append(f"base={work / 'gpt2'}")
    words = ["-m", "arasuji", "train", preset, "--corpus", corpus, "--out", out, "--max-steps", STEPS[preset], "--json"]
    words += [word for setting in settings for word in ("--set", setting)]
    command = [*LAUNCH[processes], *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [
        (line["tokens"] - before["tokens"]) / (line["seconds"] - before["seconds"])
        for before, line in pairwise(log)
        if "bits_per_byte" not in before
    ]
    return {**json.loads(done.stdout), "bits_per_byte": log[-1]["bits_per_byte"], "rate": statistics.median(rates)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--only", choices=STEPS, action="append")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run([sys.executable, HERE.parent / "tests/gpt2_shaped.py", work / "gpt2", "--small"], check=True)
        print(f"{'':18} {'steps':>5} {'one':>9} {'two':>9} {'apart':>8} {'tokens/s':>17}")
        for preset in chosen.only or STEPS:
            one, two = (trained(preset, processes, chosen.corpus, work) for processes in (1, 2))
            apart = two["bits_per_byte"] / one["bits_per_byte"] - 1
            rates = " ".join(f"{run['rate']:8,.0f}" for run in (one, two))
            print(
                f"{preset:18} {one['steps']:5} {one['bits_per_byte']:9.4f} {two['bits_per_byte']:9.4f} "
                f"{apart:8.2%} {rates}",
                flush=True,
            )


if __name__ == "__main__":
    main()
