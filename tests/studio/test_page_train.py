"""What a person does in the Train room, in a real browser."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 640}}
OPTIONS = (
    "tokenizer.size=400\nhidden=24\nembedding=16\nepochs=10000\npatience=0\nvalidation_documents=4\ncheckpoint_steps=20"
)


@pytest.fixture
def folder(corpus, tmp_path) -> Path:
    shutil.copytree(corpus, tmp_path / "runs/starter")
    return tmp_path / "runs"


@pytest.fixture
def room(open_page, folder, serve):
    """Opens the Train room of a folder with a corpus and no run. At the end no training is left."""
    with serve(folder) as server:

        def opened(where: str = "", **options):
            page = open_page(**options)
            page.goto(f"{server.url}/#train{where}")
            return page

        opened.url = server.url
        yield opened
        with httpx.Client(base_url=server.url, timeout=30) as client:
            for job in client.get("/api/jobs").json():
                client.post(f"/api/jobs/{job['name']}/stop", json={})
            until = time.monotonic() + 60
            while any(job["running"] for job in client.get("/api/jobs").json()):
                assert time.monotonic() < until
                time.sleep(0.1)


@pytest.fixture
def two(folder, runs):
    """Two runs that have ended."""
    for name in ("told", "ngram"):
        shutil.copytree(runs / name, folder / name)


def fill(page, name: str = "evening") -> None:
    page.get_by_label("Preset").select_option("lstm-small")
    page.get_by_label("Corpus").select_option("starter")
    page.get_by_label("Minutes").fill("5")
    page.get_by_label("Name of the run").fill(name)
    page.get_by_text("Options").click()
    page.get_by_label("One KEY=VALUE a line").fill(OPTIONS)


def test_a_training_is_started_watched_stopped_and_resumed_and_goes_on_without_the_page(room):
    page = room()
    fill(page)
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_role("heading", name="evening")).to_be_visible()
    expect(page.get_by_text("The training goes on without this page.")).to_be_visible()
    expect(page.get_by_role("heading", name="What it writes")).to_be_visible()
    expect(page.locator("figure svg .line")).to_have_count(2)
    expect(page.locator("figcaption").first).to_contain_text("bits per byte")
    expect(page.locator("blockquote").first).to_be_visible()
    page.goto("about:blank")
    page = room("/evening")
    expect(page.get_by_text("The training goes on without this page.")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("a person stopped it. Resume continues from step")).to_be_visible()
    step = page.locator(".progress > p").first.inner_text()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    expect(page.get_by_text(step)).to_have_count(0)


def test_an_estimate_says_time_and_memory_before_anything_is_started(room, folder):
    page = room()
    fill(page)
    page.get_by_role("button", name="Estimate").click()
    expect(page.get_by_text("Measuring a few steps…")).to_be_visible()
    expect(page.get_by_text("GB free")).to_be_visible()
    page.reload()
    expect(page.get_by_text("GB free")).to_be_visible()
    page.get_by_label("Minutes").fill("7")  # the estimate is of another training
    expect(page.get_by_text("GB free")).to_have_count(0)
    assert not (folder / "evening").exists()


def test_what_is_wrong_is_said_beside_its_field(room, two, open_page):
    page = room()
    fill(page, "told")
    page.get_by_label("Minutes").fill("0")
    page.get_by_role("button", name="Train").click()
    expect(page.locator("#minutes-about")).to_contain_text("greater than or equal to 0.1")
    expect(page.get_by_label("Minutes")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Minutes").fill("5")
    expect(page.locator("#minutes-about")).not_to_contain_text("greater")
    page.get_by_role("button", name="Train").click()
    expect(page.locator("#name-about")).to_contain_text("told exists already")
    page.get_by_label("Name of the run").fill("new")
    page.get_by_label("One KEY=VALUE a line").fill("hiden=3")
    page.get_by_role("button", name="Train").click()
    expect(page.locator("#settings-about")).to_contain_text("did you mean 'hidden'?")
    open_page.allow("status of 400", "status of 409")


def test_runs_are_ticked_into_one_chart_and_keep_their_colours(room, two):
    page = room()
    page.get_by_label("Show told in the chart").check()
    page.get_by_label("Show ngram in the chart").check()
    names = page.locator("figure").first.locator("svg .name")
    expect(names).to_have_count(2)
    assert sorted(names.all_text_contents()) == ["ngram", "told"]
    expect(page.locator("figcaption").first).to_contain_text("needs the fewest bits per byte")

    def colours() -> list[str]:
        return sorted(names.evaluate_all("all => all.map(e => e.textContent + getComputedStyle(e).fill)"))

    before = colours()
    assert before[0].removeprefix("ngram") != before[1].removeprefix("told")
    page.reload()
    expect(names).to_have_count(2)
    assert colours() == before
    page.get_by_label("Along").select_option("minutes")
    expect(page.get_by_text("minutes of training").first).to_be_visible()
    page.get_by_text("The figures").first.click()
    expect(page.locator("table").first).to_contain_text("told")


def test_the_sample_that_was_chosen_stays_chosen(room, two):
    page = room("/told")
    expect(page.get_by_text("At step 2, validation 2 of 2")).to_be_visible()
    page.locator("#sample").fill("0")
    expect(page.get_by_text("At step 1, validation 1 of 2")).to_be_visible()
    page.reload()
    expect(page.get_by_text("At step 1, validation 1 of 2")).to_be_visible()


def test_a_text_of_a_stranger_stays_a_text(room, two, folder):
    evil = {"step": 9, "prompt": "", "text": "<img src=x onerror=alert(1)> <script>alert(2)</script>"}
    with (folder / "told/samples.jsonl").open("a") as file:
        file.write(json.dumps(evil) + "\n")
    page = room("/told")
    expect(page.locator("blockquote")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("blockquote img, blockquote script").count() == 0


def test_all_of_it_is_done_by_keyboard(room, two):
    page = room()
    expect(page.get_by_role("button", name="Train")).to_be_visible()
    reached = []
    while "told" not in reached:
        page.keyboard.press("Tab")
        reached.append(page.locator(":focus").evaluate("e => e.id || e.textContent.trim()"))
        assert len(reached) < 40
    known = [one for one in reached if one in ("preset", "corpus", "minutes", "name", "Estimate", "told")]
    assert known == [
        "preset", "corpus", "minutes", "name", "Estimate", "told",
    ]  # fmt: skip
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="told")).to_be_visible()
    page.locator("#sample").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("At step 1, validation 1 of 2")).to_be_visible()


def test_a_studio_without_a_corpus_says_what_to_do(open_page, serve, tmp_path):
    with serve(tmp_path / "nothing") as server:
        page = open_page()
        page.goto(f"{server.url}/#train")
        expect(page.get_by_text("No corpus.")).to_be_visible()
        expect(page.get_by_text("arasuji prepare FILE --out corpora/NAME")).to_be_visible()
        expect(page.get_by_text("No run yet.")).to_be_visible()


def test_a_run_that_is_gone_and_a_server_that_is_gone_are_said(open_page, serve, folder):
    with serve(folder) as server:
        page = open_page()
        page.goto(f"{server.url}/#train/nobody")
        expect(page.get_by_role("alert")).to_contain_text("There is no run nobody.")
    page.get_by_label("Preset").wait_for()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Is the server still running?")).to_be_visible()
    open_page.allow("status of 404", "ERR_CONNECTION_REFUSED")


@pytest.mark.parametrize("where", ["", "/told"])
def test_on_a_phone_nothing_scrolls_sideways(room, two, where):
    page = room(where, viewport=SIZES["phone"], has_touch=True)
    page.get_by_label("Show ngram in the chart").check()
    expect(page.locator("figure svg .line").first).to_be_attached()
    page.get_by_text("The figures").first.tap()
    assert page.locator("main").evaluate("e => e.scrollWidth") == 360
    assert page.locator("html").evaluate("e => e.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["", "/told"])
def test_nothing_stands_in_the_way_of_people_who_see_or_move_otherwise(room, two, axe, scheme, where):
    page = room(where, color_scheme=scheme, bypass_csp=True)
    page.get_by_label("Show ngram in the chart").check()
    expect(page.locator("figure svg .line").first).to_be_attached()
    page.get_by_text("The figures").first.click()
    assert axe(page) == []
