"""The arena in a real browser: by mouse, by keyboard, on a phone; no name is seen before the vote."""

from __future__ import annotations

import json
import re
import shutil

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from arasuji.studio.rooms.arena import Arena
from arasuji.studio.rooms.ballots import PERSON, Side
from arasuji.studio.shelf import Shelf

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}
READ, PERSON_WROTE = "Which would you rather read?", "Which did a person write?"
NAMES = ("ngram", "told", "a person")


@pytest.fixture(scope="module")
def arena(runs, serve, tmp_path_factory):
    """A server whose arena nobody else uses."""
    folder = tmp_path_factory.mktemp("arena") / "runs"
    shutil.copytree(runs, folder, ignore=shutil.ignore_patterns("*.sqlite"))
    with serve(folder) as server:
        yield server


@pytest.fixture
def open_arena(open_page, arena):
    """Opens the room."""

    def opened(**options) -> Page:
        page = open_page("/", **options)
        page.goto(f"{arena.url}/#arena")
        return page

    return opened


def question(page: Page, text: str) -> Locator:
    return page.get_by_role("radio", name=text)


def ask(page: Page, text: str = READ) -> None:
    question(page, text).check()
    page.get_by_role("button", name="First pair").click()
    expect(page.get_by_role("button", name="Cannot tell")).to_be_visible()


def texts(page: Page) -> list[str]:
    return page.locator("article .text").all_inner_texts()


def test_a_pair_is_read_voted_on_and_followed_by_another_one(open_arena):
    page = open_arena()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/pairs") else None)
    ask(page)
    expect(page.get_by_role("heading", name=READ)).to_be_focused()
    first = texts(page)
    prompt = page.locator("article .prompt").first.inner_text()
    assert all(text.startswith(prompt) and text.endswith("…") for text in first)
    around = page.locator("section.pair").inner_text()
    for text in first:  # a text may hold such a word itself
        assert text in around
        around = around.replace(text, "")
    assert not any(name in around for name in NAMES)
    page.get_by_role("button", name="Text 1").click()
    expect(page.get_by_role("status")).to_contain_text("You chose text 1. Text 1 is by ")
    expect(page.get_by_role("button", name="Next pair")).to_be_focused()
    assert texts(page) == first
    named = page.locator("article h3").all_inner_texts()
    assert "your choice" in named[0]
    assert all(any(name in heading for name in NAMES) for heading in named)
    expect(page.locator(".rows li").first).to_contain_text("vote")
    assert len(asked) == 2  # the next pair is written while this one is read
    page.get_by_role("button", name="Next pair").click()
    expect(page.get_by_role("button", name="Cannot tell")).to_be_visible()
    assert texts(page) != first


def test_all_of_it_is_done_by_keyboard(open_arena):
    page = open_arena()
    expect(page.get_by_role("button", name="First pair")).to_be_visible()
    for key, said in (("1", "You chose text 1"), ("2", "You chose text 2"), ("9", "Text 1 is by")):
        page.keyboard.press("n")
        expect(page.get_by_role("button", name="Cannot tell")).to_be_visible()
        page.keyboard.press(key)
        expect(page.get_by_role("status")).to_contain_text(said)
        page.keyboard.press("2")  # a vote is final
    expect(page.locator(".rows")).to_contain_text("both poor")
    page.keyboard.press("Enter")  # the button for the next pair has the focus
    expect(page.get_by_role("button", name="Cannot tell")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the second button
    expect(page.get_by_role("status")).to_contain_text("You chose text 2")


def test_who_wrote_it_cannot_be_answered_by_both_poor(open_arena):
    page = open_arena()
    ask(page, PERSON_WROTE)
    expect(page.get_by_role("button", name="Both poor")).to_have_count(0)
    page.keyboard.press("9")
    page.keyboard.press("0")
    expect(page.get_by_role("status")).to_contain_text("a person")


def test_keys_do_nothing_in_another_room(open_arena):
    page = open_arena()
    ask(page)
    page.get_by_role("link", name="Desk").click()
    expect(page.get_by_role("article")).to_have_count(0)
    page.keyboard.press("1")
    page.get_by_role("link", name="Arena").click()
    expect(page.get_by_role("button", name="Cannot tell")).to_be_visible()


def test_a_pair_that_is_known_does_not_count(open_arena):
    page = open_arena()
    ask(page, PERSON_WROTE)
    before = page.locator("section").last.inner_text()
    page.get_by_role("button", name="I know this one").click()
    expect(page.get_by_role("status")).to_contain_text("does not count")
    page.reload()
    expect(page.get_by_role("button", name="Next pair")).to_be_visible()
    assert page.locator("section").last.inner_text() == before


def test_a_reload_brings_the_pair_back_and_each_question_has_its_own(open_arena):
    page = open_arena()
    ask(page)
    read = texts(page)
    ask(page, PERSON_WROTE)
    page.reload()
    expect(question(page, PERSON_WROTE)).to_be_checked()
    expect(page.get_by_role("button", name="Cannot tell")).to_be_visible()
    assert texts(page) != read
    question(page, READ).check()
    expect(page.get_by_role("heading", name=READ)).to_be_visible()
    assert texts(page) == read


def test_only_models_that_are_ticked_take_part(open_arena):
    page = open_arena()
    page.get_by_text("Who takes part").click()
    page.get_by_label("told").uncheck()
    page.get_by_label("ngram").uncheck()
    expect(page.get_by_role("button", name="First pair")).to_be_disabled()
    page.get_by_label("ngram").check()
    ask(page)
    page.get_by_role("button", name="Cannot tell").click()
    expect(page.get_by_role("status")).to_contain_text("ngram")
    expect(page.get_by_role("status")).to_contain_text("a person")


def test_an_error_is_said_and_the_next_pair_can_be_asked_for(open_arena, open_page, arena):
    page = open_arena()
    ask(page)
    pair = page.evaluate("() => JSON.parse(localStorage.getItem('arasuji.arena.pairs')).read.pair")
    httpx.post(f"{arena.url}/api/arena/votes", json={"pair": pair, "choice": "left"})
    page.get_by_role("button", name="Text 2").click()
    expect(page.get_by_role("alert")).to_contain_text("a vote is final")
    page.get_by_role("button", name="Next pair").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    open_page.allow("status of 409")


def test_the_votes_are_told_in_sentences(open_page, runs, serve, tmp_path):
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("*.sqlite"))
    own = Arena(Shelf(tmp_path / "runs", 1))
    told, ngram = (Side(name, own.contestants()[0][name].mark) for name in ("told", "ngram"))
    groups = {str(i): str(i) for i in range(99)}
    for asked, left, right, won in (("read", told, ngram, 9), ("person", ngram, PERSON, 3)):
        for i in range(12):
            pair, _ = own.ballots.draw(asked, "", groups, left, right)
            own.ballots.vote(pair, "left" if i < won else "right")
    with serve(tmp_path / "runs") as server:
        page = open_page()
        page.goto(f"{server.url}/#arena")
        chosen = r"^told was chosen over ngram in 7\.5 of 10\s+\(4\.\d to 9\.\d\), 12 votes"
        expect(page.locator(".rows")).to_contain_text(re.compile(chosen))
        question(page, PERSON_WROTE).check()
        taken = r"^ngram was taken for a person in 25 % \([78] to 5\d\), 12 votes\. What a judge says"
        expect(page.locator(".rows")).to_contain_text(re.compile(taken))


def test_an_empty_arena_says_what_it_needs_and_which_runs_cannot_take_part(open_page, runs, serve, tmp_path):
    (tmp_path / "runs").mkdir()
    with serve(tmp_path / "runs") as server:
        page = open_page()
        page.goto(f"{server.url}/#arena")
        expect(page.get_by_text("needs two models, or one model and its corpus")).to_be_visible()
        shutil.copytree(runs / "ngram", tmp_path / "runs" / "ngram")
        manifest = tmp_path / "runs" / "ngram" / "manifest.json"
        content = json.loads(manifest.read_text("utf-8"))
        content["corpus"]["folder"] = str(tmp_path / "gone")
        manifest.write_text(json.dumps(content), "utf-8")
        page.reload()
        expect(page.locator(".problem")).to_contain_text("ngram takes no part")


def test_on_a_phone_nothing_scrolls_sideways_and_the_answers_stay_in_sight(open_arena):
    page = open_arena(viewport=SIZES["phone"], has_touch=True)
    ask(page)
    expect(page.get_by_role("button", name="Text 1")).to_be_in_viewport()
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360
    page.get_by_role("button", name="Text 2").tap()
    expect(page.get_by_role("button", name="Next pair")).to_be_in_viewport()
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "desktop")])
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(open_arena, axe, scheme, size):
    page = open_arena(color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    ask(page)
    assert axe(page) == []
    page.get_by_role("button", name="Text 1").click()
    expect(page.get_by_role("button", name="Next pair")).to_be_visible()
    page.get_by_text("How this is measured").click()
    page.get_by_text("Who takes part").click()
    assert axe(page) == []
