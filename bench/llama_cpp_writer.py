"""llama.cpp with its 8-bit weights (Q8_0), through llama-cpp-python, which pip compiles for some minutes.

It takes part in `bench/write.py` where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

TOP_K = 50
SCORED_AT_ONCE = 8
READ_AT_ONCE = 512
PAGE = 256
"""Places for tokens are made in multiples of so many."""


class LlamaCpp:
    """As `writers.Arasuji`. Its batches are rows of (token, place, text, whether its scores are wanted)."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, None)
        llama_cpp.llama_backend_init()
        path = str(folder.with_name(f"{folder.name}-gguf") / "model-q8_0.gguf").encode()
        self.model = llama_cpp.llama_model_load_from_file(path, llama_cpp.llama_model_default_params())
        self.size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.end = self.tokenizer.convert_tokens_to_ids("<|endoftext|>")

    def _ids(self, text: str) -> list[int]:
        return [self.end, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _context(self, texts: int, length: int, tokens: int) -> Any:
        wanted = llama_cpp.llama_context_default_params()
        wanted.n_seq_max, wanted.n_ctx = texts, texts * math.ceil(length / PAGE) * PAGE
        wanted.kv_unified = False
        wanted.n_batch, wanted.n_ubatch = tokens, min(tokens, READ_AT_ONCE)
        wanted.n_threads = wanted.n_threads_batch = torch.get_num_threads()
        return llama_cpp.llama_init_from_model(self.model, wanted)

    def _read(self, context: Any, rows: list[tuple[int, int, int, bool]]) -> None:
        batch = llama_cpp.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, place, text, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, place, 1, wanted
            batch.seq_id[i][0] = text
        failed = llama_cpp.llama_decode(context, batch)
        llama_cpp.llama_batch_free(batch)
        if failed:
            raise SystemExit("llama.cpp cannot read the batch")

    def write(self, prompts: list[str], tokens: int) -> None:
        rows = [self._ids(prompt) for prompt in prompts]
        context = self._context(len(rows), max(map(len, rows)) + tokens, sum(map(len, rows)))
        sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        no_end = (llama_cpp.llama_logit_bias * 1)(llama_cpp.llama_logit_bias(self.end, float("-inf")))
        for step in (
            llama_cpp.llama_sampler_init_logit_bias(self.size, 1, no_end),
            llama_cpp.llama_sampler_init_top_k(TOP_K),
            llama_cpp.llama_sampler_init_dist(1),
        ):
            llama_cpp.llama_sampler_chain_add(sampler, step)
        self._read(context, list(_rows(rows, last_only=True)))
        places = [sum(map(len, rows[: i + 1])) - 1 for i in range(len(rows))]
        for written in range(tokens):
            drawn = [llama_cpp.llama_sampler_sample(sampler, context, place) for place in places]
            places = list(range(len(rows)))
            if written < tokens - 1:
                self._read(context, [(token, len(rows[i]) + written, i, True) for i, token in enumerate(drawn)])
        llama_cpp.llama_sampler_free(sampler)
        llama_cpp.llama_free(context)

    def nats(self, texts: list[str]) -> float:
        rows = [[*self._ids(text), self.end] for text in texts]
        longest, total = max(map(len, rows)), 0.0
        context = self._context(SCORED_AT_ONCE, longest, SCORED_AT_ONCE * longest)
        for start in range(0, len(rows), SCORED_AT_ONCE):
            group = rows[start : start + SCORED_AT_ONCE]
            self._read(context, list(_rows([row[:-1] for row in group])))
            targets = [token for row in group for token in row[1:]]
            scores: NDArray[Any] = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (len(targets), self.size))
            paid = torch.nn.functional.cross_entropy(torch.tensor(scores), torch.tensor(targets), reduction="sum")
            total += float(paid)
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        llama_cpp.llama_free(context)
        return total


def _rows(texts: list[list[int]], last_only: bool = False) -> Iterator[tuple[int, int, int, bool]]:
    for number, tokens in enumerate(texts):
        for place, token in enumerate(tokens):
            yield token, place, number, not last_only or place == len(tokens) - 1
