"""The page on reliability has every promise that tests/hard keeps."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("reliability", DOCS / "reliability.py")
reliability = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reliability)
PROMISES = [promise for _, _, promises in reliability.modules() for promise in promises]
PAGE = (DOCS / "reliability.md").read_text("utf-8")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.test)
def test_every_promise_was_tried_in_full_and_kept(promise):
    """In full, since the page takes no other tally."""
    rows = [line for line in PAGE.splitlines() if f"(`{promise.test}`)" in line]
    assert len(rows) == 1, f"run `make hard`: the page has no row of {promise.test}"
    _, text, cases, failures, _ = (cell.strip() for cell in rows[0].split("|"))
    assert promise.text
    assert text == f"{promise.text} (`{promise.test}`)"
    assert int(cases.replace(",", "")) > 0
    assert failures == "0"


def test_the_rows_of_the_page_add_up_to_its_head():
    [head] = re.findall(r"^([\d,]+) cases, [\d,]+ failures", PAGE, re.MULTILINE)
    rows = re.findall(r"^\| .*\(`test_\w+`\) \| ([\d,]+) \| [\d,]+ \|$", PAGE, re.MULTILINE)
    assert sum(int(cases.replace(",", "")) for cases in rows) == int(head.replace(",", ""))


@pytest.fixture
def tally_of(tmp_path):
    def write(name: str, **changes) -> Path:
        row = {"module": "test_kills", "test": PROMISES_OF_KILLS[0], "cases": 7, "failures": 0, "share": 1.0}
        path = tmp_path / name
        path.write_text(json.dumps([row | changes]), "utf-8")
        return path

    return write


PROMISES_OF_KILLS = [promise.test for promise in PROMISES if promise.module == "test_kills"]


def test_of_two_tallies_of_a_test_the_last_one_counts(tally_of):
    [[row]] = reliability.tallied([tally_of("old"), tally_of("new", cases=5, failures=1)]).values()
    assert (row["cases"], row["failures"]) == (5, 1)


def test_a_part_of_the_cases_is_not_taken_for_all(tally_of):
    with pytest.raises(SystemExit, match="tried in part"):
        reliability.tallied([tally_of("whole"), tally_of("tenth", share=0.1)])


def test_a_test_without_a_row_on_the_page_is_an_error(tally_of):
    with pytest.raises(SystemExit, match="has no promise test_of_nothing"):
        reliability.tallied([tally_of("tally", test="test_of_nothing")])


def test_a_test_that_counts_cases_by_another_fixture_is_a_promise():
    assert {"test_power_loss", "test_mutated_folders", "test_mutated_sources"} <= {one.module for one in PROMISES}
    assert "test_a_folder_is_the_old_one_or_the_new_one_after_a_power_loss" in {one.test for one in PROMISES}
