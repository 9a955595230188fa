"""The page of JSON's fields has a sentence for each field that there is, and for no other."""

from __future__ import annotations

import re
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from arasuji import api, inspection
from arasuji.cli import evaluate
from arasuji.evaluation.report import Report
from arasuji.evaluation.score import Score

PAGE = Path(__file__).parents[2] / "docs" / "lookup" / "json.md"


@pytest.fixture(scope="module")
def tables() -> dict[str, list[str]]:
    """The fields of each table, by the heading above it."""
    sections = re.split(r"^##+ (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    cells = {
        name: re.findall(r"^\| (`.+?) \| ", text, re.MULTILINE)
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }
    return {name: [field for cell in of for field in re.findall(r"`(\w+)`", cell)] for name, of in cells.items()}


def parts_in(kind: Any, path: str) -> dict[str, type[BaseModel]]:
    """The parts of a report that `kind` holds, by where they stand."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found = {path: kind}
        for name, field in kind.model_fields.items():
            found |= parts_in(field.annotation, f"{path}.{name}".removeprefix("compare."))
        return found
    inner = typing.get_args(kind)
    return {p: k for one in inner for p, k in parts_in(one, path + "[]" * (typing.get_origin(kind) is list)).items()}


def test_every_field_of_a_report_has_a_sentence(tables: dict[str, list[str]]) -> None:
    parts = parts_in(Report, "compare")
    described = {path: tables[path] for path in parts if path in tables}
    for path, names in described.items():
        assert sorted(names) == sorted(parts[path].model_fields), path
    assert {parts[path] for path in described} == {*parts.values()}


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("found, prepared", inspection.Stage),
        ("duplicates", inspection.Duplicates),
        ("boilerplate[]", inspection.Phrase),
        ("vocabulary", inspection.Vocabulary),
        ("tokenizers[]", inspection.Beyond),
        ("findings[]", inspection.Finding),
        ("outlook[]", inspection.Outlook),
    ],
)
def test_every_field_of_an_inspection_has_a_sentence(tables: dict[str, list[str]], heading: str, kind: Any) -> None:
    assert sorted(tables[f"inspect: {heading}"]) == sorted(field.name for field in fields(kind))


def test_every_field_that_evaluate_and_inspect_print_has_a_sentence(
    tables: dict[str, list[str]], starter_texts: list[str], tmp_path: Path
) -> None:
    score = Score(nll=[[1.0]], charges=None, bytes=[4], groups=["a"])
    assert tables["evaluate"] == [*evaluate._as_json(score), "told", "shots"]
    (tmp_path / "few.txt").write_text("\n".join(text.replace("\n", " ") for text in starter_texts[:10]), "utf-8")
    assert tables["inspect"] == [*api.inspect(tmp_path / "few.txt").to_json()]
