"""Texts that repeat others, exactly or nearly, gathered in clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from arasuji.corpus import Record
from arasuji.corpus.dedupe import sum_of
from arasuji.corpus.near import clusters
from arasuji.inspection import Cluster, Duplicates
from arasuji.speech import shortened

SHOWN = 100
"""The largest clusters are shown, at most this many."""
EXAMPLES = 5
"""At most this many texts of a cluster are shown."""
CHARACTERS = 300
"""At most this many characters of such a text are shown."""


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
    return Cluster(len(group), titles, [shortened(" ".join(record.text.split()), CHARACTERS) for record in shown])
