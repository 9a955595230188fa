"""Train, validation and test by title group: seasons of one story, or equal texts, never stand on both sides.

Which split a group falls into depends on the seed and the groups' names and sizes, not on the rows' order.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from arasuji.corpus import Record
from arasuji.errors import CorpusError

SHARE = 0.05  # of the documents, for validation and for test
MEASURABLE = 100  # from so many documents on, the test split holds at least MINIMUM_TEST
MINIMUM_TEST = 20  # documents: below it, an interval around a score says nothing
MINIMUM = 3  # documents, in any held-out split

_SUBTITLE = re.compile(r"\s*(?::\s|：|\s[-–—~]\s).*", re.DOTALL)
_ROUND = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_SEASON = re.compile(
    r"\s(?:the|\d{1,4}(?:st|nd|rd|th)?|[ivx]+|first|second|third|fourth|fifth|final|season|series|part|cour|"
    r"chapter|episodes?|movies?|film|edition|tv|ova|oad|ona|specials?|recap|pv|cm|zoku|zenpen|kouhen|gekijouban)$"
)


def canonical(records: Sequence[Record]) -> list[Record]:
    """The records by id, numbers in their order, whatever order the rows came in."""
    return sorted(records, key=lambda record: (len(record.id), record.id, record.text))


def group_of(title: str) -> str:
    """The franchise of a title: without subtitle, season, number, year, case, accents and punctuation.

    >>> group_of("Glass Harbour 2nd Season: The Long Tide (TV)")
    'glass harbour'
    """
    head = _normalise(_SUBTITLE.sub("", _ROUND.sub(" ", title))) or _normalise(title)
    while (shorter := _SEASON.sub("", head)) != head:
        head = shorter
    return head


def _normalise(title: str) -> str:
    letters = unicodedata.normalize("NFKD", title.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())


def split(records: Sequence[Record], seed: int) -> tuple[dict[str, tuple[Record, ...]], list[str]]:
    """Split into {"train", "validation", "test"}, groups filled in; with a plain note on each unusual share.

    Raises CorpusError where the groups are too few or too large to fill the held-out splits.
    """
    groups = _group(records)
    waiting = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}\n{group}".encode()).hexdigest())
    taken: dict[str, str] = {}
    notes = []
    for name, (usual, target, minimum) in _targets(len(records)).items():
        chosen = _fill([group for group in waiting if group not in taken], groups, target)
        size = sum(len(groups[group]) for group in chosen)
        if size < minimum:
            raise CorpusError(_cannot_fill(name, minimum, groups))
        if target > usual:
            share = f"{size} documents ({size / len(records):.0%})".replace("%", " %")
            notes.append(f"a small corpus: the {name} split gets {share} instead of {SHARE * 100:.0f} %")
        taken |= dict.fromkeys(chosen, name)
    splits: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
    for group, members in groups.items():
        splits[taken.get(group, "train")] += members
    return {name: tuple(canonical(members)) for name, members in splits.items()}, notes


def _targets(documents: int) -> dict[str, tuple[int, int, int]]:
    """For each held-out split: its usual size, the size wanted, and the least that will do."""
    usual = round(SHARE * documents)
    test = max(usual, min(24, documents // 5), MINIMUM)
    validation = max(usual, min(16, documents // 10), MINIMUM)
    least = MINIMUM_TEST if documents >= MEASURABLE else MINIMUM
    return {"test": (usual, test, least), "validation": (usual, validation, MINIMUM)}


def _fill(waiting: list[str], groups: dict[str, list[Record]], target: int) -> list[str]:
    """Groups in their order until `target` documents are reached; one that overshoots far is passed over."""
    chosen: list[str] = []
    size = 0
    for group in waiting:
        if size < target and size + len(groups[group]) <= target + max(1, target // 4):
            chosen.append(group)
            size += len(groups[group])
    return chosen


def _group(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by group: by title, and equal texts together. A record without a title stands alone."""
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    names = [group_of(record.metadata.get("title", "")) or f"#{record.id}" for record in records]
    first: dict[str, str] = {}
    for record, name in zip(records, names, strict=True):
        low, high = sorted((root(name), root(first.setdefault(record.text, name))))
        parent[high] = low  # the smaller name stands for both, whichever row came first
    groups: dict[str, list[Record]] = defaultdict(list)
    for record, name in zip(records, names, strict=True):
        groups[root(name)].append(replace(record, group=root(name)))
    return groups


def _cannot_fill(name: str, minimum: int, groups: dict[str, list[Record]]) -> str:
    largest = max(groups, key=lambda group: (len(groups[group]), group))
    return (
        f"the {name} split cannot get its {minimum} documents: the titles fall into {len(groups)} groups, "
        f"the largest ({largest!r}) with {len(groups[largest])} documents; is --title-column right?"
    )
