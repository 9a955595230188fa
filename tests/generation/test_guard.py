"""No long sequence of words of the training split is written, and nothing else is forbidden."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import tokenizers
from arasuji.corpus import Record
from arasuji.corpus.index import numbered
from arasuji.corpus.script import words_of
from arasuji.corpus.suffixes import sorted_suffixes
from arasuji.generation.guard import CopyRule, Forbidden
from arasuji.generation.pieces import Pieces
from arasuji.generation.words import WordProcessor

WORDS = [
    "an",
    "a",
    "ant",
    "tan",
    "don't",
    "it's",
    "cannot",
    "can",
    "not",
    "i",
    "日本",
    "é",
    "naïve",
    "x-y",
    "the",
    "Then",
]


def text_of(random: random.Random, length: int) -> str:
    return "".join(
        random.choice(WORDS) + random.choice([" ", " ", " ", ", ", ". ", "\n", "-", ""]) for _ in range(length)
    )


def tokenizer_of(name: str, texts: list[str]):
    kind = tokenizers.kind(name)
    options = {"size": 300} if name == "bpe" else {}
    return kind.build(kind.Config(**options), texts)


def sequences(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def copies(written: list[str], before: list[str], size: int, forbidden: set[tuple[str, ...]]) -> bool:
    """Whether a forbidden sequence stands among the words, whose last word does not stand in the prompt."""
    return any(
        sequence in forbidden and written[: i + size] != before[: i + size]
        for i, sequence in enumerate(sequences(written, size))
    )


@pytest.mark.parametrize("name", ["bpe", "word"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), longest=st.integers(1, 3), common=st.integers(1, 4))
def test_a_token_is_forbidden_where_it_completes_a_copy_and_nowhere_else(name, seed, longest, common):
    chance = random.Random(seed)
    texts = [text_of(chance, chance.randint(1, 12)) for _ in range(6)]
    tokenizer = tokenizer_of(name, texts[1:] * 3)  # some words of the first text are unknown words
    suffixes = sorted_suffixes(numbered([Record("", text) for text in texts]))
    having = Counter(sequence for text in texts for sequence in set(sequences(words_of(text), longest + 1)))
    forbidden = {sequence for sequence, count in having.items() if count < common}
    pieces = Pieces(tokenizer)
    guard = WordProcessor(pieces, [CopyRule(Forbidden(suffixes, pieces, longest, common))])
    beginning = text_of(chance, chance.randint(0, 3)).rstrip(chance.choice(" t"))
    prompt, before = tokenizer.encode(beginning), words_of(beginning)
    guard.begin(prompt, beginning, 12)
    never = {tokenizer.end_id, *tokenizer.never_written}
    written: list[int] = []
    for new in range(12):
        scores = torch.zeros(tokenizer.vocabulary_size)
        if tokens := guard.forbidden(new):
            scores[tokens] = float("-inf")
        expected = []
        for token in range(tokenizer.vocabulary_size):
            if token not in never:
                whole = words_of(beginning + tokenizer.continuation(prompt, [*written, token]))
                if copies(whole, before, longest + 1, forbidden):
                    expected.append(token)
        assert (scores == float("-inf")).nonzero()[:, 0].tolist() == expected
        allowed = [token for token in range(tokenizer.vocabulary_size) if token not in never and scores[token] == 0]
        if not allowed:
            return
        follows = chance.choice(allowed) if chance.random() < 0.3 else likely(chance, tokenizer, texts, allowed)
        written.append(follows)
        guard.read(follows)


def likely(chance: random.Random, tokenizer, texts: list[str], allowed: list[int]) -> int:
    """A token that often stands in the texts."""
    some = [token for token in tokenizer.encode(chance.choice(texts)) if token in allowed]
    return chance.choice(some or allowed)
