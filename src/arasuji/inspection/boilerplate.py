"""Words that many texts share at their beginning or end: source notes, credits, formulas. No list of them is needed.

Boilerplate differs from a common phrase in two ways. It stands at an edge of the text, and its words stand
together far more often than chance would have it (pointwise mutual information; Church and Hanks, "Word association
norms, mutual information, and lexicography", 1990).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from arasuji.corpus import Record
from arasuji.inspection import Phrase

SAMPLE = 20_000
"""Phrases are looked for in at most this many documents, and those that are found are counted in all documents."""
FIRST, LAST = 5, 12
"""Phrases are looked for in this many words and punctuation marks at the beginning of a text, and at its end."""
LONGEST = 8
"""A phrase has at most this many words and punctuation marks."""
SHARE, FEWEST = 0.002, 5
"""A phrase counts if at least this share of the sampled documents have it, and at least this number of them."""
AT_EDGE = 0.6
"""A phrase counts if at least this share of the documents that have it have it at their beginning or end."""
BITS = 2.0
"""The words of a phrase stand together more often than by chance: by a factor of two to this power, for each word after
the first."""
SLACK = 0.5
"""This is subtracted from that power, so that a single word with its punctuation marks can be a phrase if it stands
nearly always in it."""
SAME = 0.7
"""A longer phrase replaces a part of it if at least this share of the documents with the part have the longer one."""
OVERLAP = 0.5
"""A phrase is left out if at least this share of its words stand in a phrase that has been chosen already."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"[^\W\d_]{2}")

Gram = tuple[str, ...]
"""Words and punctuation marks that stand one after another."""


def boilerplate(records: Sequence[Record], most: int = 20) -> list[Phrase]:
    """The phrases that most texts share, most frequent first."""
    step = max(1, math.ceil(len(records) / SAMPLE))
    tokens = [_tokens(record.text) for record in records[::step]]
    found = _sticky(tokens, _at_edges(tokens))
    chosen = sorted(_distinct(found), key=lambda gram: (-found[gram], gram))[:most]
    phrases = [phrase for phrase in _counted(chosen, records) if phrase.documents >= FEWEST]
    return sorted(phrases, key=lambda phrase: (-phrase.documents, phrase.text))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def _grams(tokens: Sequence[str]) -> Iterator[Gram]:
    """All sequences of 2 to LONGEST tokens that begin with no closing mark and hold a word, but none twice."""
    for start in range(len(tokens)):
        if tokens[start] in ".,!?…;:)]\"'”’":
            continue
        for stop in range(start + 2, min(start + LONGEST, len(tokens)) + 1):
            gram = tuple(tokens[start:stop])
            words = _words(gram)
            if words and len(set(words)) == len(words):
                yield gram


def _words(gram: Gram) -> list[str]:
    return [token for token in gram if _WORD.match(token)]


def _at_edges(texts: Sequence[list[str]]) -> dict[Gram, int]:
    """How many texts have a phrase at an edge, for those that enough of them have."""
    counts = Counter(gram for tokens in texts for gram in {*_grams(tokens[:FIRST]), *_grams(tokens[-LAST:])})
    enough = max(FEWEST, SHARE * len(texts))
    return {gram: count for gram, count in counts.items() if count >= enough}


def _sticky(texts: Sequence[list[str]], candidates: dict[Gram, int]) -> dict[Gram, int]:
    """Of the phrases, those that keep to the edges and whose words belong together."""
    anywhere: Counter[Gram] = Counter()
    single: Counter[str] = Counter()
    heads = {gram[:2] for gram in candidates}  # most words open no candidate
    for tokens in texts:
        single.update(set(tokens))
        opening = (i for i, pair in enumerate(pairwise(tokens)) if pair in heads)
        grams = (tuple(tokens[i : i + length]) for i in opening for length in range(2, LONGEST + 1))
        anywhere.update({gram for gram in grams if gram in candidates})
    sticky = {}
    for gram, count in candidates.items():
        words = _words(gram)
        bits = math.log2(count / len(texts)) - sum(math.log2(single[word] / len(texts)) for word in words)
        # What stands in most texts is no surprise, but its words hardly ever stand without each other.
        alone = max(single[word] for word in words)
        together = bits >= BITS * (len(words) - 1) - SLACK or count >= alone * 2**-SLACK
        if together and count >= AT_EDGE * anywhere[gram]:
            sticky[gram] = count
    return sticky


def _distinct(found: dict[Gram, int]) -> list[Gram]:
    """One form of each, those that explain most first: the longest form that nearly all of its documents have."""
    kept: list[Gram] = []
    for gram in sorted(found, key=lambda gram: (-found[gram] * (len(gram) - 1), gram)):
        words = set(_words(gram))
        if not any(len(words & set(_words(other))) >= OVERLAP * len(words) for other in kept):
            longer = [other for other in found if _within(gram, other) and found[other] >= SAME * found[gram]]
            kept.append(max(longer, key=lambda other: (len(other), found[other], other), default=gram))
    return kept


def _within(part: Gram, whole: Gram) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def _counted(grams: Sequence[Gram], records: Iterable[Record]) -> list[Phrase]:
    """Each phrase as it is most often written, how many of all records have it, and at which end most of them."""
    patterns = [re.compile(r"\s*".join(map(re.escape, gram)), re.IGNORECASE) for gram in grams]
    forms: list[Counter[str]] = [Counter() for _ in grams]
    early = [0] * len(grams)
    for record in records:
        for place, pattern in enumerate(patterns):
            if match := pattern.search(record.text):
                forms[place][" ".join(match[0].split())] += 1
                early[place] += match.start() < len(record.text) - match.end()
    counted = zip(forms, early, strict=True)
    return [Phrase(f.most_common(1)[0][0], f.total(), 2 * at_start > f.total()) for f, at_start in counted if f]
