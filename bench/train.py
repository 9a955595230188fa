"""Training side by side: ours, the article's loops, transformers' Trainer, a plain loop; real tokens a second.

    python bench/train.py [SOURCE] [--short] [--only WORKLOAD] [--out FILE.json]

SOURCE is any file that `prepare` reads; without it the starter corpus is used. Every contestant is a process of its own
that loads, takes a step to warm up (ours times a few more for its plan), and waits; then they take turns, so that all
meet the same machine. Between the turns the machine's own limit is measured: the product of two square matrices in each
type. A round's figure is its targets that count (no pads) over its seconds; the table has the median of the rounds and
the process's peak memory. GPT-2 has its real shape and vocabulary and random weights: speed does not depend on them.

Ours tells the C library to keep what was freed (`arasuji.device.tune_memory`); the others run as their users run them.
To give them the same: MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2147483647 MALLOC_TOP_PAD_=67108864 before python.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from queue import Queue
from typing import Any

HERE = Path(__file__).resolve().parent
BATCH, LENGTH = 10, 300
"""The article's documents in a batch, and tokens of one."""
GEMM = 2048
"""Rows and columns of the matrices that measure the machine."""

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
        "contestants": {"arasuji": 2, "trainer": 2},
        "beside": ("gpt2", "article"),
    },
    "smollm2-lora": {
        "title": "SmolLM2-135M, LoRA of rank 16, 10 documents a step",
        "corpus": "article",
        "operations": 4,
        "contestants": {"arasuji": 2, "trainer": 2, "plain": 1},
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
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}


def arasuji(workload: str, work: Path, preset: str, *settings: str) -> Iterator[int]:
    """Our own training; checkpoints, and validations in between, are left out as they are with the others."""
    from arasuji import api

    corpus = work / WORKLOADS[workload]["corpus"]
    chosen = api.experiment(preset, ["checkpoint_steps=1000000", "validations=1", "validation_documents=1", *settings])
    with tempfile.TemporaryDirectory() as folder:
        before = 0
        for event in api.train(chosen, corpus, Path(folder) / "run"):
            if isinstance(event, api.Started):
                FROZEN_OR_ALL.append(event.parameters - event.trained or event.parameters)
            if isinstance(event, api.Stepped):
                yield event.tokens - before
                before = event.tokens


FROZEN_OR_ALL: list[int] = []
"""Numbers of our model that a token meets: the base's with LoRA, else all."""


def documents(workload: str, work: Path, base: Path) -> tuple[list[list[int]], int]:
    """Texts as tokens, an end before and after each, cut to the article's length; and the end."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    lines = (work / WORKLOADS[workload]["corpus"] / "train.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[end, *ids, end][: LENGTH + 1] for ids in encoded], end


def grouped(texts: list[list[int]], pool: int = 50 * BATCH) -> list[list[int]]:
    """The texts in an order in which those of a batch are of similar length and the batches are not sorted."""
    chosen = random.Random(0)
    chosen.shuffle(texts)
    pools = [sorted(texts[i : i + pool], key=len) for i in range(0, len(texts), pool)]
    batches = [part[i : i + BATCH] for part in pools for i in range(0, len(part) - BATCH + 1, BATCH)]
    chosen.shuffle(batches)
    return [text for batch in batches for text in batch]


def article_gpt2(workload: str, work: Path, base: Path) -> Iterator[int]:
    """The article's loop: float32, every text padded to 300 tokens, the pads counted in its loss (not by us)."""
    import torch
    from transformers import GPT2LMHeadModel, get_linear_schedule_with_warmup

    texts, end = documents(workload, work, base)
    random.Random(0).shuffle(texts)
    model = GPT2LMHeadModel.from_pretrained(base)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.003)
    schedule = get_linear_schedule_with_warmup(optimizer, 10, len(texts) // BATCH * 5)
    for start in range(0, len(texts), BATCH):
        rows = [ids[1 : LENGTH + 1] for ids in texts[start : start + BATCH]]  # nothing before the text
        ids = torch.tensor([row + [end] * (LENGTH - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (LENGTH - len(row)) for row in rows])
        model(ids, attention_mask=mask, labels=ids).loss.backward()
        optimizer.step()
        schedule.step()
        model.zero_grad()
        yield sum(len(row) - 1 for row in rows)


def trainer(workload: str, work: Path, base: Path, lora: bool) -> Iterator[int]:
    """transformers' Trainer as one who knows it sets it up: bfloat16, similar lengths together, fused AdamW; with peft
    the frozen weights in bfloat16 too."""
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    # Its own grouping begins with the longest texts, where a short run would stay; ours are of all lengths from the
    # first step on. So it gets batches that are grouped already, in a random order.
    texts = grouped(documents(workload, work, base)[0])
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16 if lora else torch.float32)
    model = with_peft(model) if lora else model
    turns: Queue[None] = Queue()
    counts: Queue[int] = Queue()

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for i, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[i, :length], mask[i, :length] = torch.tensor(row["input_ids"]), 1
            labels[i, 1:length] = ids[i, 1:length]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    class Watched(Trainer):
        waiting = 0

        def training_step(self, model: Any, inputs: Any, *more: Any) -> Any:
            if self.waiting:
                counts.put(self.waiting)  # the step before is over, its optimizer's part too
            turns.get()
            self.waiting = int((inputs["labels"] != -100).sum())
            return super().training_step(model, inputs, *more)

    with tempfile.TemporaryDirectory() as folder:
        told = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            train_sampling_strategy="sequential",
            bf16=True,
            use_cpu=True,
            optim="adamw_torch_fused",
            learning_rate=1e-4,
            weight_decay=0.003,
            warmup_steps=10,
            num_train_epochs=5,
            max_grad_norm=0.0,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        rows = [{"input_ids": ids} for ids in texts]
        watched = Watched(model, told, train_dataset=rows, data_collator=collate)

        def train() -> None:
            try:
                watched.train()
            finally:
                os._exit(1)  # it never comes to an end here

        threading.Thread(target=train, daemon=True).start()
        while True:
            turns.put(None)
            yield counts.get()


def plain_lora(workload: str, work: Path, base: Path) -> Iterator[int]:
    """A loop as one writes it first with peft: float32, texts as they come, padded to the longest of a batch."""
    import torch
    from transformers import AutoModelForCausalLM

    texts, end = documents(workload, work, base)
    random.Random(0).shuffle(texts)
    model = with_peft(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-4)
    for start in range(0, len(texts), BATCH):
        rows = texts[start : start + BATCH]
        width = max(map(len, rows))
        ids = torch.tensor([row + [end] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        labels = ids.masked_fill(mask == 0, -100)
        model(ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield sum(len(row) - 1 for row in rows)


def with_peft(model: Any) -> Any:
    """LoRA of rank 16 on every matrix of the blocks."""
    from peft import LoraConfig, get_peft_model

    told = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, told)
    model.train()
    return model


def article_lstm(workload: str, work: Path) -> Iterator[int]:
    """The article's LSTM as written: float32, plain layers, the whole softmax."""
    import torch
    from torch import nn

    from arasuji import tokenizers
    from arasuji.corpus import Corpus

    texts = [record.text for record in Corpus.load(work / WORKLOADS[workload]["corpus"]).train]
    kind = tokenizers.kind("word")
    tokenizer = kind.build(kind.Config(), texts, None)
    stream = torch.tensor([i for text in texts for i in [*tokenizer.encode(text), tokenizer.end_id]])
    rows = stream[: len(stream) // 32 * 32].view(32, -1)
    size = tokenizer.vocabulary_size
    embedding, lstm = nn.Embedding(size, 100), nn.LSTM(100, 512, 3, batch_first=True)
    model = nn.ModuleList([embedding, lstm, nn.Dropout(0.3), nn.Linear(512, size)])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    state = None
    for start in range(0, rows.shape[1] - 31, 30):
        optimizer.zero_grad()
        read, state = lstm(embedding(rows[:, start : start + 30]), state)
        state = tuple(part.detach() for part in state)
        scores = model[3](model[2](read))
        loss = nn.functional.cross_entropy(scores.transpose(1, 2), rows[:, start + 1 : start + 31])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2)
        optimizer.step()
        yield 32 * 30


def contestant(workload: str, name: str, work: Path) -> Iterator[int]:
    """Steps of one contestant; each gives the targets it counted."""
    gpt2, smollm2 = work / "gpt2", work / "smollm2"
    alike = (f"batch_size={BATCH}", f"train.max_length={LENGTH}")
    makers: dict[tuple[str, str], Callable[[], Iterator[int]]] = {
        ("gpt2", "arasuji"): lambda: arasuji(workload, work, "gpt2-article", f"base={gpt2}"),
        ("gpt2", "trainer"): lambda: trainer(workload, work, gpt2, lora=False),
        ("gpt2", "article"): lambda: article_gpt2(workload, work, gpt2),
        ("gpt2-lora", "arasuji"): lambda: arasuji(workload, work, "pretrained-lora", f"base={gpt2}", *alike),
        ("gpt2-lora", "trainer"): lambda: trainer(workload, work, gpt2, lora=True),
        ("smollm2-lora", "arasuji"): lambda: arasuji(workload, work, "pretrained-lora", f"base={smollm2}", *alike),
        ("smollm2-lora", "trainer"): lambda: trainer(workload, work, smollm2, lora=True),
        ("smollm2-lora", "plain"): lambda: plain_lora(workload, work, smollm2),
        ("lstm-article", "arasuji"): lambda: arasuji(workload, work, "lstm-article"),
        ("lstm-article", "arasuji-fast"): lambda: arasuji(workload, work, "lstm-article-fast"),
        ("lstm-article", "article"): lambda: article_lstm(workload, work),
        ("lstm-small", "arasuji"): lambda: arasuji(workload, work, "lstm-small"),
    }
    return makers[workload, name]()


def work_for(workload: str, name: str, work: Path) -> None:
    """A contestant's process: a line in with a number of steps, a line out with tokens, seconds and peak memory."""
    answers, sys.stdout = sys.stdout, sys.stderr
    steps = contestant(workload, name, work)
    next(steps)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        tokens = sum(next(steps) for _ in range(int(line)))
        seconds = time.perf_counter() - began
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
        met = FROZEN_OR_ALL[0] if FROZEN_OR_ALL else 0
        answer = {"tokens": tokens, "seconds": seconds, "peak_bytes": peak, "parameters": met}
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # the Trainer's thread waits for a turn that does not come


def gemm(kind: str) -> float:
    """Operations a second of a square product in a type, the best of four."""
    import torch

    a, b, c = (torch.randn(GEMM, GEMM).to(getattr(torch, kind)) for _ in range(3))
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        torch.mm(a, b, out=c)
        best = min(best, time.perf_counter() - began)
    return 2 * GEMM**3 / best


def measured(workload: str, work: Path, short: bool) -> dict[str, Any]:
    """All contestants of a workload, round by round."""
    contestants: dict[str, int] = WORKLOADS[workload]["contestants"]
    if short:
        contestants = {name: -(-steps // 2) for name, steps in contestants.items()}
    command = [sys.executable, __file__, "--work", str(work), "--run", workload]
    processes = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in contestants
    }
    for process in processes.values():
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"a contestant of {workload} failed")
    results: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    names = list(contestants)
    for turn in range(2 if short else 7):
        for kind, found in peaks.items():
            found.append(gemm(kind))
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            print(contestants[name], file=processes[name].stdin, flush=True)
            if not (answer := processes[name].stdout.readline()):
                raise SystemExit(f"{name} failed in {workload}")
            results[name].append(json.loads(answer))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    limits = {kind: statistics.median(found) for kind, found in peaks.items()}
    rows = {}
    for name, found in results.items():
        rate = statistics.median(r["tokens"] / r["seconds"] for r in found)
        needed = WORKLOADS[workload]["operations"] * found[0]["parameters"] * rate
        rows[name] = {
            "tokens_a_second": rate,
            "peak_bytes": found[-1]["peak_bytes"],
            "share_of_gemm": needed / limits["bfloat16"] or None,
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


def processor() -> str:
    """The chip's name, as Linux tells it."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else ""


def show(workload: str, result: dict[str, Any]) -> None:
    """A table for a terminal."""
    limits = ", ".join(f"{kind} {speed / 1e9:,.0f} GFLOP/s" for kind, speed in result["gemm"].items())
    print(f"\n{WORKLOADS[workload]['title']}\n  this machine: {limits}")
    print(f"  {'':14} {'tokens/s':>9} {'of bf16 peak':>13} {'ours is':>9} {'peak GB':>9}")
    ours = result["rows"]["arasuji"]["tokens_a_second"]
    for name, row in result["rows"].items():
        share = f"{row['share_of_gemm']:.0%}" if row["share_of_gemm"] else ""
        times = f"{ours / row['tokens_a_second']:.2f} x"
        print(f"  {name:14} {row['tokens_a_second']:9,.0f} {share:>13} {times:>9} {row['peak_bytes'] / 1e9:9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--short", action="store_true", help="2 short rounds instead of 7")
    parser.add_argument("--only", choices=WORKLOADS, action="append")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        work_for(*chosen.run, chosen.work)
        return
    from arasuji.corpus import Corpus

    os.environ.update(QUIET)
    source = chosen.source or HERE.parent / "src/arasuji/data/starter.jsonl"
    workloads = chosen.only or list(WORKLOADS)
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
