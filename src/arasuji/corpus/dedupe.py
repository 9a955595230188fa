"""Rules that compare documents with each other: exact duplicates and near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

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
    if not near.SIMILARITY <= similarity <= 1:
        raise OptionError(f"rule 'near-duplicates': similarity = {similarity} is not between {near.SIMILARITY} and 1")
    clusters = near.clusters(records, similarity)
    longest: dict[int, tuple[int, int]] = {}
    for i, (record, cluster) in enumerate(zip(records, clusters.tolist(), strict=True)):
        longest[cluster] = max(longest.get(cluster, (-1, 0)), (len(record.text), -i))
    stays = {-i for _, i in longest.values()}
    return (record.text if i in stays else None for i, record in enumerate(records))
