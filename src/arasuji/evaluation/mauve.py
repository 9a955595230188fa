"""MAUVE (Pillutla et al. 2021): how much of a cloud of written texts and one of real texts is the same, 0 to 1.

A pretrained model turns each text into a point; the points of both clouds are sorted into clusters, and the two
distributions over these are compared. The package mauve-text does so. Its licence is the GPL, so it is an extra that
nothing here needs: `pip install 'arasuji[mauve]'`. Its authors compare 5,000 texts by GPT-2 large; a figure of fewer
texts and a smaller model is to be read beside that of real texts, not beside theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch

from arasuji import bases, device
from arasuji.errors import BaseModelError
from arasuji.evaluation.diversity import Words
from arasuji.evaluation.kept import kept
from arasuji.runs import mark_of

READER = "smollm2-135m"
"""The model that turns texts into points."""
AT_ONCE = 16


def mauve(own: Sequence[Words], real: Sequence[Words]) -> float | None:
    """Of as many texts of each; None where mauve-text or the model that reads is not at hand."""
    if not find_spec("mauve") or (mark := _mark()) is None:
        return None
    texts = [[" ".join(words) for words in some] for some in (own, real)]
    asked = ["mauve", version("mauve-text"), mark, *texts]
    found, _ = kept(asked, lambda: _compared(*texts))
    return float(found)


@cache
def _mark() -> dict[str, str] | None:
    try:
        return mark_of(READER)
    except BaseModelError:
        return None


def _compared(own: list[str], real: list[str]) -> float:
    from mauve import compute_mauve

    points = [_points(tuple(texts)) for texts in (own, real)]
    with _quiet():
        return float(compute_mauve(*points, seed=0, verbose=False).mauve)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines on clusters of few points that faiss, which is no Python, writes to the terminal."""
    before = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@lru_cache(maxsize=4)  # each model is laid beside the same real texts
@torch.inference_mode()
def _points(texts: tuple[str, ...]) -> Any:
    """What the reader has in mind at the end of each text: its last hidden state, (N, D) float32."""
    tokenizer, network = _reader()
    encoded = [tokenizer(text)["input_ids"] or [tokenizer.eos_token_id] for text in texts]
    points = torch.empty(len(texts), network.config.hidden_size)
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        ids = torch.zeros(len(some), len(encoded[some[-1]]), dtype=torch.int64)
        for row, i in zip(ids, some, strict=True):  # pads stand on the right, where no real token looks
            row[: len(encoded[i])] = torch.tensor(encoded[i])
        last = torch.tensor([len(encoded[i]) - 1 for i in some])
        hidden = network(ids.to(network.device)).last_hidden_state
        points[some] = hidden[torch.arange(len(some)), last].float().cpu()
    return points.numpy()


@cache
def _reader() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    folder, _ = bases.find(READER)
    network = AutoModel.from_pretrained(folder, dtype=device.dtype("auto")).eval().to(device.here())
    return AutoTokenizer.from_pretrained(folder), network
