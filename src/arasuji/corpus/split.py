"""Train, validation and test by group: seasons of one story, or nearly equal texts, never stand on both sides.

Which split a group falls into depends on the seed and the groups' names and sizes, not on the rows' order (but see
`near` for what its search may miss).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from arasuji.corpus.folder import SPLITS
from arasuji.corpus.record import Record
from arasuji.corpus.sets import DisjointSets
from arasuji.errors import CorpusError

SHARE = 0.05
"""The validation split gets this share of the documents, and so does the test split."""
MEASURABLE = 100
"""In a corpus of at least this many documents, the test split holds at least MINIMUM_TEST."""
MINIMUM_TEST = 20
"""With fewer documents than this in the test split, an interval around a score says nothing."""
MINIMUM = 3
"""The validation split and the test split each hold at least this many documents."""
LONGEST = 1000
"""The franchise is found in this many characters of a title: looking for parts at its end takes the square of them."""

_SUBTITLE = re.compile(r"(?<!\s)\s*(?::\s|：|\s[-–—~]\s).*", re.DOTALL)
_ROUND = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_PARTS = (
    r"\d{1,4}(?:st|nd|rd|th|e|er|a|o)?|[ivx]+|s\d{1,2}|the|first|second|third|fourth|fifth|final|"
    r"(?:sixth|seventh|eighth|ninth|tenth) season|"
    r"(?:volume|vol|book|tome|band|teil|partie|parte|часть) (?:\d{1,3}|[ivx]+)|"
    r"seasons?|series|parts?|cour|chapter|staffel|saison|stagione|temporada|сезон|episodes?|movies?|film|edition|"
    r"remastered|uncut|tv|ovas?|oads?|onas?|sp|specials?|recaps?|pvs?|cms?|pilots?|picture dramas?|"
    r"(?:mini|short) anime|the animation|zoku|zenpen|kouhen|gaiden|omake|soushuuhen|gekijouban|"
    r"(?:tokubetsu|bangai|kanketsu) hen|fanwai(?: pian)?|da dianying"
)
"""What a title says beside the name of its series, in letters without accents."""
_PART = re.compile(rf"\s(?:{_PARTS})$")
_BEFORE = re.compile(r"^(?:gekijouban|eiga)\s(?=\S)")


def group_of(title: str) -> str:
    """The franchise of a title: without subtitle, season, number, year, case, accents and punctuation.

    >>> group_of("Glass Harbour 2nd Season: The Long Tide (TV)")
    'glass harbour'
    >>> group_of("硝子の港 第2期") == group_of("劇場版 硝子の港")
    True
    """
    title = title[:LONGEST]
    head = _normalise(_SUBTITLE.sub("", _ROUND.sub(" ", title))) or _normalise(title)
    head = _cjk().sub("", head) or head
    while (shorter := _PART.sub("", _BEFORE.sub("", head))) != head:
        head = shorter
    return head


@lru_cache
def _cjk() -> re.Pattern[str]:
    """Seasons and films in scripts without spaces: "第2期", "第二季", "シーズン2", "시즌 2", and "劇場版" in front."""
    number = "(?:[0-9]{1,2}|[一二三四五六七八九十]{1,3})"
    seasons, term, film = (_normalise(word) for word in ("シーズン 시즌", "기", "극장판"))
    season = rf"第{number}\s?[期季部章]|{number}(?:期|{term})|(?:{seasons.replace(' ', '|')})\s?{number}|続編"
    return re.compile(rf"^(?:劇場版|映画|{film})\s?(?=\S)|\s?(?:{season})$")


def _normalise(title: str) -> str:
    letters = unicodedata.normalize("NFKD", title.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())


@dataclass(frozen=True)
class Split:
    """Which records go where: for each split their places in canonical order, and for each record its group."""

    places: dict[str, list[int]]
    groups: list[str]
    notes: list[str]
    """A sentence for each split that gets an unusual share."""


def split(records: Sequence[Record], clusters: Sequence[int], seed: int) -> Split:
    """Split by group into train, validation and test. Records of one title, or with the same number in `clusters`
    (equal or nearly equal texts), are of one group.

    Raises CorpusError where the groups are too few or too large to fill the held-out splits.
    """
    names, order = _name_groups(records, clusters)
    sizes = Counter(names)
    waiting = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\n{group}".encode()).hexdigest())
    taken: dict[str, str] = {}
    notes = []
    for name, (usual, target, minimum) in _targets(len(records)).items():
        chosen = _fill([group for group in waiting if group not in taken], sizes, target)
        size = sum(sizes[group] for group in chosen)
        if size < minimum:
            raise CorpusError(_cannot_fill(name, minimum, sizes))
        if target > usual:
            share = f"{size} documents ({size / len(records):.0%})".replace("%", " %")
            notes.append(f"a small corpus: the {name} split gets {share} instead of {SHARE * 100:.0f} %")
        taken |= dict.fromkeys(chosen, name)
    places: dict[str, list[int]] = {name: [] for name in SPLITS}
    for place in order:
        places[taken.get(names[place], "train")].append(place)
    return Split(places, names, notes)


def _targets(documents: int) -> dict[str, tuple[int, int, int]]:
    """For each held-out split: its usual size, the size wanted, and the least that will do."""
    usual = round(SHARE * documents)
    test = max(usual, min(24, documents // 5), MINIMUM)
    validation = max(usual, min(16, documents // 10), MINIMUM)
    least = MINIMUM_TEST if documents >= MEASURABLE else MINIMUM
    return {"test": (usual, test, least), "validation": (usual, validation, MINIMUM)}


def _fill(waiting: list[str], sizes: Mapping[str, int], target: int) -> list[str]:
    """Groups in their order until `target` documents are reached; one that overshoots far is passed over."""
    chosen: list[str] = []
    size = 0
    for group in waiting:
        if size < target and size + sizes[group] <= target + max(1, target // 4):
            chosen.append(group)
            size += sizes[group]
    return chosen


def _name_groups(records: Sequence[Record], clusters: Sequence[int]) -> tuple[list[str], list[int]]:
    """The group of each record, and the places in canonical order: by id, numbers in their order, whatever order the
    rows came in. A record without a title or a twin stands alone."""
    names = [group_of(record.metadata.get("title", "")) or f"#{record.id}" for record in records]
    known = sorted(set(names))  # so that the smallest name stands for a group, whichever row came first
    number_of = {name: number for number, name in enumerate(known)}
    sets = DisjointSets(len(known))
    first: dict[int, int] = {}
    keys = []
    for name, record, cluster in zip(names, records, clusters, strict=True):
        sets.join(number_of[name], first.setdefault(cluster, number_of[name]))
        keys.append((len(record.id), record.id, hashlib.sha256(record.text.encode()).digest()))
    groups = [known[sets.least(number_of[name])] for name in names]
    return groups, sorted(range(len(keys)), key=keys.__getitem__)


def _cannot_fill(name: str, minimum: int, sizes: Mapping[str, int]) -> str:
    largest = max(sizes, key=lambda group: (sizes[group], group))
    return (
        f"the {name} split cannot get its {minimum} documents: the titles fall into {len(sizes)} groups, "
        f"the largest ({largest!r}) with {sizes[largest]} documents; "
        f"--title-column names the column of the titles, or says none"
    )
