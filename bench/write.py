"""Writing side by side: ours, transformers' generate, CTranslate2, llama.cpp, a plain LSTM loop; new tokens a second.

    python bench/write.py [SOURCE] [--short] [--only WORKLOAD] [--out FILE.json]

SOURCE is any file that `prepare` reads; its texts are what is continued and scored; without it the starter corpus is
used. Every contestant (see `writers.py`) is a process of its own; they take turns, so that all meet the same machine.
Between the turns the machine's own limits are measured: how fast memory is read, and the product of two square matrices
in each type. A round's figure is the new tokens over its seconds, the reading of the prompts included; the table has
the medians of the rounds, and each engine's price in bits per byte of the same texts, so that a fast and wrong one is
seen to be wrong. GPT-2 has its real shape and vocabulary and random weights: its speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from turns import Contestant, gemm, processor, read_rate, rotated

from arasuji import device

HERE = Path(__file__).resolve().parent
BF16 = device.has_bf16()
"""Where the processor has none, it is emulated, many times slower, and left out."""
ENGINES = [
    "arasuji int8",
    *(["arasuji bf16"] if BF16 else []),
    "arasuji fp32",
    "transformers fp32",
    *(["transformers bf16"] if BF16 else []),
    "CTranslate2 int8",
    *(["llama.cpp Q8_0"] if find_spec("llama_cpp") else []),  # pip compiles it for minutes: where somebody has done so
]
WORKLOADS: dict[str, dict[str, Any]] = {
    "gpt2": {"title": "GPT-2 small", "turns": {"1 text": "write 1", "8 texts": "write 8", "32 texts": "write 32"}},
    "smollm2": {
        "title": "SmolLM2-135M",
        "turns": {"1 text": "write 1", "8 texts": "write 8", "32 texts": "write 32"},
        "score": True,
    },
    "gpt2-beams": {
        "title": "GPT-2 small, the article's settings with 5 beams",
        "model": "gpt2",
        "turns": {"1 text": "beams"},
        "engines": ["arasuji int8", "transformers fp32"],
    },
    "lstm-article": {
        "title": "The article's LSTM",
        "turns": {"1 text": "write 1", "64 texts": "write 64"},
        "engines": ["arasuji int8", "arasuji fp32", "plain loop"],
    },
}
"""What is written, and by whom; `turns` are the columns, and what the contestants are told for each."""
TEXTS = 40
"""Texts that are scored; as many are continued."""
PROMPT_CHARACTERS = range(30, 94)
"""Prompts are of all these lengths."""


def measured(workload: str, work: Path, short: bool) -> dict[str, Any]:
    """All contestants of a workload, round by round."""
    told = WORKLOADS[workload]
    model = work / told.get("model", workload)
    started = {name: Contestant(HERE / "writers.py", work, model.name, name) for name in told.get("engines", ENGINES)}
    rates: dict[str, dict[str, list[float]]] = {name: {turn: [] for turn in told["turns"]} for name in started}
    limits: dict[str, list[float]] = {kind: [] for kind in ("read", "float32", *(["bfloat16"] if BF16 else []), "int8")}
    peaks: dict[str, int] = {}
    for turn in range(1 if short else 5):
        for kind, found in limits.items():
            found.append(read_rate() if kind == "read" else gemm(kind))
        for column, line in told["turns"].items():
            for name in rotated(list(started), turn):
                answer = started[name].take(f"{line} {20 if short else 100}")
                rates[name][column].append(answer["tokens"] / answer["seconds"])
                peaks[name] = answer["peak_bytes"]
    size = sum(len(text.encode()) for text in json.loads((work / "texts.json").read_text("utf-8")))
    rows = {}
    for name, contestant in started.items():
        rows[name] = {
            "tokens_a_second": {column: statistics.median(found) for column, found in rates[name].items()},
            "rounds": rates[name],
            "peak_bytes": peaks[name],  # of writing: scoring holds more
        }
        if told.get("score"):
            rows[name]["bits_per_byte"] = contestant.take("score")["nats"] / size / math.log(2)
        contestant.leave()
    return {"rows": rows, "limits": {kind: statistics.median(found) for kind, found in limits.items()}}


def prepared(source: Path, work: Path, workloads: list[str]) -> None:
    """Prompts, texts, and the models that the workloads need."""
    from arasuji import api, bases
    from arasuji.exports import gguf

    corpus = api.prepare([source], work / "corpus")
    texts = [record.text for record in corpus.validation[:TEXTS]]
    prompts = [texts[i % len(texts)][:length].rsplit(" ", 1)[0] for i, length in enumerate(PROMPT_CHARACTERS)]
    (work / "texts.json").write_text(json.dumps(texts), "utf-8")
    (work / "prompts.json").write_text(json.dumps(prompts), "utf-8")
    made = {WORKLOADS[workload].get("model", workload) for workload in workloads}
    if "gpt2" in made:
        subprocess.run([sys.executable, HERE.parent / "tests/gpt2_shaped.py", work / "gpt2", "--small"], check=True)
    if "smollm2" in made:
        (work / "smollm2").symlink_to(bases.find("smollm2-135m")[0])
    for model in sorted(made & {"gpt2", "smollm2"}):
        from ctranslate2.converters import TransformersConverter

        converter = TransformersConverter(str(work / model))
        converter.convert(str(work / f"{model}-ctranslate2"), quantization="int8")
        if "llama.cpp Q8_0" in ENGINES:
            (work / f"{model}-gguf").mkdir()
            gguf.write(work / model, work / f"{model}-gguf", "q8_0")
    if "lstm-article" in made:
        chosen = api.experiment("lstm-article", ["validation_documents=1"])
        for _ in api.train_events(chosen, work / "corpus", work / "lstm-article", max_steps=1):
            pass


def show(workload: str, result: dict[str, Any]) -> None:
    """A table for a terminal."""
    limits, columns = result["limits"], list(WORKLOADS[workload]["turns"])
    print(f"\n{WORKLOADS[workload]['title']}; tokens a second, and how many times as many ours are")
    print(
        f"  this machine: reads {limits['read'] / 1e9:.0f} GB/s, "
        + ", ".join(f"{kind} {limit / 1e9:,.0f} G/s" for kind, limit in limits.items() if kind != "read")
        + ("" if BF16 else "; no bfloat16, which is left out")
    )
    print(f"  {'':18}" + "".join(f"{column:>17}" for column in columns) + f"{'bits/byte':>10} {'peak GB':>8}")
    first = next(iter(result["rows"].values()))["tokens_a_second"]
    for name, row in result["rows"].items():
        cells = "".join(f"{rate:9,.0f} {first[c] / rate:5.2f} x" for c, rate in row["tokens_a_second"].items())
        price = f"{row['bits_per_byte']:.4f}" if "bits_per_byte" in row else ""
        print(f"  {name:18}{cells}{price:>10} {row['peak_bytes'] / 1e9:8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--short", action="store_true", help="one round of 20 tokens instead of 5 of 100")
    parser.add_argument("--only", choices=WORKLOADS, action="append")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    source = chosen.source or HERE.parent / "src/arasuji/data/starter.jsonl"
    workloads = chosen.only or list(WORKLOADS)
    report: dict[str, Any] = {"workloads": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepared(source, work, workloads)
        for workload in workloads:
            report["workloads"][workload] = measured(workload, work, chosen.short)
            show(workload, report["workloads"][workload])
    report["machine"] = {"processor": processor(), "cores": os.cpu_count()}
    report["versions"] = {name: version(name) for name in ("arasuji", "torch", "transformers", "ctranslate2")}
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
