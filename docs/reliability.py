"""Writes the tables in reliability.md beside this file: what is promised, and how many cases were tried.

    make hard                                (tries all cases, and then runs this file)
    python docs/reliability.py hard.json     (of a tally that `pytest tests/hard --share 1 --tally hard.json` has made)

Where the tests were run in several parts, all tallies are named; of a test that stands in several, the one with most
cases counts. A promise is the first line of a test's docstring.
"""

from __future__ import annotations

import ast
import datetime
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).with_suffix(".md")
TESTS = Path(__file__).parents[1] / "tests" / "hard"
BEGIN, END = "<!-- written by docs/reliability.py: begin -->", "<!-- end -->"


class Promise(NamedTuple):
    """A test of tests/hard that counts cases."""

    module: str
    test: str
    text: str


def modules() -> Iterator[tuple[str, str, list[Promise]]]:
    """The name of each file with tests, the first line of its docstring, and its promises."""
    for path in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        promises = [
            Promise(path.stem, node.name, _first_line(node))
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            and node.name.startswith("test_")
            and "cases" in {argument.arg for argument in node.args.args}
        ]
        if promises:
            yield path.stem, _first_line(tree), promises


def _first_line(node: ast.Module | ast.FunctionDef) -> str:
    """The first sentence, or the first paragraph where it has no full stop."""
    paragraph = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".:")


def table(tally: list[dict[str, Any]]) -> str:
    """The tables, of what was tried."""
    lines = []
    for module, title, promises in modules():
        lines += [f"### {title}", "", "| Promise | Cases | Failures |", "| --- | ---: | ---: |"]
        for promise in promises:
            rows = [row for row in tally if row["module"] == module and row["test"].partition("[")[0] == promise.test]
            tried, failed = (sum(row[key] for row in rows) for key in ("cases", "failures"))
            lines.append(f"| {promise.text} (`{promise.test}`) | {tried:,} | {failed:,} |")
        lines.append("")
    return "\n".join(lines)


def machine() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unnamed processor'}"


def main() -> None:
    most: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sys.argv[1:]:
        for row in json.loads(Path(path).read_text("utf-8")):
            known = most.get((row["module"], row["test"]))
            if known is None or row["cases"] > known["cases"]:
                most[row["module"], row["test"]] = row
    tally = list(most.values())
    tried, failed = (sum(row[key] for row in tally) for key in ("cases", "failures"))
    minutes = sum(row["seconds"] for row in tally) / 60
    head = (
        f"{tried:,} cases, {failed:,} failures; {datetime.date.today():%d %B %Y}, {machine()}, "
        f"{minutes:.0f} minutes of work.\n"
    )
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{head}\n{table(tally)}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
