"""What a person does in the Compare room, in a real browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gpt2_shaped
import pytest
from playwright.sync_api import expect

from arasuji import api
from arasuji.studio.rooms import reports as room_of_reports

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}


@pytest.fixture(scope="module")
def folder(corpus, runs, tmp_path_factory) -> Path:
    """Two runs of one corpus, one of another, and one without a model."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    shutil.copytree(runs / "ngram", folder / "five")
    shutil.copytree(runs / "told", folder / "unfinished")
    shutil.rmtree(folder / "unfinished/best")
    list(api.train_events("ngram", corpus, folder / "two", settings=["tokenizer.size=400", "order=2"]))
    few = [{"synopsis": record.text} for record in api.Corpus.load(corpus).train[:200]]
    (folder / "few.jsonl").write_text("".join(json.dumps(one) + "\n" for one in few))
    other = api.prepare([folder / "few.jsonl"], folder / "other-corpus")
    list(api.train_events("ngram", other, folder / "stranger", settings=["tokenizer.size=400"]))
    return folder


@pytest.fixture(scope="module")
def served(folder, serve, tmp_path_factory):
    """A quick comparison scores and writes still less here, and a tiny model reads."""
    reader = gpt2_shaped.make(tmp_path_factory.mktemp("reader") / "base", **gpt2_shaped.TINY)
    patch = pytest.MonkeyPatch()
    quick = ("--documents", "6", "--samples", "2", "--seeds", "1", "--reader", str(reader))
    patch.setattr(room_of_reports, "QUICK", quick)
    with serve(folder) as server:
        yield server
    patch.undo()


@pytest.fixture
def room(open_page, served):
    def opened(**options):
        page = open_page(**options)
        page.goto(f"{served.url}/#compare")
        return page

    return opened


def test_runs_are_chosen_compared_and_their_report_is_read(room):
    page = room()
    button = page.get_by_role("button", name="Compare")
    expect(button).to_be_disabled()
    page.get_by_label("five").check()
    expect(page.get_by_label("stranger")).to_be_disabled()
    expect(page.get_by_text("it was trained on another corpus (other-corpus) than five")).to_be_visible()
    expect(page.get_by_label("unfinished")).to_be_disabled()
    expect(page.get_by_text("it has no validated model yet")).to_be_visible()
    page.get_by_label("two").check()
    page.reload()
    expect(page.get_by_label("two")).to_be_checked()
    button.click()
    expect(page.get_by_text("The comparison goes on without this page.")).to_be_visible()
    expect(button).to_be_disabled()
    expect(page.get_by_role("link", name="open the report")).to_be_visible(timeout=120_000)
    expect(page.locator("article").first).to_contain_text("five, two")
    with page.context.expect_page() as opening:
        page.get_by_role("link", name="open the report").click()
    report = opening.value
    expect(report.get_by_role("heading", name="2 models compared")).to_be_visible()
    ground = "() => getComputedStyle(document.documentElement).backgroundColor"
    before = report.evaluate(ground)
    report.get_by_label("dark").check()
    assert report.evaluate(ground) != before  # its own switch works, though no script may run
    assert report.evaluate("() => origin") == "null"


def test_a_comparison_is_cancelled_by_keyboard(room):
    page = room()
    page.get_by_label("five").focus()
    page.keyboard.press("Space")
    page.get_by_label("two").focus()
    page.keyboard.press("Space")
    page.get_by_label("Quick").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Thorough")).to_be_checked()
    page.get_by_role("button", name="Compare").focus()
    page.keyboard.press("Enter")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    cancel.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("No report was made: a person stopped it.")).to_be_visible()


def test_without_two_models_it_says_to_train_another_one(open_page, serve, tmp_path, runs):
    shutil.copytree(runs / "told", tmp_path / "runs/unfinished")
    shutil.rmtree(tmp_path / "runs/unfinished/best")
    with serve(tmp_path / "runs") as server:
        page = open_page()
        page.goto(f"{server.url}/#compare")
        expect(page.get_by_text("Train two runs.")).to_be_visible()
        expect(page.get_by_text("unfinished: it has no validated model yet.")).to_be_visible()
        expect(page.get_by_role("link", name="The Train room")).to_have_attribute("href", "#train")


def test_a_server_that_is_gone_is_said(open_page, serve, folder):
    with serve(folder) as server:
        page = open_page()
        page.goto(f"{server.url}/#compare")
        expect(page.get_by_label("five")).to_be_visible()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Is the server still running?")).to_be_visible()
    open_page.allow("ERR_CONNECTION_REFUSED")


def test_on_a_phone_nothing_scrolls_sideways(room):
    page = room(viewport=SIZES["phone"], has_touch=True)
    page.get_by_label("five").tap()
    expect(page.get_by_text("it was trained on another corpus")).to_be_visible()
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(room, axe, scheme):
    page = room(color_scheme=scheme, bypass_csp=True)
    page.get_by_label("five").check()
    expect(page.get_by_text("it was trained on another corpus")).to_be_visible()
    assert axe(page) == []
