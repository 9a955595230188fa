"""Texts that repeat others, exactly or nearly, gathered in clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from arasuji.corpus import Record
from arasuji.corpus.dedupe import sum_of
from arasuji.corpus.near import clusters
from arasuji.inspection import Cluster, Duplicates

SHOWN = 100
"""Clusters that are told, the largest first."""
EXAMPLES = 5
"""Texts of a cluster that are shown."""
CLIP = 300
"""Characters of each."""


def repeats(records: Sequence[Record]) -> Duplicates:
    """The duplicates among records, none of which is empty."""
    members: dict[int, list[int]] = defaultdict(list)
    for place, cluster in enumerate(clusters(records).tolist()):
        members[cluster].append(place)
    groups = sorted((group for group in members.values() if len(group) > 1), key=lambda group: (-len(group), group))
    exact = len(records) - len({sum_of(record.text) for record in records})
    near = sum(len(group) - 1 for group in groups) - exact
    return Duplicates(exact, near, len(groups), [_cluster(records, group) for group in groups[:SHOWN]])


def _cluster(records: Sequence[Record], group: list[int]) -> Cluster:
    shown = [records[place] for place in group[:EXAMPLES]]
    titles = [str(record.metadata.get("title", "")) for record in shown]
    return Cluster(len(group), titles, [_clip(" ".join(record.text.split())) for record in shown])


def _clip(text: str) -> str:
    return text if len(text) <= CLIP else text[: CLIP - 1] + "…"
