"""What is seen in a text: the figures of scoring, the same whatever else is read, and read once."""

from __future__ import annotations

import math

import gpt2_shaped
import numpy as np
import pytest
import torch

from arasuji import bases, device
from arasuji.corpus.sentences import sentences
from arasuji.errors import BaseModelError
from arasuji.evaluation.reader import NUMBERS, Reader
from arasuji.evaluation.score import score
from arasuji.runs import open_model

TEXTS = [
    'The old keeper lights the lamp. "Who is there?" asks the sea! Nobody answers…\n\nA letter, though, arrives.',
    "So.",
    "🌊 A second text is here. It is short.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return gpt2_shaped.make(tmp_path_factory.mktemp("reader") / "base", **gpt2_shaped.TINY)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(bases, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(device, "dtype", lambda precision: torch.float32)
    return tmp_path / "home"


def test_sentences_are_the_whole_text_and_end_where_a_reader_ends_them():
    parts = [TEXTS[0][start:end] for start, end in sentences(TEXTS[0])]
    assert "".join(parts) == TEXTS[0]
    assert [part.strip() for part in parts] == [
        "The old keeper lights the lamp.",
        '"Who is there?"',
        "asks the sea!",
        "Nobody answers…",
        "A letter, though, arrives.",
    ]
    assert [text[a:b] for text in ["海だ。誰？", "no end", ""] for a, b in sentences(text)] == [
        "海だ。",
        "誰？",
        "no end",
    ]


def test_the_surprisal_is_that_of_scoring(folder, home):
    numbers = Reader(str(folder)).read(TEXTS).numbers
    opened = open_model(str(folder), torch.float32)
    scored = score(opened.model, opened.tokenizer, TEXTS)
    for row, nll in zip(numbers, scored.nll, strict=True):
        bits = np.array(nll[:-1]) / math.log(2)  # without the end, which a text that is cut does not have
        assert row[NUMBERS.index("surprisal")] == pytest.approx(bits.mean(), rel=1e-4)
        assert row[NUMBERS.index("surprisal quantile 0.5")] == pytest.approx(np.median(bits), rel=1e-4)


def test_a_text_is_seen_alone_as_among_others(folder, home):
    together = Reader(str(folder)).read(TEXTS)
    for i, text in enumerate(TEXTS):
        for one, same in zip(Reader(str(folder)).read([text]), together, strict=True):
            assert one[0] == pytest.approx(same[i], abs=1e-4)


def test_texts_are_read_once_and_others_are_read(folder, home, monkeypatch):
    first = Reader(str(folder)).read(TEXTS)
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "_read", lambda *_: pytest.fail("read again"))
        for one, same in zip(first, Reader(str(folder)).read(TEXTS), strict=True):
            assert np.array_equal(one, same)
    assert len(Reader(str(folder)).read(TEXTS[:2]).numbers) == 2
    (kept,) = [path for path in home.rglob("*.safetensors") if path.stat().st_size == max(
        other.stat().st_size for other in home.rglob("*.safetensors"))]  # fmt: skip
    kept.write_bytes(b"damaged")
    for one, same in zip(first, Reader(str(folder)).read(TEXTS), strict=True):
        assert one == pytest.approx(same, abs=1e-5)


def test_a_text_that_is_longer_than_the_context_is_read_as_far_as_it_fits(folder, home):
    reading = Reader(str(folder)).read(["word " * 200, ""])
    assert all(np.isfinite(part).all() for part in reading)


def test_a_reader_that_is_not_here_is_refused_at_once(home):
    with pytest.raises(BaseModelError, match="no folder"):
        Reader(str(home / "nowhere"))
