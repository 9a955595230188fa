"""What a person does on the page, in a real browser: by mouse, by keyboard, on a phone, with texts of strangers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}


def write(page: Page, prompt: str = "A baker", length: int | None = 40) -> None:
    """Ask both models for a text, and wait for its end."""
    page.get_by_label("The beginning").fill(prompt)
    if length:
        page.get_by_text("How it is written").click()
        page.get_by_label("max-length").fill(str(length))
    page.get_by_role("button", name="Write", exact=True).click()
    ended(page)


def words(lane: Locator) -> Locator:
    return lane.locator(".text .token")


def texts(page: Page) -> list[str]:
    return page.locator(".lane > .text").all_inner_texts()


def lane_of(page: Page, i: int) -> Locator:
    return page.locator(".lane").nth(i)


def ended(page: Page, count: int = 2) -> None:
    expect(page.locator(".lane[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".lane > .hint")).to_have_count(count)


def test_two_models_write_side_by_side(open_page):
    page = open_page()
    write(page)
    assert all(text.startswith("A baker") and len(text) > 20 for text in texts(page))
    assert page.get_by_label("First model").last.input_value() == "ngram"
    assert page.get_by_label("Second model").last.input_value() == "told"


def test_the_same_seed_gives_the_same_text_and_another_one_another(open_page):
    page = open_page()
    write(page)
    first = texts(page)
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_text("2/2")).to_have_count(2)
    ended(page)
    assert texts(page) == first
    page.get_by_role("button", name="Another one").click()
    expect(page.get_by_text("3/3")).to_have_count(2)
    ended(page)
    assert texts(page) != first


def test_another_word_is_taken_and_the_old_text_is_kept_beside_it(open_page):
    page = open_page()
    write(page)
    lane = lane_of(page, 1)
    before = texts(page)[1]
    words(lane).nth(3).click()
    candidates = lane.locator(".candidates button[aria-disabled=false]")
    expect(candidates.first).to_be_visible()
    other = candidates.nth(2)
    word = other.locator("span").first.inner_text().removesuffix(" ←")
    other.click()
    expect(lane.get_by_text("2/2")).to_be_visible()
    ended(page)
    assert word.strip("⏎ ") in texts(page)[1]
    lane.get_by_role("button", name="The version before").click()
    assert texts(page)[1] == before
    lane.get_by_role("button", name="The version after").click()
    page.get_by_role("button", name="Undo taking another word").click()
    assert texts(page)[1] == before
    expect(lane.locator(".versions")).to_have_count(0)


def test_a_text_goes_on_again_from_a_word_and_in_four_variations(open_page):
    page = open_page()
    write(page)
    lane = lane_of(page, 1)
    before = texts(page)[1]
    lane.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Undo continuing")).to_be_enabled()
    ended(page)
    assert texts(page)[1].startswith(before.rstrip())
    assert len(texts(page)[1]) > len(before)
    words(lane).nth(4).click()
    lane.get_by_role("button", name="Again from here").click()
    expect(lane.get_by_text("2/2")).to_be_visible()
    ended(page)
    beginning = "".join(words(lane).nth(n).inner_text() for n in range(4))
    assert texts(page)[1].startswith("A baker" + beginning)
    lane.get_by_role("button", name="Four variations from the start").click()
    expect(lane.locator(".variation button[aria-disabled=false]")).to_have_count(8)
    wanted = lane.locator(".variation .text").nth(2).inner_text()
    lane.locator(".variation").nth(2).get_by_role("button", name="Take this one").click()
    assert texts(page)[1].strip() == wanted.strip()


def test_an_edited_text_goes_on_from_the_own_words_and_everything_is_undone(open_page):
    page = open_page()
    write(page)
    lane = lane_of(page, 1)
    first = texts(page)[1]
    lane.get_by_role("button", name="Edit").click()
    lane.get_by_label("Edit the text").fill("My own words stand here")
    page.keyboard.press("Escape")
    page.reload()
    expect(lane.get_by_label("Edit the text")).to_have_value("My own words stand here")
    lane.get_by_role("button", name="Done").click()
    assert texts(page)[1] == "My own words stand here"
    lane.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Undo continuing")).to_be_enabled()
    ended(page)
    assert texts(page)[1].startswith("My own words stand here")
    lane.get_by_role("button", name="Keep", exact=True).click()
    expect(lane.get_by_role("button", name="Kept")).to_be_disabled()
    for what in ("keeping", "continuing", "editing"):
        page.get_by_role("button", name=f"Undo {what}").click()
    assert texts(page)[1] == first
    page.get_by_role("link", name="Desk").click()
    expect(page.get_by_text("My own words stand here")).to_have_count(0)


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
    ended(page)
    page.locator("#run-1").focus()
    page.keyboard.press("Tab")  # the text
    lane = lane_of(page, 1)
    page.keyboard.press("w")
    expect(lane.get_by_role("listbox")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(words(lane).nth(1)).to_have_attribute("aria-selected", "true")
    word = words(lane).nth(1).inner_text().strip()
    expect(lane.get_by_role("heading")).to_contain_text(f"“{word}”")
    expect(lane.locator(".candidates button").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(lane.locator(".candidates button[aria-disabled=false]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(lane.get_by_text("2/2")).to_be_visible()
    ended(page)
    page.keyboard.press("u")
    expect(lane.get_by_text("2/2")).to_have_count(0)
    page.keyboard.press("x")
    expect(lane.get_by_role("button", name="Rejected")).to_be_disabled()
    page.keyboard.press("u")
    expect(lane.get_by_role("button", name="Reject", exact=True)).to_be_enabled()


def test_keys_do_nothing_in_a_field_and_can_be_switched_off(open_page):
    page = open_page()
    write(page, "A baker kux")
    expect(page.get_by_role("button", name="Kept")).to_have_count(0)
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("undo the last thing")
    page.get_by_label("Letter keys are on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("k")
    page.wait_for_timeout(300)
    expect(page.get_by_role("button", name="Kept")).to_have_count(0)


def test_a_text_is_kept_once_however_fast_the_keys_come_and_undone_before_the_answer(open_page):
    page = open_page()
    write(page)
    before = texts(page)[1]
    page.locator(".lane").nth(1).locator(".text").focus()
    for _ in range(3):
        page.keyboard.press("k")
    page.keyboard.press("u")
    assert texts(page)[1] == before
    page.keyboard.press("k")
    expect(lane_of(page, 1).get_by_role("button", name="Kept")).to_be_disabled()
    page.wait_for_load_state("networkidle")
    page.get_by_role("link", name="Desk").click()
    own = page.locator(".kept textarea")
    expect(own.first).to_be_visible()
    assert [area.input_value() for area in own.all()].count(before.strip()) == 1


def test_a_text_that_cannot_be_written_leaves_nothing_and_the_other_lane_writes(open_page):
    page = open_page()
    page.locator("#run-0").select_option("told")
    page.locator("#run-1").select_option("ngram")
    page.get_by_label("The beginning").fill("A baker")
    page.get_by_label("Genres").fill("Dramma")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("did you mean Drama?")
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(lane_of(page, 1).locator(".hint")).to_have_count(1)
    lane_of(page, 0).get_by_role("button", name="Write with it anyway").click()
    expect(lane_of(page, 0).locator(":scope > .hint")).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)
    open_page.allow("status of 400")


def test_two_tabs_have_texts_of_their_own(open_page):
    page = open_page()
    page.get_by_label("The beginning").fill("One tab")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_label("The beginning")).to_have_value("One tab")
    other.get_by_label("The beginning").fill("Another tab")
    page.reload()
    expect(page.get_by_label("The beginning")).to_have_value("One tab")
    other.reload()
    expect(other.get_by_label("The beginning")).to_have_value("Another tab")


def test_what_is_typed_on_the_desk_survives_until_it_is_saved(open_page):
    page = open_page()
    write(page)
    lane_of(page, 1).get_by_role("button", name="Keep", exact=True).click()
    page.wait_for_load_state("networkidle")
    page.get_by_role("link", name="Desk").click()
    page.locator(".kept textarea").last.fill("A draft.")
    page.get_by_role("link", name="Write").click()
    page.get_by_role("link", name="Desk").click()
    page.reload()
    expect(page.locator(".kept textarea").last).to_have_value("A draft.")
    expect(page.get_by_text("not saved yet")).to_have_count(1)
    page.get_by_role("button", name="Save the change").last.click()
    expect(page.get_by_text("not saved yet")).to_have_count(0)
    page.get_by_role("button", name="Delete").last.click()


def test_a_full_server_is_asked_again_by_itself_or_is_not(open_page, serve, runs):
    with serve(runs) as full:
        full.app.state.writers.most = 0
        page = open_page()
        page.goto(full.url)
        page.get_by_label("The beginning").fill("A baker")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.get_by_role("alert").first).to_contain_text("Trying again in")
        page.get_by_role("button", name="Cancel").first.click()
        expect(page.get_by_role("button", name="Write", exact=True)).to_be_enabled()
    open_page.allow("status of 429")


def test_escape_stops_and_the_server_writes_no_more(open_page, server, calls):
    page = open_page()
    expect(page.get_by_label("The beginning")).to_be_visible()
    page.locator("#run-1").select_option("")
    page.locator("#run-0").select_option("told")
    page.evaluate(
        "() => sessionStorage.setItem('arasuji.settings', JSON.stringify({min_length: 4000, max_length: 4000}))"
    )
    page.reload()
    page.get_by_role("button", name="Write", exact=True).click()
    expect(words(lane_of(page, 0)).nth(5)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    server.until_idle()
    assert calls["step"] < 4000


def test_what_was_typed_and_written_survives_a_reload(open_page):
    page = open_page()
    page.get_by_label("The beginning").fill("A night that I have not sent")
    page.get_by_label("Title", exact=True).fill("The Ice Road")
    write(page, "A night that I have not sent", None)
    text = texts(page)
    page.reload()
    expect(page.get_by_label("The beginning")).to_have_value("A night that I have not sent")
    expect(page.get_by_label("Title", exact=True)).to_have_value("The Ice Road")
    assert texts(page) == text


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
    lane = lane_of(page, 1)
    lane.get_by_role("button", name="Keep", exact=True).click()
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
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("did you mean Drama?")
    open_page.allow("status of 400")


def test_on_a_phone_the_text_comes_into_view_stop_is_at_hand_and_nothing_scrolls_sideways(open_page):
    page = open_page(viewport=SIZES["phone"], has_touch=True)
    expect(page.get_by_label("The beginning")).to_be_visible()
    page.evaluate(
        "() => sessionStorage.setItem('arasuji.settings', JSON.stringify({min_length: 4000, max_length: 4000}))"
    )
    page.reload()
    page.get_by_role("button", name="Write", exact=True).tap()
    expect(page.locator(".tabs")).to_be_in_viewport()
    stop = page.locator(".now").get_by_role("button", name="Stop")
    expect(stop).to_be_in_viewport()
    stop.tap()
    expect(page.locator(".now")).to_have_count(0)
    page.get_by_text("How it is written").tap()
    page.get_by_role("button", name="As each run recommends").tap()
    page.get_by_text("How it is written").tap()
    write(page, "A baker " * 12)
    page.get_by_role("button", name="told", exact=True).tap()
    words(lane_of(page, 1)).nth(3).tap()
    expect(page.locator(".candidates button").first).to_be_visible()
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360


def test_an_empty_studio_says_what_to_do_first(open_page, serve, tmp_path):
    with serve(tmp_path) as empty:
        page = open_page()
        page.goto(empty.url)
        expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
        expect(page.get_by_text("arasuji demo")).to_be_visible()


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "desktop")])
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(open_page, axe, scheme, size):
    page = open_page(color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    write(page)
    if size == "phone":
        page.get_by_role("button", name="told", exact=True).click()
    words(lane_of(page, 1)).nth(3).click()
    expect(page.locator(".candidates button").first).to_be_visible()
    assert axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_while_it_is_full_or_wrong_or_varied_or_edited(open_page, axe, serve, runs, scheme):
    page = open_page(color_scheme=scheme, bypass_csp=True)
    write(page)
    lane = lane_of(page, 1)
    lane.get_by_role("button", name="Four variations").click()
    expect(lane.locator(".variation button[aria-disabled=false]")).to_have_count(8)
    lane.get_by_role("button", name="Edit").click()
    expect(lane.get_by_label("Edit the text")).to_be_focused()
    lane_of(page, 0).locator(".text").focus()
    page.keyboard.press("w")
    expect(lane_of(page, 0).get_by_role("listbox")).to_be_visible()
    page.get_by_text("Words and length").click()
    assert axe(page) == []
    page.locator("h1").click()
    page.keyboard.press("?")
    assert axe(page) == []
    with serve(runs) as full:
        full.app.state.writers.most = 0
        page.goto(full.url)
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.get_by_role("alert").first).to_contain_text("Trying again in")
        assert axe(page) == []
        full.app.state.writers.most = 2
        page.get_by_role("button", name="Cancel").first.click()
        page.get_by_label("Genres").fill("Dramma")
        page.get_by_label("Second model").last.select_option("")
        page.get_by_label("First model").last.select_option("told")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.get_by_role("alert").first).to_contain_text("did you mean")
        assert axe(page) == []
    open_page.allow("status of 429", "status of 400")


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "desktop")])
def test_the_routes_are_described_without_another_site(open_page, axe, scheme, size):
    page = open_page("/docs", color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    expect(page.get_by_role("heading", name="POST /v1/completions")).to_be_visible()
    expect(page.get_by_role("row", name="max_tokens")).to_contain_text("integer (1 to")
    assert axe(page) == []
    assert page.locator("html").evaluate("e => e.scrollWidth") == SIZES[size]["width"]


def test_what_was_deleted_from_the_desk_is_put_back_and_a_corpus_needs_twenty_texts(open_page):
    page = open_page()
    write(page)
    lane_of(page, 1).get_by_role("button", name="Keep", exact=True).click()
    expect(lane_of(page, 1).get_by_role("button", name="Kept")).to_be_disabled()
    page.get_by_role("link", name="Desk").click()
    expect(page.locator(".kept").first).to_be_visible()
    count = page.locator(".kept").count()
    page.get_by_role("button", name="Delete").last.click()
    expect(page.locator(".kept")).to_have_count(count - 1)
    page.get_by_role("button", name="Put it back").click()
    expect(page.locator(".kept")).to_have_count(count)
    expect(page.get_by_text("it needs 20, and you have")).to_be_visible()
    expect(page.get_by_role("button", name="Make the corpus")).to_be_disabled()
    page.get_by_role("button", name="Delete").last.click()
