"""llama.cpp as the judge of a GGUF file: its tokens, its prices of them, its greedy texts; and texts to ask it for."""

from __future__ import annotations

import json
import random
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

PIECES = [
    *("The lamp-keeper", " isn't", " 12,345", " 3.14", "don’t", "(1999)", "A.D.", "'S", "'ll", "!?", "$5", "C++"),
    *("x_y", "http://a.b/c?d=e", "\n", "\n\n", "  ", "   ", "\t", "\u3000", "\u00a0", " — ", "…"),
    *("½", "²", "①", "１２", "naïve", " café", "Straße", "Ǆ", "Привет", "שלום", "مرحبا", "한국어", "中文"),
    *("日本語の物語", "灯台守", "「はい」", "ひらがな", "カタカナ", "ー", "。", "、", "々", "㍿"),
    *("😀", "🌊", "👍🏽", "🇯🇵", "\u2764\ufe0f", "👩\u200d🚀", "🏳\ufe0f\u200d🌈"),
    *("<|endoftext|>", "</s>", "<b>", "<0x0A>", "▁"),
]  # fmt: skip
"""What texts of several scripts are put together from; among it what looks like a token and is none."""


def texts_of_many_scripts(count: int) -> list[str]:
    """The same texts each time."""
    chance = random.Random(0)
    return ["".join(chance.choices(PIECES, k=chance.randint(1, 30))) for _ in range(count)]


class LlamaCpp:
    """llama.cpp's server with one file, on loopback; `slots` texts are read at once. It keeps keys and values in 16
    bits, where it is `exact` in 32."""

    def __init__(self, file: Path, context: int, slots: int = 1, threads: int = 1, exact: bool = False) -> None:
        import xllamacpp

        options = xllamacpp.CommonParams()
        options.model.path = str(file)
        options.n_ctx, options.n_parallel = context * slots, slots
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads
        if exact:
            options.cache_type_k = options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        options.verbosity, options.warmup = 0, False
        self.server = xllamacpp.Server(options)
        self.slots = slots
        self.greedy([0])  # a server that is deleted before its loop runs waits for ever (xllamacpp 2026.10)

    def _ask(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.server.listening_address}{path}", json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def ids(self, text: str, whole: bool = False) -> list[int]:
        """The tokens of a text; `whole` with what the file says stands before it."""
        return self._ask("/tokenize", content=text, add_special=whole, parse_special=False)["tokens"]

    def nats(self, rows: list[list[int]]) -> list[list[float]]:
        """-ln p of each token of each row after its first one. The last token of a row is one that ends texts.

        One request a token, since the server prices only what it writes: a bias makes it write the token of the text,
        and the price is that before the bias. What was read for the token before is kept (`cache_prompt`). The server
        does not tell the price of a part of a character; then it ends the text and lists all tokens.
        """

        def priced(row: list[int]) -> list[float]:
            return [self._price(row[:place], row[place], row[-1]) for place in range(1, len(row))]

        with ThreadPoolExecutor(self.slots) as pool:
            return list(pool.map(priced, rows))

    def _price(self, before: list[int], token: int, end: int) -> float:
        asked = {"prompt": before, "n_predict": 1, "temperature": 0, "cache_prompt": True}
        told = self._ask("/completion", **asked, n_probs=1, logit_bias=[[token, 1e6]])
        if "completion_probabilities" not in told:
            told = self._ask("/completion", **asked, n_probs=2**20, logit_bias=[[end, 1e6]])
            told["completion_probabilities"] = told["completion_probabilities"][0]["top_logprobs"]
        return next(-found["logprob"] for found in told["completion_probabilities"] if found["id"] == token)

    def greedy(self, ids: list[int]) -> int:
        """The token that is likeliest after these."""
        asked = {"prompt": ids, "n_predict": 1, "temperature": 0, "return_tokens": True, "cache_prompt": True}
        (token,) = self._ask("/completion", **asked)["tokens"]
        return token
