"""Made-up texts for the corpus tests."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

import pytest

WORDS = [
    "the",
    "old",
    "keeper",
    "harbour",
    "lamp",
    "storm",
    "finds",
    "loses",
    "letter",
    "train",
    "robot",
    "choir",
    "and",
]


def story(seed: int, words: int = 15) -> str:
    """A text of so many words that no other seed has."""
    return " ".join(random.Random(seed).choices(WORDS, k=words - 1)) + f" number{seed}."


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a table of `count` stories, or of given rows, and gives its path."""

    def write(count: int = 40, rows: list[dict[str, str]] | None = None, name: str = "stories.csv") -> Path:
        if rows is None:
            rows = [{"id": str(i), "title": f"Title {story(i, 3)}", "synopsis": story(i)} for i in range(count)]
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
