"""What the votes of the arena have come to, and what the judge of a report says beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from arasuji.errors import SourceError
from arasuji.evaluation import report
from arasuji.evaluation.preference import ENOUGH, Estimate, Vote, differ, share, strengths
from arasuji.studio.rooms.ballots import PERSON, Pair

SCORES = {"left": 1.0, "right": 0.0, "tie": 0.5, "poor": 0.5}
"""The score of the left one, by the choice."""
FEWEST_RANKED = 3
"""Of two contestants a ranking says no more than their row."""


def preferred(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Of the question which one a person would rather read: a row for each two contestants, and their strengths."""
    by_names: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        first, second = sorted((pair.left.name, pair.right.name))
        by_names[first, second].append(pair)
    rows = [_row(names, own) for names, own in sorted(by_names.items())]
    votes = [_vote(pair) for pair in pairs]
    ranked = {row[name] for row in rows if row["share"] is not None for name in ("first", "second")}
    found = {}
    if len(ranked) >= FEWEST_RANKED:
        found = strengths([vote for vote in votes if {vote.first, vote.second} <= ranked])
    order = sorted(found, key=lambda name: -found[name].share)
    return {"rows": rows, "strengths": [{"name": name, **_figures(found[name])} for name in order]}


def _vote(pair: Pair) -> Vote:
    assert pair.choice
    return Vote(pair.left.name, pair.right.name, SCORES[pair.choice], pair.group)


def _row(names: tuple[str, str], pairs: Sequence[Pair]) -> dict[str, Any]:
    """How often the one that was chosen more often was chosen, of the votes with a choice; the figures are null where
    these are too few."""
    chosen = [pair for pair in pairs if pair.choice in ("left", "right")]
    winners = [pair.left.name if pair.choice == "left" else pair.right.name for pair in chosen]
    first, second = sorted(names, key=lambda name: -winners.count(name))
    found = None
    if len(chosen) >= ENOUGH:
        points = [float(winner == first) for winner in winners]
        found = share(points, [1.0] * len(points), [pair.group for pair in chosen])
    counts = {"votes": len(pairs), **{kind: sum(pair.choice == kind for pair in pairs) for kind in ("tie", "poor")}}
    wins = [winners.count(first), winners.count(second)]
    return {"first": first, "second": second, "wins": wins, **counts, **_figures(found)}


def taken_for_human(pairs: Sequence[Pair], judges: Mapping[str, report.Judged]) -> list[dict[str, Any]]:
    """Of the question which one a person wrote: how often each model's text was taken for the person's, where a vote
    without a choice is half a one; how often you told them apart, and how often the judge did."""
    rows = []
    for name in sorted({side.name for pair in pairs for side in (pair.left, pair.right)} - {PERSON.name}):
        own = [pair for pair in pairs if name in (pair.left.name, pair.right.name)]
        votes = [_vote(pair) for pair in own]
        points = [vote.score if vote.first == name else 1 - vote.score for vote in votes]
        found = share(points, [1.0] * len(own), [pair.group for pair in own]) if len(own) >= ENOUGH else None
        row = {"name": name, "votes": len(own), "tie": sum(pair.choice == "tie" for pair in own), **_figures(found)}
        rows.append(row | {"judge": _beside(found, judges.get(name))})
    return rows


def _beside(found: Estimate | None, judged: report.Judged | None) -> dict[str, Any] | None:
    """How often the judge finds out which of two texts a person wrote, and whether you do so more often or less."""
    if judged is None:
        return None
    judge = Estimate(judged.auroc, judged.auroc_low, judged.auroc_high)
    verdict = None
    if found:
        you = Estimate(1 - found.share, 1 - found.high, 1 - found.low)
        verdict = ("less", "agree", "more")[differ(you, judge) + 1]
    return {**_figures(judge), "verdict": verdict}


def _figures(found: Estimate | None) -> dict[str, float | None]:
    return dict(found._asdict()) if found else dict.fromkeys(Estimate._fields)


def judges_of(folder: Path, corpus_of: Mapping[str, str]) -> dict[str, report.Judged]:
    """The judge's figures of each run, from the latest report of the folder that has them for this run's corpus."""
    found: dict[str, report.Judged] = {}
    files = [(path.stat(), path) for path in folder.glob("*.json") if path.is_file()]
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        corpus, judged = _judged(path, stat.st_mtime_ns, stat.st_size)
        found |= {name: judge for name, judge in judged.items() if corpus_of.get(name) == corpus}
    return found


@lru_cache(64)
def _judged(path: Path, changed: int, size: int) -> tuple[str, dict[str, report.Judged]]:
    """The corpus of a report and its judgements; none where the report cannot be read. It is read again when it has
    changed, and not each time that somebody looks at the arena."""
    try:
        read = report.read(path)
    except SourceError:
        return "", {}
    return read.meta.corpus, {model.name: model.samples.judge for model in read.models if model.samples.judge}
