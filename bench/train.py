"""Training side by side: ours, the article's loops, transformers' Trainer, a plain loop; real tokens a second.

    python bench/train.py [SOURCE] [--short] [--only WORKLOAD] [--out FILE.json]

SOURCE is any file that `prepare` reads; without it the starter corpus is used. Every contestant (see `contestants.py`)
is a process of its own that loads, takes a step to warm up (ours times a few more for its plan), and waits; then they
take turns, so that all meet the same machine. Between the turns the machine's own limit is measured: the product of two
square matrices in each type. A round's figure is its targets that count (no pads) over its seconds; the table has the
median of the rounds and the process's peak memory. GPT-2 has its real shape and vocabulary and random weights: speed
does not depend on them.

Ours tells the C library to keep what was freed (`arasuji.device.tune_memory`); the others run as their users run them.
To give them the same: MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2147483647 MALLOC_TOP_PAD_=67108864 before python.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from turns import Contestant, gemm, processor, rotated

from arasuji import device

HERE = Path(__file__).resolve().parent

WORKLOADS = {
    "gpt2": {
        "title": "GPT-2 small, all weights, 10 documents a step",
        "corpus": "article",
        "operations": 6,
        "contestants": {"arasuji": 2, "trainer": 2, "article": 1},
    },
    "gpt2-lora": {
        "title": "GPT-2 small, LoRA of rank 16, 10 documents a step",
        "corpus": "article",
        "operations": 4,
        "contestants": {"arasuji": 2, "trainer": 2, "trainer-bf16": 2},
        "beside": ("gpt2", "article"),
    },
    "smollm2-lora": {
        "title": "SmolLM2-135M, LoRA of rank 16, 10 documents a step",
        "corpus": "article",
        "operations": 4,
        "contestants": {"arasuji": 2, "trainer": 2, "trainer-bf16": 2, "plain": 1},
    },
    "lstm-article": {
        "title": "The article's LSTM, its full softmax, 960 words a step",
        "corpus": "article-lstm",
        "operations": 0,
        "contestants": {"arasuji": 10, "arasuji-fast": 20, "article": 4},
    },
    "lstm-small": {
        "title": "lstm-small, 1,120 tokens a step",
        "corpus": "default",
        "operations": 6,
        "contestants": {"arasuji": 20},
    },
}
"""What is trained, by whom, and how many steps each takes in a round; `operations` that a token needs for each number
of the weights: forwards 2, backwards 4, or 2 where they are frozen (0: not counted, since words are only looked up).
`beside` names a row of another workload of the same run that is shown too."""
BF16 = device.has_bf16()
PEAK = "bfloat16" if BF16 else "float32"
"""What the processor multiplies quickest, and all contestants but the article's train in."""
FULL_ONLY = {"trainer-bf16", "smollm2-lora"}
"""A contestant and a workload that the short form leaves out."""


def measured(workload: str, work: Path, short: bool) -> dict[str, Any]:
    """All contestants of a workload, round by round."""
    contestants, corpus = WORKLOADS[workload]["contestants"], WORKLOADS[workload]["corpus"]
    if short:
        contestants = {name: -(-steps // 2) for name, steps in contestants.items() if name not in FULL_ONLY}
    if not BF16:
        contestants = {name: steps for name, steps in contestants.items() if name != "trainer-bf16"}
    program = HERE / "contestants.py"
    # One after the other: side by side their threads would wait for each other.
    started = {name: Contestant(program, work, work / corpus, workload, name) for name in contestants}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    peaks: dict[str, list[float]] = {kind: [] for kind in ("float32", *(["bfloat16"] if BF16 else []))}
    for turn in range(1 if short else 7):
        for kind, found in peaks.items():
            found.append(gemm(kind))
        for name in rotated(list(contestants), turn):
            results[name].append(started[name].take(contestants[name]))
    for contestant in started.values():
        contestant.leave()
    limits = {kind: statistics.median(found) for kind, found in peaks.items()}
    rows = {}
    for name, found in results.items():
        rate = statistics.median(r["tokens"] / r["seconds"] for r in found)
        needed = WORKLOADS[workload]["operations"] * found[0]["parameters"] * rate
        rows[name] = {
            "tokens_a_second": rate,
            "peak_bytes": found[-1]["peak_bytes"],
            "share_of_gemm": needed / limits[PEAK] or None,
            "rounds": found,
        }
    return {"rows": rows, "gemm": limits}


def prepared(source: Path, work: Path, workloads: list[str]) -> None:
    """The corpora and the models that the workloads need."""
    from arasuji import bases
    from arasuji.corpus import prepare

    for rules in sorted({WORKLOADS[workload]["corpus"] for workload in workloads}):
        prepare([source], work / rules, rules)
    if any(workload.startswith("gpt2") for workload in workloads):
        subprocess.run([sys.executable, HERE.parent / "tests/gpt2_shaped.py", work / "gpt2", "--small"], check=True)
    if "smollm2-lora" in workloads:
        (work / "smollm2").symlink_to(bases.find("smollm2-135m")[0])


def show(workload: str, result: dict[str, Any]) -> None:
    """A table for a terminal."""
    limits = ", ".join(f"{kind} {speed / 1e9:,.0f} GFLOP/s" for kind, speed in result["gemm"].items())
    left_out = "" if BF16 else "; no bfloat16, which is left out: all train in float32"
    print(f"\n{WORKLOADS[workload]['title']}\n  this machine: {limits}{left_out}")
    print(f"  {'':14} {'tokens/s':>9} {f'of {PEAK} peak':>16} {'ours is':>9} {'peak GB':>9}")
    ours = result["rows"]["arasuji"]["tokens_a_second"]
    for name, row in result["rows"].items():
        share = f"{row['share_of_gemm']:.0%}" if row["share_of_gemm"] else ""
        times = f"{ours / row['tokens_a_second']:.2f} x"
        print(f"  {name:14} {row['tokens_a_second']:9,.0f} {share:>16} {times:>9} {row['peak_bytes'] / 1e9:9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--short", action="store_true", help="one short round instead of 7, and less is compared")
    parser.add_argument("--only", choices=WORKLOADS, action="append")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    from arasuji.corpus import Corpus

    source = chosen.source or HERE.parent / "src/arasuji/data/starter.jsonl"
    workloads = chosen.only or [name for name in WORKLOADS if not (chosen.short and name in FULL_ONLY)]
    report: dict[str, Any] = {"workloads": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepared(source, work, workloads)
        report["corpora"] = {
            path.name: Corpus.load(path).hash for path in work.iterdir() if (path / "train.jsonl").exists()
        }
        for workload in workloads:
            result = measured(workload, work, chosen.short)
            other, name = WORKLOADS[workload].get("beside", (workload, ""))
            if name and other in report["workloads"]:
                result["rows"][f"{name}, {other}"] = report["workloads"][other]["rows"][name]
            report["workloads"][workload] = result
            show(workload, result)
    report["machine"] = {"processor": processor(), "cores": os.cpu_count()}
    report["versions"] = {name: version(name) for name in ("arasuji", "torch", "transformers", "peft", "accelerate")}
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
