"""What a pretrained model sees in texts, which it reads as they are written: case, punctuation and spacing included.

Of each text: the hidden states of several layers, averaged over its tokens, and numbers that say how much the text
surprises the reader (as in GLTR; Gehrmann et al. 2019) and how many bits its sentences are spared by the sentences
before them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from arasuji import bases, device
from arasuji.corpus import Progress
from arasuji.corpus.sentences import sentences
from arasuji.errors import StorageError
from arasuji.folders import new_folder, open_folder, seal
from arasuji.padding import padded
from arasuji.runs import TrainedModel, mark_of, open_model

FEATURES = 2
"""The version of what is seen in a text: it is raised when this changes, so that texts are read anew."""
LAYERS = 4
"""The number of layers whose hidden states are taken; the last layer is one of them."""
BATCH_TOKENS = 2048
"""The most tokens that are read at once, pads included."""
CHUNK = 128
"""The number of tokens whose scores are held at once in float32."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
RANKS = (1, 10, 100, 1000)
NUMBERS = (
    *("surprisal", "surprisal spread", *(f"surprisal quantile {part}" for part in QUANTILES), "entropy"),
    *(f"rank {rank} or better" for rank in RANKS),
    *("spared", "spared at least", "spared spread"),
)
"""The numbers of a text: bits a token, and shares of its tokens. `spared` is what a sentence takes alone less what it
takes after the sentences before it: the mean of all sentences but the first, the least of them, and their spread."""


class Reading(NamedTuple):
    """What was seen in N texts."""

    hidden: np.ndarray
    """(N, layers x width) float32: the hidden states, averaged over the tokens of a text."""
    numbers: np.ndarray
    """(N, len(NUMBERS)) float32."""


class _Tokens(NamedTuple):
    """What was seen at each of the T tokens of a row."""

    bits: np.ndarray
    """(T,): -log2 p of the token."""
    entropy: np.ndarray
    """(T,): the bits that were expected."""
    rank: np.ndarray
    """(T,): 1 for the likeliest token."""
    hidden: np.ndarray
    """(layers x width,): the mean of all tokens."""


class Reader:
    """A pretrained model that reads and learns nothing. It is opened when it has something to read."""

    def __init__(self, name: str) -> None:
        """`name` is that of a base model, or its folder.

        Raises:
            BaseModelError: the model is not on this machine; nothing is downloaded.
        """
        bases.find(name, download=False)
        self.name = name

    def read(self, texts: Sequence[str], progress: Progress = lambda what, done, total: None) -> Reading:
        """What is seen in the texts. It is kept in the cache folder, so that the same texts are read once."""
        asked = json.dumps([FEATURES, str(device.dtype("auto")), self._mark, list(texts)], sort_keys=True)
        place = bases.home() / "readings" / hashlib.sha256(asked.encode()).hexdigest()[:24]
        with suppress(OSError, SafetensorError, TypeError):
            if found := open_folder(place, "reading.safetensors"):
                return Reading(**load_file(found[0] / "reading.safetensors"))
        reading = self._read(texts, progress)
        with suppress(StorageError), new_folder(place) as target:  # where nothing may be written, nothing is kept
            save_file(reading._asdict(), target / "reading.safetensors")
            seal(target, {})
        return reading

    @cached_property
    def _mark(self) -> dict[str, str]:
        return mark_of(self.name)

    @cached_property
    def _opened(self) -> TrainedModel:
        opened = open_model(self.name, device.dtype("auto"))
        opened.model.to(device.here()).eval()
        return opened

    def _read(self, texts: Sequence[str], progress: Progress) -> Reading:
        """Every text is read, and then each sentence but its first one alone, with the same tokens."""
        rows = [self._ids(text) for text in texts]
        places = [self._sentences(text, len(row)) for text, row in zip(texts, rows, strict=True)]
        later = [(i, start, end) for i, found in enumerate(places) for start, end in found[1:]]
        whole: dict[int, _Tokens] = {}
        spared: list[list[float]] = [[] for _ in texts]
        total = len(rows) + len(later)
        for i, seen in self._seen(rows):
            whole[i] = seen
            progress(f"{self.name}: reading", len(whole), total)
        for done, (place, alone) in enumerate(self._seen([rows[i][start:end] for i, start, end in later])):
            i, start, end = later[place]
            spared[i].append(float(alone.bits.mean() - whole[i].bits[start:end].mean()))
            progress(f"{self.name}: reading", len(rows) + done + 1, total)
        seen_in = [whole[i] for i in range(len(texts))]
        numbers = np.array([_numbers(seen, bits) for seen, bits in zip(seen_in, spared, strict=True)], np.float32)
        return Reading(np.stack([seen.hidden for seen in seen_in]), numbers)

    def _ids(self, text: str) -> list[int]:
        """The tokens of a text, as many as fit into the context after a start token; an end token for no text."""
        limit = self._opened.model.context_length
        ids = self._opened.tokenizer.encode(text) or [self._opened.tokenizer.end_id]
        return ids if limit is None else ids[: limit - 1]

    def _sentences(self, text: str, count: int) -> list[tuple[int, int]]:
        """Where each sentence begins and ends among the first `count` tokens; the space before a token goes with it."""
        last = np.array([end for _, end in self._opened.tokenizer.spans(text)])
        edges = np.minimum(np.searchsorted(last, [end for _, end in sentences(text)], side="right"), count)
        return [(start, end) for start, end in zip([0, *edges], [*edges, count], strict=True) if start < end]

    @torch.inference_mode()
    def _seen(self, rows: Sequence[list[int]]) -> Iterator[tuple[int, _Tokens]]:
        """What is seen in each row of tokens after a start token, with the row's place; the short ones come first."""
        network: Any = self._opened.model.network
        start = self._opened.tokenizer.start_id
        for some in _batches(rows):
            ids = padded([[start, *rows[i]] for i in some], start).to(device.here())
            states = network.base_model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
            layers = [states[round((k + 1) * (len(states) - 1) / LAYERS)] for k in range(LAYERS)]
            lengths = [len(rows[i]) for i in some]
            before = torch.cat([states[-1][row, :length] for row, length in enumerate(lengths)])
            wanted = torch.cat([ids[row, 1 : length + 1] for row, length in enumerate(lengths)])
            figures = _at_tokens(network.get_output_embeddings(), before, wanted).split(lengths, 1)
            for row, (i, length) in enumerate(zip(some, lengths, strict=True)):
                hidden = torch.cat([layer[row, 1 : length + 1] for layer in layers], -1).float()
                yield i, _Tokens(*(part.cpu().numpy() for part in (*figures[row], hidden.mean(0))))


def _batches(rows: Sequence[list[int]]) -> Iterator[list[int]]:
    """The places of rows of about the same length."""
    some: list[int] = []
    for i in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        if some and (len(some) + 1) * (len(rows[i]) + 1) > BATCH_TOKENS:
            yield some
            some = []
        some.append(i)
    if some:
        yield some


def _at_tokens(head: Any, hidden: Tensor, wanted: Tensor) -> Tensor:
    """The bits of each token, the bits that were expected, and its rank, (3, T); hidden (T, D), wanted (T,). All chunks
    have one size: with products of many sizes the process takes more memory (docs/log.md)."""
    parts, over = [], -len(hidden) % CHUNK
    hidden, filled = F.pad(hidden, (0, 0, 0, over)), F.pad(wanted, (0, over))
    for states, tokens in zip(hidden.split(CHUNK), filled.split(CHUNK), strict=True):
        log_p = head(states).float().log_softmax(-1).clamp(min=-1e4)
        own = log_p.gather(-1, tokens[:, None])
        rank = (log_p > own).sum(-1) + 1
        entropy = -torch.linalg.vecdot(log_p.exp(), log_p)
        parts.append(torch.stack([-own[:, 0] / math.log(2), entropy / math.log(2), rank]))
    return torch.cat(parts, 1)[:, : len(wanted)]


def _numbers(seen: _Tokens, spared: Sequence[float]) -> list[float]:
    """`NUMBERS` of a text; a text of one sentence is spared nothing."""
    spread = spared or [0.0]
    return [
        *(seen.bits.mean(), seen.bits.std(), *np.quantile(seen.bits, QUANTILES), seen.entropy.mean()),
        *(np.mean(seen.rank <= rank) for rank in RANKS),
        *(np.mean(spread), np.min(spread), np.std(spread)),
    ]
