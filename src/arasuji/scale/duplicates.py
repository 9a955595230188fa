"""Steps that find equal and nearly equal texts of different tasks, with the decisions of `prepare`.

Every text has left what it is compared by: a sum, or the keys and the sketch of its signature (see `near`). Texts whose
sums or keys are equal have to meet in one task: each task takes a share of the sums, or of the bands of the keys. Pairs
with an equal key are compared exactly, so their texts are read from the parts where they lie.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep

from arasuji.corpus.dedupe import longest_of, sum_of
from arasuji.corpus.near import BANDS, join_alike, signatures
from arasuji.corpus.record import Records
from arasuji.corpus.sets import DisjointSets
from arasuji.scale.parts import AllRows, AllTexts, Stage

TYPE = "🫂 - DEDUP"
"""datatrove's word for such steps."""


def save_sums(kept: Records, part: Path) -> None:
    """The sum of each text, (n, 2) uint64."""
    sums = b"".join(sum_of(record.text) for record in kept)
    np.save(part / "sums.npy", np.frombuffer(sums, "<u8").reshape(-1, 2))


def save_signatures(kept: Records, part: Path) -> None:
    """The key of each band and text, (BANDS, n), and of each text its sketch, (n, SKETCH), and its length, (n,)."""
    keys, sketches = signatures(kept)
    np.save(part / "keys.npy", np.ascontiguousarray(keys.T))
    np.save(part / "sketches.npy", sketches)
    np.save(part / "lengths.npy", np.fromiter((len(record.text) for record in kept), np.int64, len(kept)))


class FindDuplicates(PipelineStep):
    """Finds the texts that equal an earlier one: those of a task's share of the sums."""

    type, name = TYPE, "arasuji: duplicates"

    def __init__(self, stage: Stage, texts: Stage) -> None:
        super().__init__()
        self.stage, self.texts = stage, texts

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Write the places of the texts that go, in order."""
        sums, places, begin = [], [], 0
        for part in self.texts.parts():
            all_sums = part.array("sums")
            own = np.flatnonzero(all_sums[:, 0] % world_size == rank)
            sums.append(all_sums[own])
            places.append(own + begin)
            begin += len(all_sums)
        own_sums, own_places = np.concatenate(sums), np.concatenate(places)
        order = np.lexsort(own_sums.T)  # leaves equal sums in the order of their places
        again = (own_sums[order[1:]] == own_sums[order[:-1]]).all(axis=1)
        with self.stage.new_part(rank, {}) as new:
            np.save(new / "removed.npy", np.sort(own_places[order[1:][again]]))


class FindNearDuplicates(PipelineStep):
    """Finds pairs of near-duplicates: those with an equal key in one of a task's bands."""

    type, name = TYPE, "arasuji: near-duplicates"

    def __init__(self, stage: Stage, texts: Stage, similarity: float) -> None:
        super().__init__()
        self.stage, self.texts, self.similarity = stage, texts, similarity

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Write the places of each pair."""
        parts = self.texts.parts()
        texts, sketches = AllTexts(parts), AllRows(parts, "sketches")
        sets = DisjointSets(len(texts))
        pairs: list[tuple[int, int]] = []
        for band in range(rank, BANDS, world_size):
            keys = np.concatenate([part.array("keys")[band] for part in parts])
            pairs += join_alike(sets, keys, sketches.__getitem__, texts, self.similarity)
        with self.stage.new_part(rank, {}) as new:
            np.save(new / "pairs.npy", np.array(pairs, np.int64).reshape(-1, 2))


class JoinPairs(PipelineStep):
    """Joins all pairs to clusters, of each of which the longest text stays: one task."""

    type, name = TYPE, "arasuji: clusters"

    def __init__(self, stage: Stage, texts: Stage, pairs: Stage) -> None:
        super().__init__()
        self.stage, self.texts, self.pairs = stage, texts, pairs

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        """Write the place of the first text of each text's cluster, and the places of the texts that go."""
        lengths = np.concatenate([part.array("lengths") for part in self.texts.parts()])
        sets = DisjointSets(len(lengths))
        for part in self.pairs.parts():
            for one, other in part.array("pairs").tolist():
                sets.join(one, other)
        clusters = sets.numbers()
        with self.stage.new_part(rank, {}) as new:
            np.save(new / "clusters.npy", clusters)
            np.save(new / "removed.npy", np.flatnonzero(~longest_of(clusters, lengths)))
