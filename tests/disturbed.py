"""Texts with a fault that a reader sees, and a count of words may not: what a judge of texts must put in order."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from arasuji.corpus.sentences import sentences


def _pieces(text: str) -> tuple[list[str], list[str]]:
    """The sentences of a text, and the white space after each of them."""
    found = [text[start:end] for start, end in sentences(text)]
    return [part.rstrip() for part in found], [part[len(part.rstrip()) :] for part in found]


def _joined(parts: Sequence[str], gaps: Sequence[str]) -> str:
    return "".join(part + gap for part, gap in zip(parts, gaps, strict=True))


def foreign_sentence(texts: Sequence[str], rng: random.Random) -> list[str]:
    """The first or the second sentence of each text is one of the next text."""
    found = []
    for text, other in zip(texts, [*texts[1:], texts[0]], strict=True):
        parts, gaps = _pieces(text)
        parts[rng.randrange(min(2, len(parts)))] = rng.choice(_pieces(other)[0])
        found.append(_joined(parts, gaps))
    return found


def shuffled_sentences(texts: Sequence[str], rng: random.Random) -> list[str]:
    """The sentences of each text in another order."""
    return [_joined(rng.sample(parts, len(parts)), gaps) for parts, gaps in map(_pieces, texts)]


def swapped_names(texts: Sequence[str], rng: random.Random) -> list[str]:
    """Every name is a name of any text: a word with a capital that stands in small letters in none of them."""
    small = {word for text in texts for word in re.findall(r"[^\W\d_]+", text) if word.islower()}
    words = re.compile(r"\b[A-Z][^\W\d_]{2,}\b")
    names = [name for text in texts for name in words.findall(text) if name.lower() not in small]

    def swapped(found: re.Match[str]) -> str:
        return found[0] if found[0].lower() in small else rng.choice(names)

    return [words.sub(swapped, text) for text in texts]


def shuffled_words(texts: Sequence[str], rng: random.Random) -> list[str]:
    """The words of each text in another order; what parts them stays."""
    found = []
    for text in texts:
        words = iter(rng.sample(text.split(), len(text.split())))
        found.append(re.sub(r"\S+", lambda _, words=words: next(words), text))
    return found


DISTURBED: dict[str, Callable[[Sequence[str], random.Random], list[str]]] = {
    "names swapped": swapped_names,
    "sentences shuffled": shuffled_sentences,
    "one sentence of another text": foreign_sentence,
    "words shuffled": shuffled_words,
}
"""What is told least surely from real texts comes first."""
