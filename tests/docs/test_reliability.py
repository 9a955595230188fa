"""The page on reliability has every promise that tests/hard keeps."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("reliability", DOCS / "reliability.py")
reliability = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reliability)
PROMISES = [promise for _, _, promises in reliability.modules() for promise in promises]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.test)
def test_every_promise_was_tried_in_full_and_kept(promise):
    page = (DOCS / "reliability.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if f"(`{promise.test}`)" in line]
    assert len(rows) == 1, f"run `make hard`: the page has no row of {promise.test}"
    _, text, cases, failures, _ = (cell.strip() for cell in rows[0].split("|"))
    assert promise.text
    assert text == f"{promise.text} (`{promise.test}`)"
    assert int(cases.replace(",", "")) > 0
    assert failures == "0"
