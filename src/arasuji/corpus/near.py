"""Near-duplicates: texts that share most of their shingles, found without comparing every pair.

MinHash signatures (Broder, "On the resemblance and containment of documents", 1997) are cut into bands, and only texts
with an equal band are compared (locality-sensitive hashing; Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", chapter 3). With 48 bands of 4 hashes, a pair of similarity 0.5 has an equal band with probability 0.95, a
pair of 0.6 with 0.999. Such pairs are then compared exactly, so chance does not count. Where many texts have an equal
band, only neighbours are compared, and each text with the first, so that the number of comparisons grows with the
number of texts and not with its square. One pair in twenty at the very limit may be missed, and the order of the rows
may decide which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from rensa import RMinHash

from arasuji.corpus.record import Record
from arasuji.corpus.script import words_of
from arasuji.corpus.sets import DisjointSets
from arasuji.corpus.shingles import shingles

SIMILARITY = 0.5
"""Two texts are near-duplicates if they share at least this part of their shingles (Jaccard: common / all different
ones)."""
SIZE = 3
"""A shingle has this many words."""
BANDS, ROWS = 48, 4
"""A signature is cut into this many bands of this many hashes."""
SEED = 1
"""The hashes of all signatures are drawn with this seed, so that the same texts give the same clusters."""
SKETCH = 64
"""Of this many hashes a byte is kept, for a first guess at the similarity of a pair (Li and König, "b-bit minwise
hashing", 2010)."""
DOUBT = 0.6
"""A pair is compared exactly if its guessed similarity reaches this part of the one that is asked for: one pair in a
thousand is lost by it."""
CHUNK = 1000
"""The signatures of this many texts are computed at once."""


def shingles_of(text: str) -> set[str]:
    """The different shingles of a text: three words each, in lower case and without punctuation; in a script without
    spaces, a character is a word. A shorter text is one shingle; a text without a word is one as it stands."""
    words = words_of(text) or [text.strip()]
    return set(map(" ".join, shingles(words, min(SIZE, len(words)))))


def clusters(records: Sequence[Record], similarity: float = SIMILARITY) -> np.ndarray:
    """For each record the place of the first record of its cluster, (N,) int64; one without near-duplicates is its own.

    A cluster is what is connected: a text that resembles two others joins them.
    """
    sets = DisjointSets(len(records))
    keys, sketches = signatures(records)
    for band in range(BANDS):
        join_alike(sets, keys[:, band], sketches.__getitem__, records, similarity)
    return sets.numbers()


def join_alike(
    sets: DisjointSets,
    keys: np.ndarray,
    sketches: Callable[[np.ndarray], np.ndarray],
    records: Sequence[Record],
    similarity: float,
) -> list[tuple[int, int]]:
    """Join the near-duplicates among the records with an equal key in one band, and return the pairs that joined two
    sets. `keys` are those of the band, (N,); `sketches` gives the sketches at some places, (n,) -> (n, SKETCH)."""
    pairs = []
    for one, other in _meetings(keys, sketches, similarity):
        apart = sets.least(one) != sets.least(other)
        if apart and _similarity(records[one], records[other]) >= similarity:
            sets.join(one, other)
            pairs.append((one, other))
    return pairs


def signatures(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """A 64-bit key for each record and band, (N, BANDS), and a byte of each of its first hashes, (N, SKETCH)."""
    keys, sketches = np.empty((len(records), BANDS), np.uint64), np.empty((len(records), SKETCH), np.uint8)
    left, done = iter(records), 0
    while chunk := [shingles_of(record.text) for record in islice(left, CHUNK)]:
        rows = RMinHash.digest_matrix_from_token_sets(chunk, BANDS * ROWS, SEED).to_rows()
        hashes = np.array(rows, np.uint64)
        keys[done : done + len(chunk)] = _mixed(hashes.reshape(-1, BANDS, ROWS))
        sketches[done : done + len(chunk)] = hashes[:, :SKETCH] & np.uint64(255)
        done += len(chunk)
        chunk.clear()  # before the next one is made
    return keys, sketches


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """The hashes of a band as one number, (..., ROWS) -> (...). Where different bands get one number, the texts are
    compared for nothing."""
    key = np.zeros(hashes.shape[:-1], np.uint64)
    for row in range(ROWS):
        key = (key ^ hashes[..., row]) * np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads the bits
        key ^= key >> np.uint64(32)
    return key


def _meetings(
    keys: np.ndarray, sketches: Callable[[np.ndarray], np.ndarray], similarity: float
) -> Iterable[tuple[int, int]]:
    """Pairs of texts with equal keys: neighbours, and each text with the first one of its key. That is enough to
    connect texts that are alike, since other bands give other pairs. Pairs with different sketches are left out."""
    order = np.argsort(keys, kind="stable")
    equal = keys[order[1:]] == keys[order[:-1]]
    places = np.flatnonzero(equal)
    begins = np.flatnonzero(np.concatenate([[True], ~equal])) if len(order) else places
    firsts = begins[np.searchsorted(begins, places, side="right") - 1]
    ones, others = order[np.concatenate([places, firsts])], order[np.concatenate([places, places]) + 1]
    agree = (sketches(ones) == sketches(others)).sum(axis=1)
    alike = agree >= DOUBT * similarity * SKETCH
    return zip(ones[alike].tolist(), others[alike].tolist(), strict=True)


def _similarity(one: Record, other: Record) -> float:
    a, b = shingles_of(one.text), shingles_of(other.text)
    return len(a & b) / len(a | b)
