"""docs/bases.md says of every architecture what works: all of it is tried again here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from networks import ARCHITECTURES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def bases():
    """docs/bases.py, which makes the table."""
    spec = importlib.util.spec_from_file_location("bases_page", DOCS / "bases.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def rows() -> dict[str, list[str]]:
    """The rows of the page's table by their architectures."""
    lines = (DOCS / "bases.md").read_text("utf-8").splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("| architecture |")) :]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[: table.index("")]]
    return {row[0]: row for row in cells[2:]}


def test_every_architecture_that_is_tried_has_a_row():
    assert list(rows()) == list(ARCHITECTURES)


@pytest.mark.packages
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_the_page_says_of_an_architecture_is_so(bases, name):
    assert bases.row(name) == rows()[name], "docs/bases.md is out of date: run `python docs/bases.py`"
