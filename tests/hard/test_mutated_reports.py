"""Reports of `compare --json` that come from elsewhere and were changed: they are shown, or refused in one line."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hard.conftest import Cases
from hard.forked import Ended, Zygote
from hard.mutate import json_bytes, mutated, mutated_json
from reports.test_compare_page import example

REPORT = example()
WAYS = {"page": ("--out", "page.html"), "terminal": (), "json": ("--json",)}


def test_a_changed_report_is_shown_or_refused(cases: Cases, zygote: Zygote, tmp_path: Path) -> None:
    """A report that someone has changed is shown on the terminal and as a page, or refused in one line."""
    for number in range(cases.count(250)):
        content = json_bytes(mutated_json(REPORT, cases.random), cases.random)
        saw(cases, zygote, tmp_path, number, content)


def test_a_report_with_other_figures_is_shown_or_refused(cases: Cases, zygote: Zygote, tmp_path: Path) -> None:
    """A report whose figures, texts and lists are anything that may stand there is shown, or refused in one line."""
    for number in range(cases.count(300)):
        report = bent(REPORT, cases.random)
        saw(cases, zygote, tmp_path, number, json_bytes(report, cases.random))


def bent(report: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The report with a few parts in the place of which there is something of the same kind."""
    report = json.loads(json.dumps(report))
    for _ in range(rng.choice([1, 2, 4])):
        holder, key = rng.choice(list(_parts(report)))
        match holder[key]:
            case None:
                holder[key] = 0
            case int():
                holder[key] = rng.choice([0, 1, 2, 10**6, 2**31, 2**62, None])
            case float():
                holder[key] = rng.choice([0.0, 1.0, 1e-9, 1e-300, 0.5, 1e3, 1e12, -1e12, -0.1, 1e300, None])
            case str():
                holder[key] = rng.choice(
                    ["", "\0\x1b[2J", "</script><b>", "x" * 5000, "\u202e", "{{ 1 }}", "e\u0301" * 99]
                )
            case list():
                holder[key] = rng.choice([[], holder[key][:1], holder[key][::-1], holder[key] * 3])
            case dict():
                holder[key] = rng.choice([None, {}, holder[key]])
    return report


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _parts(inner)


def test_a_damaged_report_is_one_line(cases: Cases, zygote: Zygote, tmp_path: Path) -> None:
    """A report that was damaged on the way is refused in one line, or shown where the damage is in a text of it."""
    whole = json.dumps(REPORT, ensure_ascii=False).encode()
    for number in range(cases.count(150)):
        saw(cases, zygote, tmp_path, number, mutated(whole, cases.random))


def saw(cases: Cases, zygote: Zygote, folder: Path, number: int, content: bytes) -> None:
    """Show a report in one of the ways. What can be shown at all is a page, too: what reads it does so once."""
    way = [*WAYS][number % 3]
    (folder / "report.json").write_bytes(content)
    (folder / "page.html").unlink(missing_ok=True)
    ended = zygote.run(["compare", "--from", "report.json", *WAYS[way]], cwd=folder)
    cases.saw(f"{number}: {way}", ended.problem() or _unfinished(ended, way, folder))


def _unfinished(ended: Ended, way: str, folder: Path) -> str:
    """What is wrong with what was shown."""
    if ended.code == 0 and way == "page" and "</html>" not in (folder / "page.html").read_text("utf-8"):
        return "the page is not whole"
    if ended.code == 0 and way == "json":
        return "" if ended.out.endswith("}\n") else "the JSON is not whole"  # of a page the harness keeps a megabyte
    if ended.code and (folder / "page.html").exists():
        return "it was refused, and there is a page"
    return ""
