"""Who trains in `bench/train.py`: ours, the article's loops, transformers' Trainer, a plain loop.

    python bench/contestants.py MODELS CORPUS WORKLOAD NAME

Started by `bench/train.py`, each in a process of its own (see `turns.py`). It is ready when it has taken a step to warm
up; then it reads numbers of steps to take.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from turns import answer

from arasuji import device

BATCH, LENGTH = 10, 300
"""The article's documents in a batch, and tokens of one."""
TEXTS = 2000
"""As many as a run takes, and many more."""
IGNORED = -100
"""A target that transformers does not count."""


class Step(NamedTuple):
    """A step that was taken."""

    tokens: int
    """Targets that it counted, pads not among them."""
    parameters: int = 0
    """Numbers of our model that a token meets: the base's with LoRA, else all."""


def arasuji(corpus: Path, preset: str, *settings: str) -> Iterator[Step]:
    """Our own training; checkpoints, and validations in between, are left out as they are with the others."""
    from arasuji import api

    chosen = api.experiment(preset, ["checkpoint_steps=1000000", "validations=1", "validation_documents=1", *settings])
    with tempfile.TemporaryDirectory() as folder:
        before = parameters = 0
        for event in api.train_events(chosen, corpus, Path(folder) / "run"):
            if isinstance(event, api.Started):
                parameters = event.parameters - event.trained or event.parameters
            if isinstance(event, api.Stepped):
                yield Step(event.tokens - before, parameters)
                before = event.tokens


def documents(corpus: Path, base: Path) -> tuple[list[list[int]], int]:
    """Some texts as tokens, an end before and after each, cut to the article's length; and the end."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    lines = (corpus / "train.jsonl").read_bytes().splitlines()
    lines = random.Random(0).sample(lines, min(len(lines), TEXTS))
    texts = [json.loads(line)["text"] for line in lines]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[end, *ids, end][: LENGTH + 1] for ids in encoded], end


def shuffled(texts: list[list[int]]) -> list[list[int]]:
    """The texts in a random order, the same each time."""
    return random.Random(0).sample(texts, len(texts))


def grouped(texts: list[list[int]], pool: int = 50 * BATCH) -> list[list[int]]:
    """The texts in an order in which those of a batch are of similar length and the batches are not sorted."""
    mixed = shuffled(texts)
    pools = [sorted(mixed[i : i + pool], key=len) for i in range(0, len(mixed), pool)]
    batches = [part[i : i + BATCH] for part in pools for i in range(0, len(part) - BATCH + 1, BATCH)]
    return [text for batch in random.Random(0).sample(batches, len(batches)) for text in batch]


def padded(rows: list[list[int]], width: int, pad: int) -> tuple[Tensor, Tensor]:
    """Rows of one width, (B, width), and the mask of what is no pad."""
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


def collated(rows: list[list[int]], pad: int) -> dict[str, Tensor]:
    """A batch as transformers' models take it, as wide as its longest row; pads are not counted in the loss."""
    ids, mask = padded(rows, max(map(len, rows)), pad)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, IGNORED)}


def article_gpt2(corpus: Path, base: Path) -> Iterator[Step]:
    """The article's loop: float32, every text padded to 300 tokens, the pads counted in its loss (not by us)."""
    from transformers import GPT2LMHeadModel, get_linear_schedule_with_warmup

    texts, end = documents(corpus, base)
    texts = shuffled(texts)
    model = GPT2LMHeadModel.from_pretrained(base)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.003)
    schedule = get_linear_schedule_with_warmup(optimizer, 10, len(texts) // BATCH * 5)
    for start in range(0, len(texts), BATCH):
        rows = [ids[1 : LENGTH + 1] for ids in texts[start : start + BATCH]]  # nothing before the text
        ids, mask = padded(rows, LENGTH, end)
        model(ids, attention_mask=mask, labels=ids).loss.backward()
        optimizer.step()
        schedule.step()
        model.zero_grad()
        yield Step(sum(len(row) - 1 for row in rows))


def trainer(corpus: Path, base: Path, lora: bool, frozen: torch.dtype = torch.float32) -> Iterator[Step]:
    """transformers' Trainer as one who knows it sets it up: bfloat16, similar lengths together, fused AdamW; with peft,
    and there the frozen weights in a type of their own."""
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    # Its own grouping begins with the longest texts, where a short run would stay; ours are of all lengths from the
    # first step on. So it gets batches that are grouped already, in a random order.
    texts, end = documents(corpus, base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=frozen)
    model = with_peft(model) if lora else model
    turns: Queue[None] = Queue()
    steps: Queue[Step] = Queue()

    class Watched(Trainer):
        """Takes a step when it is told to."""

        counted = 0

        def training_step(self, model: Any, inputs: Any, *more: Any) -> Any:
            if self.counted:
                steps.put(Step(self.counted))  # the step before is over, its optimizer's part too
            turns.get()
            self.counted = int((inputs["labels"][:, 1:] != IGNORED).sum())
            return super().training_step(model, inputs, *more)

    def train(folder: str) -> None:
        told = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            train_sampling_strategy="sequential",
            bf16=device.has_bf16(),
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
            remove_unused_columns=False,
        )
        try:
            Watched(model, told, train_dataset=grouped(texts), data_collator=lambda rows: collated(rows, end)).train()
        finally:
            os._exit(1)  # it never comes to an end here

    with tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=train, args=[folder], daemon=True).start()
        while True:
            turns.put(None)
            yield steps.get()


def plain_lora(corpus: Path, base: Path) -> Iterator[Step]:
    """A loop as one writes it first with peft: float32, texts as they come, padded to the longest of a batch."""
    from transformers import AutoModelForCausalLM

    texts, end = documents(corpus, base)
    texts = shuffled(texts)
    model = with_peft(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-4)
    for start in range(0, len(texts), BATCH):
        rows = texts[start : start + BATCH]
        model(**collated(rows, end)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield Step(sum(len(row) - 1 for row in rows))


def with_peft(model: Any) -> Any:
    """LoRA of rank 16 on every matrix of the blocks."""
    from peft import LoraConfig, get_peft_model

    told = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, told)
    model.train()
    return model


def article_lstm(corpus: Path) -> Iterator[Step]:
    """The article's LSTM as written: float32, plain layers, the whole softmax."""
    from arasuji import tokenizers
    from arasuji.corpus import Corpus

    texts = [record.text for record in Corpus.load(corpus).train]
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
        yield Step(32 * 30)


def contestants(models: Path, corpus: Path) -> dict[tuple[str, str], Callable[[], Iterator[Step]]]:
    """All of them, by workload and name."""
    gpt2, smollm2 = models / "gpt2", models / "smollm2"
    alike = (f"batch_size={BATCH}", f"train.max_length={LENGTH}")
    bf16 = torch.bfloat16
    return {
        ("gpt2", "arasuji"): lambda: arasuji(corpus, "gpt2-article", f"base={gpt2}"),
        ("gpt2", "trainer"): lambda: trainer(corpus, gpt2, lora=False),
        ("gpt2", "article"): lambda: article_gpt2(corpus, gpt2),
        ("gpt2-lora", "arasuji"): lambda: arasuji(corpus, "pretrained-lora", f"base={gpt2}", *alike),
        ("gpt2-lora", "trainer"): lambda: trainer(corpus, gpt2, lora=True),
        ("gpt2-lora", "trainer-bf16"): lambda: trainer(corpus, gpt2, lora=True, frozen=bf16),
        ("smollm2-lora", "arasuji"): lambda: arasuji(corpus, "pretrained-lora", f"base={smollm2}", *alike),
        ("smollm2-lora", "trainer"): lambda: trainer(corpus, smollm2, lora=True),
        ("smollm2-lora", "trainer-bf16"): lambda: trainer(corpus, smollm2, lora=True, frozen=bf16),
        ("smollm2-lora", "plain"): lambda: plain_lora(corpus, smollm2),
        ("lstm-article", "arasuji"): lambda: arasuji(corpus, "lstm-article"),
        ("lstm-article", "arasuji-fast"): lambda: arasuji(corpus, "lstm-article-fast"),
        ("lstm-article", "article"): lambda: article_lstm(corpus),
        ("lstm-small", "arasuji"): lambda: arasuji(corpus, "lstm-small"),
    }


def main() -> None:
    models, corpus, workload, name = sys.argv[1:]
    steps = contestants(Path(models), Path(corpus))[workload, name]()
    next(steps)

    def respond(line: str) -> dict[str, Any]:
        began = time.perf_counter()
        taken = [next(steps) for _ in range(int(line))]
        seconds = time.perf_counter() - began
        tokens = sum(step.tokens for step in taken)
        return {"tokens": tokens, "seconds": seconds, "parameters": taken[0].parameters}

    answer(respond)


if __name__ == "__main__":
    main()
