"""The Look inside room in a real browser: a text grows word by word, and shows how."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import Page, expect

from arasuji import api

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}
PROMPT = "A baker of bread walks"


@pytest.fixture(scope="module")
def server(runs, corpus, serve, tmp_path_factory):
    """A server with a small transformer too."""
    folder = tmp_path_factory.mktemp("inside") / "runs"
    shutil.copytree(runs, folder)
    settings = ["tokenizer.size=400", "layers=2", "heads=2", "width=16", "context_length=64", "train.max_length=64"]
    list(api.train_events("gpt2-mini", corpus, folder / "mini", max_steps=2, settings=settings))
    with serve(folder) as running:
        yield running


def begin(page: Page, run: str, words: int = 0) -> None:
    page.get_by_label("Model").select_option(run)
    page.get_by_label("The beginning").fill(PROMPT)
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_role("heading", name="The next word would be")).to_be_visible()
    for count in range(words):
        page.get_by_role("button", name="Next word", exact=True).click()
        expect(page.locator(".text .token")).to_have_count(count + 2)
    idle(page)


def idle(page: Page) -> None:
    """Wait until all words that were asked for are taken."""
    expect(page.locator(".parts[aria-busy=true]")).to_have_count(0)


def test_a_text_grows_by_the_words_that_are_said_before(open_page):
    page = open_page("/#inside")
    begin(page, "told")
    for _ in range(3):
        idle(page)
        said = page.locator(".stages h2").inner_text().partition("“")[2].removesuffix("”")
        before = page.locator(".text .token").count()
        page.get_by_role("button", name="Next word", exact=True).click()
        expect(page.locator(".text .token")).to_have_count(before + 1)
        added = page.locator(".text .token").nth(before - 1).inner_text().strip()
        assert said in (added, "a space", "a part of a character")
    assert "falls into the part of" in page.locator("figcaption").inner_text()
    assert page.locator("tr.drawn").count() == 1


def test_another_word_is_taken_and_a_word_back_is_looked_at_again(open_page):
    page = open_page("/#inside")
    begin(page, "told", words=3)
    page.locator(".text .token").nth(1).click()
    expect(page.get_by_role("heading", name="This word is")).to_be_visible()
    row = page.locator("tbody tr:not(.rest)").nth(2)
    word = row.locator("button").inner_text()
    row.locator("button").click()
    expect(page.locator(".text .token")).to_have_count(3)
    assert page.locator(".text .token").nth(1).inner_text().strip() in (word, "")
    page.locator(".text .token").nth(1).click()
    expect(page.get_by_role("heading", name="was taken; drawn here would be")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.locator(".text .token")).to_have_count(2)
    page.reload()
    expect(page.locator(".text .token")).to_have_count(2)


def test_cuts_are_drawn_and_explained(open_page):
    page = open_page("/#inside")
    begin(page, "told")
    page.get_by_text("How it is written").click()
    page.get_by_label("top-k").fill("3")
    expect(page.get_by_text("top-k 3 keeps 3 tokens")).to_be_visible()
    assert page.locator("tr.out").count() >= 7
    assert page.locator("tr.limit").count() >= 1


def test_attention_is_shown_by_word_and_by_head_and_later_words_are_masked(open_page):
    page = open_page("/#inside")
    begin(page, "mini", words=2)
    page.get_by_role("button", name="What it reads").click()
    tokens = page.locator(".attention .token")
    expect(tokens.first).to_have_text("start")
    tokens.nth(4).click()
    expect(tokens.nth(4)).to_have_class("token chosen")
    assert page.locator(".attention .masked").count() == tokens.count() - 5
    page.get_by_label("Head", exact=True).select_option("1")
    expect(page.get_by_label("Layer", exact=True)).to_have_value("0")
    expect(page.locator(".grid rect.chosen")).to_have_count(1)
    page.get_by_label("the word that is read").check()
    tokens.nth(2).click()
    expect(page.locator(".attention .token.read")).to_have_count(1)
    assert page.locator(".grid rect").count() == 4


def test_gates_cells_and_a_reset_of_an_lstm_are_shown(open_page):
    page = open_page("/#inside")
    begin(page, "told", words=3)
    page.get_by_role("button", name="What it keeps").click()
    tokens = page.locator(".memory .token")
    expect(tokens.first).to_have_text("start")
    expect(page.locator(".bands polyline").first).to_be_visible()
    tokens.nth(4).click()
    expect(page.get_by_role("heading", name="moved these cells most")).to_be_visible()
    page.get_by_role("button", name="cell ").first.click()
    expect(page.get_by_text("The words are tinted by the value of cell")).to_be_visible()
    page.get_by_role("button", name="Empty the memory before").click()
    expect(page.get_by_role("heading", name="With an empty memory")).to_be_visible()
    expect(page.get_by_text("predictions")).to_have_count(2)


def test_a_model_of_counts_says_that_it_has_neither(open_page):
    page = open_page("/#inside")
    begin(page, "ngram")
    expect(page.get_by_text("No attention and no gates here")).to_be_visible()
    expect(page.get_by_role("button", name="What it reads")).to_be_disabled()


def test_a_text_of_the_write_room_is_looked_into_as_it_was_written(open_page):
    page = open_page("/")
    page.locator("#run-0").select_option("told")
    page.locator("#run-1").select_option("")
    page.get_by_label("The beginning").fill(PROMPT)
    page.get_by_text("How it is written").click()
    page.get_by_label("max-length").fill("20")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(".lane > .hint")).to_have_count(1)
    page.locator(".lane .token").nth(3).click()
    page.get_by_role("button", name="Look inside").first.click()
    expect(page.get_by_role("heading", name="This word is")).to_be_visible()
    expect(page.locator(".text .token").nth(3)).to_have_attribute("aria-pressed", "true")
    for place in (0, 5):
        token = page.locator(".text .token").nth(place)
        token.click()
        expect(token).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(300)
        said = page.locator(".stages h2").inner_text().partition("“")[2].removesuffix("”")
        assert said in (token.inner_text().strip(), "a space", "a part of a character")


def test_words_are_taken_and_looked_at_by_keys(open_page):
    page = open_page("/#inside")
    begin(page, "told")
    page.locator("h1").click()
    for count in (2, 3):
        page.keyboard.press("n")
        expect(page.locator(".text .token")).to_have_count(count)
    idle(page)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="This word is")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="The next word would be")).to_be_visible()
    page.keyboard.press("b")
    expect(page.locator(".text .token")).to_have_count(2)


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "desktop")])
def test_nothing_stands_in_the_way_and_nothing_scrolls_sideways(open_page, axe, scheme, size):
    page = open_page("/#inside", color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    for run, part in (("told", "What it keeps"), ("mini", "What it reads"), ("told", "How the word is chosen")):
        begin(page, run, words=1)
        page.get_by_role("button", name=part).click()
        expect(page.get_by_text("Looking…").or_(page.get_by_text("Opening the model"))).to_have_count(0)
        if part == "What it keeps":
            page.get_by_role("button", name="Empty the memory before").click()
            expect(page.get_by_role("heading", name="With an empty memory")).to_be_visible()
        assert axe(page) == []
        assert page.locator("html").evaluate("e => e.scrollWidth") == SIZES[size]["width"]
        page.get_by_role("button", name="How the word is chosen").click()
