"""MAUVE (Pillutla et al. 2021): how near the distribution of written texts is to that of real texts, 0 to 1.

A pretrained model turns each text into a vector; the vectors of both kinds are clustered together, and the two
distributions over the clusters are compared. The package mauve-text does so. Its licence is the GPL, so it is an extra
that nothing here needs. Its authors compare 5,000 texts by GPT-2 large; a figure of fewer texts and a smaller model is
to be compared with that of real texts, not with theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from arasuji import bases, device
from arasuji.errors import BaseModelError
from arasuji.evaluation.diversity import Words
from arasuji.evaluation.kept import kept
from arasuji.padding import padded
from arasuji.runs import mark_of

READER = "smollm2-135m"
"""The name of the model that turns texts into vectors."""
AT_ONCE = 16
"""The number of texts that are read at once."""


def missing() -> str:
    """What MAUVE needs and this machine lacks, and how to get it; "" if nothing is missing. Nothing is downloaded."""
    if not find_spec("mauve"):
        return "MAUVE is left out, since it is not installed: `pip install mauve-text` adds it"
    try:
        _reader_folder()
    except BaseModelError:
        return f"MAUVE is left out, since {READER} is not on this machine: `arasuji models get {READER}` fetches it"
    return ""


def mauve(own: Sequence[Words], real: Sequence[Words]) -> float | None:
    """The MAUVE of two sets of as many texts; None where something is missing."""
    if missing():
        return None
    texts = [[" ".join(words) for words in some] for some in (own, real)]
    asked = ["mauve", version("mauve-text"), _mark(), *texts]
    found, _ = kept(asked, lambda: _compared(*texts), float)
    return found


@cache
def _reader_folder() -> Path:
    return bases.find(READER, download=False)[0]


@cache
def _mark() -> dict[str, str]:
    return mark_of(str(_reader_folder()))


def _compared(own: list[str], real: list[str]) -> float:
    from mauve import compute_mauve

    vectors = [_vectors(tuple(texts)) for texts in (own, real)]
    with _quiet():
        return float(compute_mauve(*vectors, seed=0, verbose=False).mauve)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings about small clusters that faiss, which is not Python, writes to the terminal."""
    before = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@lru_cache(maxsize=4)  # each model is compared with the same real texts
@torch.inference_mode()
def _vectors(texts: tuple[str, ...]) -> Any:
    """The reader's last hidden state at the end of each text, (N, D) float32."""
    tokenizer, network = _reader()
    encoded = [tokenizer(text)["input_ids"] or [tokenizer.eos_token_id] for text in texts]
    vectors = torch.empty(len(texts), network.config.hidden_size)
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        ids = padded([encoded[i] for i in some], 0)  # pads stand on the right, where no real token looks
        last = torch.tensor([len(encoded[i]) - 1 for i in some])
        hidden = network(ids.to(network.device)).last_hidden_state
        vectors[some] = hidden[torch.arange(len(some)), last].float().cpu()
    return vectors.numpy()


@cache
def _reader() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    folder = _reader_folder()
    network = AutoModel.from_pretrained(folder, dtype=device.dtype("auto")).eval().to(device.here())
    return AutoTokenizer.from_pretrained(folder), network
