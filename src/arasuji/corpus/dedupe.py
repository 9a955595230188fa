"""Rules that compare documents with each other: exact duplicates and near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

from arasuji.corpus import near
from arasuji.corpus.record import Record
from arasuji.corpus.registry import Texts, rule, where
from arasuji.errors import OptionError


def sum_of(text: str) -> bytes:
    """16 bytes that are equal for texts that differ in case and white space alone."""
    return blake2b(" ".join(text.casefold().split()).encode(), digest_size=16).digest()


@rule("duplicates")
def drop_duplicates(records: Iterable[Record]) -> Texts:
    """Removes a text that stood before, but for case and white space; the first one stays."""
    seen: set[bytes] = set()  # of sums, not of texts: they may be millions

    def is_new(record: Record) -> bool:
        key = sum_of(record.text)
        return not (key in seen or seen.add(key))  # type: ignore[func-returns-value]

    return where(records, is_new)


@rule("near-duplicates", compares=True)
def drop_near_duplicates(records: Sequence[Record], similarity: float = near.SIMILARITY) -> Texts:
    """Of each cluster of near-duplicates the longest text stays, the first of equally long ones.

    `similarity` is the share of common shingles of three words, 0.5 to 1, from which on two texts are near-duplicates;
    what is less alike is not found reliably.
    """
    check_similarity(similarity)
    clusters = near.clusters(records, similarity)
    stays = longest_of(clusters, np.fromiter((len(record.text) for record in records), np.int64, len(records)))
    return (record.text if stays[place] else None for place, record in enumerate(records))


def check_similarity(similarity: float) -> None:
    """Raise OptionError where near-duplicates of this similarity are not found reliably."""
    if not near.SIMILARITY <= similarity <= 1:
        raise OptionError(f"rule 'near-duplicates': similarity = {similarity} is not between {near.SIMILARITY} and 1")


def longest_of(clusters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether a text is the longest of its cluster, and the first of equally long ones, (N,) bool; from the number of
    its cluster and its length, (N,) each."""
    order = np.lexsort((-lengths, clusters))  # which leaves texts of equal clusters and lengths in their order
    ordered = clusters[order]
    first = np.ones(len(order), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    stays = np.zeros(len(order), bool)
    stays[order[first]] = True
    return stays
