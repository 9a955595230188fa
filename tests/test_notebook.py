"""The notebook of the article runs from its first cell to its answer, and is committed as it is before it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from arasuji import bases
from arasuji.errors import BaseModelError

PATH = Path(__file__).parents[1] / "notebooks" / "article.ipynb"
MINUTES = "0.1"
"""Of training: enough for a step of each model."""


@pytest.fixture
def article() -> Any:
    return nbformat.read(PATH, as_version=4)


def _on_this_machine(base: str) -> bool:
    try:
        return bool(bases.find(base, download=False))
    except BaseModelError:
        return False


def test_it_is_valid_has_no_outputs_and_names_its_cells(article):
    nbformat.validate(article)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", cell.id) for cell in article.cells)
    assert len({cell.id for cell in article.cells}) == len(article.cells)
    for cell in article.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count, cell.metadata) == ([], None, {})


def outputs_of(article: Any, name: str) -> list[Any]:
    (cell,) = [cell for cell in article.cells if cell.id == name]
    return cell.outputs


def kinds(article: Any, name: str) -> set[str]:
    """What the outputs of a cell are."""
    return {kind for output in outputs_of(article, name) for kind in output.get("data", [output.get("name")])}


@pytest.mark.notebook
@pytest.mark.timeout(900)
@pytest.mark.skipif(not _on_this_machine("smollm2-135m"), reason="arasuji models get smollm2-135m")
def test_it_runs_from_its_first_cell_to_its_answer(article, tmp_path, monkeypatch):
    monkeypatch.setenv("ARASUJI_NOTEBOOK_MINUTES", MINUTES)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(article, timeout=600, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in article.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}
    for name in ("spoil", "prepare", "lstm-write", "tuned-write", "temperatures", "scores", "report"):
        assert "text/html" in kinds(article, name), name
    for name in ("memory", "robot", "heads"):
        assert "image/svg+xml" in kinds(article, name), name
    for name in ("lstm-curve", "tune", "explain"):
        assert "image/png" in kinds(article, name), name
    for name in ("lstm-train", "tune"):
        assert "stopped at step" in outputs_of(article, name)[0].data["text/plain"]
    (answer,) = outputs_of(article, "answer-words")
    assert "tuned and lstm" in answer.data["text/markdown"]
    assert [path.name for path in tmp_path.iterdir()] == ["article"]
