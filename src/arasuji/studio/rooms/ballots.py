"""The pairs of the arena and the votes on them, in an SQLite file beside the runs."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from arasuji.errors import OptionError
from arasuji.studio.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS pairs (
    id TEXT PRIMARY KEY,
    question TEXT NOT NULL,
    corpus TEXT NOT NULL,
    text TEXT NOT NULL,
    text_group TEXT NOT NULL,
    left_name TEXT NOT NULL,
    left_mark TEXT NOT NULL,
    right_name TEXT NOT NULL,
    right_mark TEXT NOT NULL,
    made TEXT NOT NULL,
    choice TEXT,
    voted TEXT
)
"""
"""`corpus` is its hash; `text` is the id of the held-out text whose beginning is the prompt, `text_group` its group."""
MOST_PAIRS = 100_000
OPEN = timedelta(days=1)
"""A pair may be voted on as long as this."""

Question = Literal["read", "person"]
Choice = Literal["left", "right", "tie", "poor", "void"]


class Side(NamedTuple):
    """Who wrote a text."""

    name: str
    """A run, or `PERSON`."""
    mark: str
    """It changes when the run is trained again: another model is then called so."""


PERSON = Side("a person", "")


class Pair(NamedTuple):
    """A pair, and the vote on it."""

    question: Question
    group: str
    left: Side
    right: Side
    choice: Choice | None


class Ballots:
    """The file. Each change is on the disk when its call returns."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)

    def draw(
        self, question: Question, corpus: str, groups: Mapping[str, str], left: Side, right: Side
    ) -> tuple[str, str]:
        """A new pair, and the text whose beginning it has: one that has stood in the fewest pairs. `groups` has the
        group of each text of the corpus. Raises OptionError where there are too many pairs."""

        def work(connection: sqlite3.Connection) -> tuple[str, str]:
            (count,) = connection.execute("SELECT count(*) FROM pairs").fetchone()
            if count >= MOST_PAIRS:
                raise OptionError(f"{self._database.path} holds {MOST_PAIRS:,} pairs: move it away to begin anew")
            used = dict(
                connection.execute("SELECT text, count(*) FROM pairs WHERE corpus = ? GROUP BY text", (corpus,))
            )
            fewest = min(used.get(text, 0) for text in groups)
            text = secrets.choice([text for text in groups if used.get(text, 0) == fewest])
            pair = secrets.token_urlsafe(16)
            values = pair, question, corpus, text, groups[text], *left, *right, datetime.now(UTC).isoformat()
            connection.execute(f"INSERT INTO pairs VALUES ({'?, ' * len(values)}NULL, NULL)", values)
            return pair, text

        return self._database.do(work)

    def forget(self, pair: str) -> None:
        """Give up a pair whose texts could not be written."""
        self._database.do(lambda c: c.execute("DELETE FROM pairs WHERE id = ?", (pair,)))

    def find(self, pair: str) -> Pair | None:
        """A pair; None where there is none, or it was open for too long."""
        if not self._database.path.exists():
            return None
        since = (datetime.now(UTC) - OPEN).isoformat()
        known = "SELECT * FROM pairs WHERE id = ? AND (choice IS NOT NULL OR made > ?)"
        row = self._database.do(lambda c: c.execute(known, (pair, since)).fetchone())
        return _pair(row) if row else None

    def vote(self, pair: str, choice: Choice) -> bool:
        """Whether the vote was the first one on the pair; another one changes nothing."""
        first = "UPDATE pairs SET choice = ?, voted = ? WHERE id = ? AND choice IS NULL"
        values = choice, datetime.now(UTC).isoformat(), pair
        return self._database.do(lambda c: c.execute(first, values).rowcount) > 0

    def votes(self) -> list[Pair]:
        """All pairs that were voted on, the oldest vote first, without those that are void. Nothing is written where
        there is no file yet."""
        if not self._database.path.exists():
            return []
        voted = "SELECT * FROM pairs WHERE choice IS NOT NULL AND choice <> 'void' ORDER BY voted"
        return [_pair(row) for row in self._database.do(lambda c: c.execute(voted).fetchall())]


def _pair(row: sqlite3.Row) -> Pair:
    left, right = (Side(row[f"{side}_name"], row[f"{side}_mark"]) for side in ("left", "right"))
    return Pair(row["question"], row["text_group"], left, right, row["choice"])
