"""What a person sees in a studio without a model."""

from __future__ import annotations

import json
import shutil
import time

import httpx
import pytest
from playwright.sync_api import expect

from arasuji import files

pytestmark = pytest.mark.slow


@pytest.fixture
def welcome(open_page, serve, tmp_path):
    """Opens the page of an empty studio. At the end no demo is left."""
    with serve(tmp_path / "runs") as server:

        def opened(**options):
            page = open_page(**options)
            page.goto(server.url)
            expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
            return page

        yield opened
        with httpx.Client(base_url=server.url, timeout=30) as client:
            until = time.monotonic() + 60
            while any(job["running"] for job in client.get("/api/jobs").json()):
                client.post("/api/jobs/demo/stop", json={})
                assert time.monotonic() < until
                time.sleep(0.1)


def test_the_demo_is_started_shown_and_cancelled_and_leaves_nothing_where_the_server_was_started(
    welcome, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    page = welcome()
    expect(page.get_by_text("about ten minutes on two cores")).to_be_visible()
    page.get_by_role("button", name="Train the two models of the demo").click()
    expect(page.get_by_text("The demo goes on without this page.")).to_be_visible()
    expect(page.locator("[aria-current=step]")).to_contain_text("Train a small LSTM")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The demo was cancelled.")).to_be_visible()
    expect(page.get_by_role("button", name="Train the two models of the demo")).to_be_enabled()
    assert list((tmp_path / "here").iterdir()) == []
    assert (tmp_path / "runs/corpus").is_dir()


def test_when_both_models_are_there_they_can_write(welcome, runs, tmp_path):
    page = welcome()
    for name in ("told", "ngram"):
        shutil.copytree(runs / name, tmp_path / "runs" / name)
    jobs = tmp_path / "runs/.jobs"
    jobs.mkdir()
    job = {"name": "demo", "verb": "demo", "about": {}, "arguments": [], "pid": 1, "began": 1.0}
    job["process_began"] = files.start_time(1) - 100  # it was another one
    (jobs / "demo.json").write_text(json.dumps(job))
    (jobs / "demo.log").write_text("3. fine-tune: smollm2-135m with LoRA\n\n4. write: the article's eight prompts\n")
    (jobs / "demo.code").write_text("0")
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")  # it looks again
    expect(page.get_by_role("combobox", name="First model")).to_have_value("ngram")
    expect(page.get_by_role("combobox", name="Second model")).to_have_value("told")


def test_texts_of_ones_own_are_spoken_of(welcome):
    page = welcome()
    expect(page.get_by_text("arasuji prepare FILE --out corpora/NAME")).to_be_visible()


def test_on_a_phone_nothing_scrolls_sideways(welcome):
    page = welcome(viewport={"width": 360, "height": 640}, has_touch=True)
    expect(page.get_by_role("button", name="Train the two models of the demo")).to_be_visible()
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(welcome, axe, scheme):
    page = welcome(color_scheme=scheme, bypass_csp=True)
    expect(page.get_by_role("button", name="Train the two models of the demo")).to_be_visible()
    assert axe(page) == []
