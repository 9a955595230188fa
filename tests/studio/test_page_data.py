"""The Data room in a real browser: rules and their texts, the doctor, TOML to copy, and the texts themselves."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ill_texts import EVIL, NOTE, write_ill
from playwright.sync_api import Locator, Page, expect

from arasuji.corpus import prepare

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}
Opens = Callable[..., Page]


@pytest.fixture(scope="module")
def folder(starter_texts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    prepare([write_ill(starter_texts, folder / "my texts.csv")], folder / "served" / "ill", text_column="told here")
    return folder / "served"


@pytest.fixture(scope="module")
def room(folder, serve) -> Iterator[Any]:
    with serve(folder) as server:
        yield server


@pytest.fixture
def open_room(open_page, room) -> Opens:
    """Opens the room at a place, such as "ill/rules/7"."""

    def opened(place: str = "", **options: Any) -> Page:
        page: Page = open_page(**options)
        page.goto(f"{room.url}/#data/{place}")
        return page

    return opened


def texts(page: Page) -> Locator:
    return page.locator(".texts > li")


def in_sight(page: Page, place: Locator) -> bool:
    return bool(
        place.evaluate("e => { const { top } = e.getBoundingClientRect(); return 0 <= top && top < innerHeight }")
    )


def examined(page: Page) -> None:
    """Let the doctor look, or wait until it has looked."""
    page.get_by_role("link", name="Doctor").click()
    page.get_by_role("button", name=re.compile("^Examine")).click()
    expect(page.get_by_text("words are left to learn from")).to_be_visible(timeout=120_000)


def test_a_rule_shows_the_texts_that_it_touched_and_a_reload_shows_them_again(open_room):
    page = open_room()
    expect(page.get_by_role("heading", name="62 of 67 texts are left")).to_be_visible()
    row = page.get_by_role("row", name=re.compile("^source-notes"))
    expect(row.get_by_role("cell")).to_have_text(["–", "30", "67"])
    row.get_by_role("link").click()
    expect(texts(page)).to_have_count(20)
    expect(texts(page).first.locator("del")).to_contain_text(NOTE)
    assert page.url.endswith("#data/ill/rules/7")
    page.reload()
    expect(texts(page)).to_have_count(20)
    expect(page.get_by_text("Of 67 texts it changed 30.")).to_be_visible()
    page.get_by_role("link", name="markers").click()
    expect(page.get_by_text("This rule touched nothing.")).to_be_visible()
    expect(texts(page)).to_have_count(0)
    page.get_by_role("link", name="words").click()
    expect(texts(page)).to_have_text(["too short"])


def test_j_and_k_go_through_the_texts_but_not_while_somebody_types(open_room):
    page = open_room("ill/rules/1")
    link = page.get_by_role("link", name="source-notes")
    link.focus()
    page.keyboard.press("Enter")
    expect(texts(page)).to_have_count(20)
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        expect(texts(page).nth(place)).to_be_focused()
    for _ in range(25):
        page.keyboard.press("j")
    expect(texts(page).last).to_be_focused()
    assert in_sight(page, texts(page).last)
    page.get_by_role("link", name="Texts").click()
    word = page.get_by_label("A word, or a part of one")
    word.press_sequentially("jack?")
    expect(word).to_be_focused()
    expect(word).to_have_value("jack?")
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_role("dialog")).to_contain_text("the next text")


def test_toml_is_copied_or_selected_where_there_is_no_clipboard(open_room):
    page = open_room("ill/rules/9", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    words = '[[rule]]\nname = "words"\nmin = 10\nmax = 400\ncharacters_per_word = 2\n'
    assert page.evaluate("navigator.clipboard.readText()") == words
    page.get_by_text("The whole rule set").click()
    expect(page.get_by_label("The whole rule set")).to_contain_text('name = "near-duplicates"')

    page = open_room("ill/rules/9")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("It is selected: copy it with Ctrl-C.")).to_be_visible()
    page.wait_for_function("words => getSelection().toString() === words", arg=words)


def test_the_doctor_looks_shows_its_findings_and_knows_them_at_the_next_visit(open_room):
    page = open_room("ill/doctor")
    expect(page.get_by_text("as they were found in my texts.csv")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Examine")).click()
    expect(page.get_by_text("At work: ")).to_be_visible()
    expect(page.get_by_text("words are left to learn from")).to_be_visible(timeout=120_000)
    page.get_by_role("link", name="say where the text is from").click()
    expect(page.get_by_role("heading", name="30 texts say where the text is from")).to_be_visible()
    expect(page.get_by_label("The rule source-notes", exact=True)).to_contain_text('name = "source-notes"')
    expect(page.get_by_text("is one of this corpus's rules")).to_be_visible()
    expect(texts(page).first.locator("del")).to_contain_text(NOTE)
    page.reload()
    expect(page.get_by_role("heading", name="30 texts say where the text is from")).to_be_visible()
    for part in ("Before and after the default rules", "The words"):
        expect(page.get_by_role("table", name=part)).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing can be expected yet")).to_be_visible()
    expect(page.get_by_role("img", name="as found")).to_be_visible()
    page.get_by_role("link", name="Write").click()
    page.go_back()
    expect(page.get_by_role("heading", name="30 texts say where the text is from")).to_be_visible()


def test_texts_are_searched_and_a_text_of_a_stranger_stays_a_text(open_room):
    page = open_room("ill/texts")
    expect(texts(page)).to_have_count(20)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Texts 21 to 40.")).to_be_visible()
    page.get_by_label("A word, or a part of one").fill("The")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Texts 1 to 20.")).to_be_visible()
    expect(texts(page).first.locator("mark").first).to_have_text(re.compile("the", re.IGNORECASE))
    page.reload()
    expect(page.get_by_label("A word, or a part of one")).to_have_value("The")
    page.get_by_label("A word, or a part of one").fill("<zebra>")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No text has it.")).to_be_visible()
    page.get_by_role("link", name="Rules").click()
    page.get_by_role("link", name="html").click()
    expect(texts(page).last).to_contain_text(EVIL)
    assert page.locator("main img, main script").count() == 0


def test_on_a_phone_nothing_scrolls_sideways_and_what_is_chosen_comes_into_view(open_room):
    page = open_room(viewport=SIZES["phone"], has_touch=True)
    page.get_by_role("link", name="source-notes").tap()
    expect(texts(page)).to_have_count(20)
    page.wait_for_function("scrollY > 100")
    assert in_sight(page, page.get_by_role("heading", name="source-notes"))
    for part in ("Rules", "Texts", "Doctor"):
        page.get_by_role("link", name=part).tap()
        expect(page.get_by_role("link", name=part)).to_have_attribute("aria-current", "page")
        assert page.locator("main").evaluate("e => e.scrollWidth") <= 360
    examined(page)
    assert page.locator("main").evaluate("e => e.scrollWidth") <= 360


def test_where_there_is_no_corpus_the_room_says_how_to_make_one(open_page, serve, tmp_path):
    with serve(tmp_path) as empty:
        page = open_page()
        page.goto(f"{empty.url}/#data")
        expect(page.get_by_role("heading", name="No corpus yet")).to_be_visible()
        expect(page.get_by_text("arasuji prepare FILE --out corpora/NAME")).to_be_visible()


def test_a_corpus_that_is_gone_or_damaged_is_named(open_page, serve, folder, tmp_path):
    for name in ("whole", "torn"):
        shutil.copytree(folder / "ill", tmp_path / name)
    (tmp_path / "torn" / "test.jsonl").write_text("", "utf-8")
    with serve(tmp_path) as server:
        page = open_page()
        page.goto(f"{server.url}/#data/hole")
        expect(page.get_by_role("alert")).to_contain_text("no corpus 'hole'; did you mean 'whole'?")
        page.get_by_label("Corpus").select_option("torn")
        expect(page.get_by_role("alert")).to_contain_text("is damaged: make it again")
        page.get_by_label("Corpus").select_option("whole")
        expect(page.get_by_role("heading", name="62 of 67 texts are left")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        page.goto(f"{server.url}/#data/whole/rules/99")
        expect(page.get_by_role("alert")).to_contain_text("there is no rule 99")
    open_page.allow("status of 404", "status of 503")


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "desktop")])
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(open_room, axe, scheme, size):
    page = open_room("ill/rules/2", color_scheme=scheme, viewport=SIZES[size], bypass_csp=True)
    places = {
        "ill/rules/2": texts(page).first,
        "ill/texts": texts(page).first,
        "ill/doctor/1": page.get_by_role("button", name=re.compile("^Examine")),
    }
    for place, what in places.items():
        page.evaluate("place => (location.hash = `data/${place}`)", place)
        expect(what).to_be_visible()
        assert (place, axe(page)) == (place, [])
