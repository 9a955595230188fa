"""Writes the tables in reliability.md beside this file: what is promised, and how many cases were tried.

    make hard                                (tries all cases, and then runs this file)
    python docs/reliability.py hard.json     (of a tally that `pytest tests/hard --share 1 --tally hard.json` has made)

Where the tests were run in several parts, all tallies are named in the order of their making; of a test that stands in
several, the last one counts. A promise is the first line of a test's docstring.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).with_suffix(".md")
TESTS = Path(__file__).parents[1] / "tests" / "hard"
BEGIN, END = "<!-- written by docs/reliability.py: begin -->", "<!-- end -->"
Tally = dict[tuple[str, str], list[dict[str, Any]]]
"""The rows of each test, by its module and its name."""


class Promise(NamedTuple):
    """A test of tests/hard that counts cases, by the fixture `cases` or by one that asks for it."""

    module: str
    test: str
    text: str


def modules() -> Iterator[tuple[str, str, list[Promise]]]:
    """The name of each file with tests, the first line of its docstring, and its promises."""
    for path in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        fixtures = {node.name for node in functions if _is_fixture(node) and _asks_for(node, {"cases"})}
        promises = [
            Promise(path.stem, node.name, _first_line(node))
            for node in functions
            if node.name.startswith("test_") and _asks_for(node, {"cases", *fixtures})
        ]
        if promises:
            yield path.stem, _first_line(tree), promises


def _is_fixture(function: ast.FunctionDef) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list)


def _asks_for(function: ast.FunctionDef, fixtures: set[str]) -> bool:
    return not fixtures.isdisjoint(argument.arg for argument in function.args.args)


def _first_line(node: ast.Module | ast.FunctionDef) -> str:
    """The first sentence, or the first paragraph where it has no full stop."""
    paragraph = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".:")


def tallied(paths: list[Path]) -> Tally:
    """What the tallies say of each test: a row, or several of a test with parameters. Refused are a test that was not
    tried in full, and one whose promise would not stand on the page."""
    tally: Tally = {}
    for path in paths:
        of_file: Tally = {}
        for row in json.loads(path.read_text("utf-8")):
            of_file.setdefault((row["module"], row["test"].partition("[")[0]), []).append(row)
        tally |= of_file
    known = {(promise.module, promise.test) for _, _, promises in modules() for promise in promises}
    for (module, test), rows in tally.items():
        if (module, test) not in known:
            raise SystemExit(f"error: tests/hard/{module}.py has no promise {test}: make its tally again")
        if any(row["share"] < 1 for row in rows):
            raise SystemExit(f"error: {test} was tried in part: make its tally again, with --share 1")
    return tally


def table(tally: Tally) -> str:
    """The tables, of what was tried."""
    lines = []
    for module, title, promises in modules():
        lines += [f"### {title}", "", "| Promise | Cases | Failures |", "| --- | ---: | ---: |"]
        for promise in promises:
            rows = tally.get((module, promise.test), [])
            tried, failed = (sum(row[key] for row in rows) for key in ("cases", "failures"))
            lines.append(f"| {promise.text} (`{promise.test}`) | {tried:,} | {failed:,} |")
        lines.append("")
    return "\n".join(lines)


def machine() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unnamed processor'}"


def main() -> None:
    tally = tallied([Path(path) for path in sys.argv[1:]])
    rows = [row for of_test in tally.values() for row in of_test]
    tried, failed = (sum(row[key] for row in rows) for key in ("cases", "failures"))
    minutes = sum(row["seconds"] for row in rows) / 60
    dates = sorted({row["date"] for row in rows})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    head = f"{tried:,} cases, {failed:,} failures; {days}, {machine()}, {minutes:.0f} minutes of work.\n"
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{head}\n{table(tally)}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
