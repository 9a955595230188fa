"""A small collection with something for most rules to mend, made of the starter corpus's texts."""

from __future__ import annotations

import csv
from pathlib import Path

NOTE = "(Source: Harbour Lights Weekly)"
EVIL = "<img src=x onerror=alert(1)> \u202e {{7*7}} <script>alert(2)</script>"


def write_ill(texts: list[str], path: Path) -> Path:
    """Write them as a table: 60 texts, 30 with a source note, some too short, empty, twice there, or with HTML."""
    told = [f"{text}\n\n{NOTE}" if i % 2 else text for i, text in enumerate(texts[:60])]
    told += ["too short", "TBA", "", f"{texts[60]} <b>and more</b>", f"{texts[61]} {EVIL}", texts[0], texts[2]]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["id", "told here"])
        writer.writerows(enumerate(told))
    return path
