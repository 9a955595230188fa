"""Invented texts to inspect, and no pretrained tokenizer: opening one takes seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arasuji.inspection import fit


@pytest.fixture(autouse=True, scope="module")
def no_pretrained_tokenizer() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit.hub, "cached", lambda name: None)
        patch.setattr(fit, "open_folder", lambda folder: None)
        yield


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Writes a row for each text, with more columns where a dict is given."""

    def write(rows: list[Any], name: str = "texts.jsonl") -> Path:
        lines = [json.dumps(row if isinstance(row, dict) else {"text": row}) + "\n" for row in rows]
        path = tmp_path / name
        path.write_text("".join(lines), "utf-8")
        return path

    return write
