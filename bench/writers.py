"""Who writes in `bench/write.py`: ours in three precisions, transformers, CTranslate2, llama.cpp, plain loops.

    python bench/writers.py WORK MODEL NAME

Started by `bench/write.py`, each in a process of its own (see `turns.py`). It reads "write ROWS TOKENS", "beams TOKENS"
(the article's settings) or "score". WORK holds the models, `prompts.json` and `texts.json`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from turns import answer

TOP_K = 50
ARTICLE = {"temperature": 0.6, "top_k": 1000, "top_p": 0.95, "num_beams": 5, "no_repeat_ngram_size": 2}
"""How the article wrote; besides, 30 to 300 tokens."""
SCORED_AT_ONCE = 8


class Arasuji:
    """Ours. `write` writes so many new tokens for each prompt, drawn among the 50 likeliest, none of them an end;
    `beams` a text with the article's settings; `nats` is -ln p of all texts, an end before each that is not counted and
    one after it that is."""

    def __init__(self, folder: Path, precision: Any) -> None:
        from arasuji import api

        self.api, self.trained = api, api.load(folder, precision)

    def _write(self, prompts: list[str], **settings: Any) -> None:
        sampling = self.trained.sampling.__class__(**settings)
        for _ in self.api.generate(self.trained, prompts, sampling=sampling):
            pass

    def write(self, prompts: list[str], tokens: int) -> None:
        self._write(prompts, top_k=TOP_K, min_length=tokens, max_length=tokens)

    def beams(self, prompt: str, tokens: int) -> None:
        self._write([prompt], min_length=tokens, max_length=tokens, **ARTICLE)

    def nats(self, texts: list[str]) -> float:
        return sum(self.api.evaluate(self.trained, texts).document_nll)


class Transformers:
    """`generate` on prompts that are padded on the left, as its manual says."""

    def __init__(self, folder: Path, precision: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=kind).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.end = self.tokenizer.convert_tokens_to_ids("<|endoftext|>")

    def _ids(self, text: str) -> list[int]:
        return [self.end, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _generate(self, prompts: list[str], tokens: int, **settings: Any) -> None:
        rows = [self._ids(prompt) for prompt in prompts]
        width = max(map(len, rows))
        ids = torch.tensor([[self.end] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        self.model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            eos_token_id=self.end,
            pad_token_id=self.end,
            **settings,
        )

    def write(self, prompts: list[str], tokens: int) -> None:
        self._generate(prompts, tokens, top_k=TOP_K)

    def beams(self, prompt: str, tokens: int) -> None:
        self._generate([prompt], tokens, **ARTICLE)

    @torch.inference_mode()
    def nats(self, texts: list[str]) -> float:
        total = 0.0
        rows = [[*self._ids(text), self.end] for text in texts]
        for start in range(0, len(rows), SCORED_AT_ONCE):
            group = rows[start : start + SCORED_AT_ONCE]
            width = max(map(len, group))
            ids = torch.tensor([row + [self.end] * (width - len(row)) for row in group])
            targets = torch.tensor([row[1:] + [-100] * (width - len(row)) for row in group])
            scores = self.model(ids[:, :-1]).logits.float()
            total += float(torch.nn.functional.cross_entropy(scores.transpose(1, 2), targets, reduction="sum"))
        return total


class CTranslate2:
    """Its own int8, as its converter makes it."""

    def __init__(self, folder: Path) -> None:
        import ctranslate2
        from transformers import AutoTokenizer

        made = folder.with_name(f"{folder.name}-ctranslate2")
        self.model = ctranslate2.Generator(
            str(made), compute_type="int8", inter_threads=1, intra_threads=torch.get_num_threads()
        )
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.words = json.loads((made / "vocabulary.json").read_text("utf-8"))
        self.end = self.tokenizer.convert_tokens_to_ids("<|endoftext|>")

    def _words(self, text: str, *more: int) -> list[str]:
        ids = [self.end, *self.tokenizer(text, add_special_tokens=False)["input_ids"], *more]
        return [self.words[i] for i in ids]

    def write(self, prompts: list[str], tokens: int) -> None:
        self.model.generate_batch(
            [self._words(prompt) for prompt in prompts],
            min_length=tokens,
            max_length=tokens,
            include_prompt_in_result=False,
            sampling_topk=TOP_K,
            end_token=self.words[self.end],
        )

    def nats(self, texts: list[str]) -> float:
        rows = [self._words(text, self.end) for text in texts]
        found = self.model.score_batch(rows, max_batch_size=SCORED_AT_ONCE, max_input_length=0)
        return -sum(sum(row.log_probs) for row in found)


class PlainLstm:
    """The article's LSTM one token at a time, in plain torch. Several prompts would come one after the other, so of
    these it continues the first."""

    def __init__(self, folder: Path) -> None:
        from arasuji import api

        trained = api.load(folder)
        self.tokenizer, model = trained.tokenizer, trained.model
        self.embedding, self.lstm, self.linear = model.embedding, model.lstm, model.linear

    @torch.inference_mode()
    def write(self, prompts: list[str], tokens: int) -> int:
        state, ids = None, [self.tokenizer.end_id, *self.tokenizer.encode(prompts[0])]
        read = torch.tensor([ids])
        for _ in range(tokens):
            output, state = self.lstm(self.embedding(read), state)
            scores, places = self.linear(output[0, -1]).topk(TOP_K)
            read = places[torch.multinomial(scores.softmax(0), 1)][None]
        return tokens


def _llama_cpp(folder: Path) -> Any:
    from llama_cpp_writer import LlamaCpp

    return LlamaCpp(folder)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "arasuji int8": lambda folder: Arasuji(folder, "int8"),
    "arasuji bf16": lambda folder: Arasuji(folder, "bf16"),
    "arasuji fp32": lambda folder: Arasuji(folder, "fp32"),
    "transformers fp32": lambda folder: Transformers(folder, "fp32"),
    "transformers bf16": lambda folder: Transformers(folder, "bf16"),
    "CTranslate2 int8": CTranslate2,
    "llama.cpp Q8_0": _llama_cpp,
    "plain loop": PlainLstm,
}


def main() -> None:
    work, model, name = sys.argv[1:]
    writer = WRITERS[name](Path(work) / model)
    prompts: list[str] = json.loads((Path(work) / "prompts.json").read_text("utf-8"))
    texts: list[str] = json.loads((Path(work) / "texts.json").read_text("utf-8"))
    for rows in (1, 2):  # several texts are written in another way than one
        writer.write(prompts[:rows], 4)

    def respond(line: str) -> dict[str, Any]:
        kind, *numbers = line.split()
        began = time.perf_counter()
        found: dict[str, Any] = {}
        if kind == "write":
            rows, tokens = map(int, numbers)
            found["tokens"] = writer.write(prompts[:rows], tokens) or rows * tokens
        elif kind == "beams":
            (tokens,) = map(int, numbers)
            writer.beams(prompts[0], tokens)
            found["tokens"] = tokens
        else:
            found["nats"] = writer.nats(texts)
        return {**found, "seconds": time.perf_counter() - began}

    answer(respond)


if __name__ == "__main__":
    main()
