"""What a person does on the page, in a real browser: by mouse, by keyboard, on a phone, with texts of strangers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

WEB = Path(__file__).parents[2] / "web"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}


def write(page: Page, prompt: str = "A baker", length: int | None = 40) -> None:
    """Ask both models for a text, and wait for its end."""
    page.get_by_label("The beginning").fill(prompt)
    if length:
        page.get_by_text("How it is written").click()
        page.get_by_label("max-length").fill(str(length))
    page.get_by_role("button", name="Write").click()
    expect(page.locator(".lane .hint")).to_have_count(2)


def words(lane: Locator) -> Locator:
    return lane.locator(".text").get_by_role("option")


def texts(page: Page) -> list[str]:
    return page.locator(".text").all_inner_texts()


def test_two_models_write_side_by_side(open_page):
    page = open_page()
    write(page)
    assert all(text.startswith("A baker") and len(text) > 20 for text in texts(page))
    assert page.get_by_label("First model").input_value() == "ngram"
    assert page.get_by_label("Second model").input_value() == "told"


def test_the_same_seed_gives_the_same_text_and_another_one_another(open_page):
    page = open_page()
    write(page)
    first = texts(page)
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("button", name="Undo (1)")).to_have_count(2)
    expect(page.locator(".lane .hint")).to_have_count(2)
    assert texts(page) == first
    page.get_by_role("button", name="Another one").click()
    expect(page.get_by_role("button", name="Undo (2)")).to_have_count(2)
    expect(page.locator(".lane .hint")).to_have_count(2)
    assert texts(page) != first


def test_another_word_is_taken_and_the_old_text_comes_back(open_page):
    page = open_page()
    write(page)
    lane = page.locator(".lane").nth(1)
    before = lane.locator(".text").inner_text()
    words(lane).nth(3).click()
    candidates = lane.locator(".candidates button:enabled")
    expect(candidates.first).to_be_visible()
    other = candidates.nth(2)
    word = other.locator("span").first.inner_text()
    other.click()
    expect(lane.get_by_role("button", name="Undo (1)")).to_be_enabled()
    expect(lane.locator(".hint")).to_have_count(1)
    assert word.strip("⏎ ") in lane.locator(".text").inner_text()
    lane.get_by_role("button", name="Undo (1)").click()
    assert lane.locator(".text").inner_text() == before


def test_all_of_it_is_done_by_keyboard(open_page):
    page = open_page()
    expect(page.get_by_label("The beginning")).to_be_visible()
    reached = []
    while "run-1" not in reached:
        page.keyboard.press("Tab")
        reached.append(page.locator(":focus").evaluate("e => e.id || e.textContent.trim()"))
    assert {"prompt", "Write", "Another one", "run-0"} <= set(reached)
    page.get_by_label("The beginning").fill("A baker")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lane .hint")).to_have_count(2)
    lane = page.locator(".lane").nth(1)
    lane.get_by_role("listbox").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(words(lane).nth(1)).to_have_attribute("aria-selected", "true")
    expect(lane.locator(".candidates button").first).to_be_visible()


def test_escape_stops_and_the_server_writes_no_more(open_page, server):
    page = open_page()
    expect(page.get_by_label("The beginning")).to_be_visible()
    page.get_by_label("Second model").select_option("")
    page.get_by_label("First model").select_option("told")
    page.evaluate(
        "() => localStorage.setItem('arasuji.settings', JSON.stringify({min_length: 4000, max_length: 4000}))"
    )
    page.reload()
    page.get_by_role("button", name="Write").click()
    expect(words(page.locator(".lane").first).nth(5)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    assert server.until_idle() < 5


def test_what_was_typed_survives_a_reload(open_page):
    page = open_page()
    page.get_by_label("The beginning").fill("A night that I have not sent")
    page.get_by_label("Title").fill("The Ice Road")
    page.reload()
    expect(page.get_by_label("The beginning")).to_have_value("A night that I have not sent")
    expect(page.get_by_label("Title")).to_have_value("The Ice Road")


def test_a_text_of_a_stranger_stays_a_text(open_page):
    page = open_page()
    evil = "<img src=x onerror=alert(1)> \u202e{{7*7}} <script>alert(2)</script>"
    write(page, evil)
    assert "<img src=x" in texts(page)[0]
    assert page.locator(".text img, .text script").count() == 0


def test_a_text_that_was_kept_is_on_the_desk_where_it_is_edited_and_deleted(open_page):
    page = open_page()
    write(page)
    text = texts(page)[1].strip()
    lane = page.locator(".lane").nth(1)
    lane.get_by_role("button", name="Keep").click()
    expect(lane.get_by_role("button", name="Kept")).to_be_disabled()
    page.get_by_role("link", name="Desk").click()
    own = page.locator(".kept textarea").last
    expect(own).to_have_value(text)
    own.fill("Another end.")
    page.get_by_role("button", name="Save the change").last.click()
    page.reload()
    own = page.locator(".kept textarea").last
    expect(own).to_have_value("Another end.")
    count = page.locator(".kept").count()
    page.get_by_role("button", name="Delete").last.click()
    expect(page.locator(".kept")).to_have_count(count - 1)


def test_an_error_is_said_where_it_belongs(open_page):
    page = open_page()
    expect(page.get_by_label("Genres")).to_be_visible()
    page.get_by_label("Genres").fill("Dramma")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("alert").first).to_contain_text("did you mean Drama?")
    open_page.problems.clear()  # the browser logs each answer of 400


def test_on_a_phone_nothing_scrolls_sideways(open_page):
    page = open_page(viewport=SIZES["phone"], has_touch=True)
    write(page, "A baker " * 12)
    words(page.locator(".lane").nth(1)).nth(3).tap()
    expect(page.locator(".candidates button").first).to_be_visible()
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360


def test_an_empty_studio_says_what_to_do_first(open_page, serve, tmp_path):
    with serve(tmp_path) as empty:
        page = open_page()
        page.goto(empty.url)
        expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
        expect(page.get_by_text("arasuji demo")).to_be_visible()


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """axe-core, which finds what people with a screen reader or weak eyes stumble over."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("web")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WEB / name, folder)
    subprocess.run(["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"], cwd=folder, check=True)
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(open_page, axe, scheme, size):
    page = open_page(color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    write(page)
    words(page.locator(".lane").nth(1)).nth(3).click()
    expect(page.locator(".candidates button").first).to_be_visible()
    page.evaluate(axe)
    found = page.evaluate("() => axe.run()")
    assert [(problem["id"], problem["nodes"][0]["html"][:200]) for problem in found["violations"]] == []
