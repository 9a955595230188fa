"""The documentation site is whole: no dead link, nothing from another machine, a search that works from the disk, and
on a phone nothing wider than the screen."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import arasuji
from arasuji import models, tokenizers

ROOT = Path(__file__).parents[2]


def named(page: str) -> set[str]:
    """What a page takes from docstrings."""
    return set(re.findall(r"^::: arasuji\.(\S+)$", (ROOT / "docs" / "lookup" / page).read_text("utf-8"), re.MULTILINE))


def test_the_page_of_python_has_every_public_name() -> None:
    assert named("api.md") == set(arasuji.__all__)


def test_the_page_of_configuration_has_every_family_and_every_tokenizer() -> None:
    families = {f"models.{name}.Config" for name in models.families()}
    assert named("configuration.md") >= families | {f"tokenizers.{name}.Config" for name in tokenizers.names()}


class Loaded(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attributes}
        if tag in ("script", "img", "iframe", "source", "video", "audio"):
            self.loaded += [of[name] for name in ("src", "srcset") if name in of]
        elif tag == "link" and of.get("rel") in ("stylesheet", "icon", "preconnect", "preload", "manifest"):
            self.loaded.append(of["href"])
        elif tag == "a" and "href" in of:
            self.linked.append(of["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it: a warning, such as for a dead link, is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 25
    return found


@pytest.mark.site
def test_every_file_that_a_page_loads_or_links_to_is_in_the_site(site: Path, pages: list[Path]) -> None:
    for page in pages:
        if page.name == "404.html":  # its links begin at the root of a server
            continue
        found = Loaded(page)
        for target in found.loaded + [link for link in found.linked if not re.match(r"(https?|mailto):", link)]:
            path = (page.parent / target.partition("#")[0].partition("?")[0]).resolve()
            assert path.exists(), (page.name, target)
            assert path.is_relative_to(site)
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text("utf-8")), style.name


@pytest.mark.site
def test_the_search_works_from_the_disk_and_asks_no_other_machine(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "do" / "gpu.html").as_uri())
    page.get_by_placeholder("Search").click()
    page.keyboard.type("near-duplicates")
    result = page.locator(".md-search-result__link").first
    result.wait_for(timeout=30_000)
    result.click()
    page.wait_for_url(re.compile("near-duplicates|h="))
    assert page.locator("h1").is_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
    page.close()


@pytest.mark.site
def test_pictures_are_light_or_dark_as_the_reader_has_switched_the_site(site: Path, browser: Browser) -> None:
    page = browser.new_page(color_scheme="light")
    page.goto((site / "studio.html").as_uri())
    pictures = page.locator("article img")
    for scheme in ("light", "dark"):
        page.get_by_title(f"Switch to {scheme}").click()
        shown = [str(picture.get_attribute("src")) for picture in pictures.all() if picture.is_visible()]
        assert len(shown) * 2 == pictures.count() > 0
        assert all(f"-{scheme}.png" in source for source in shown)
    page.close()


@pytest.mark.site
def test_on_a_phone_no_page_is_wider_than_the_screen(pages: list[Path], browser: Browser) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": 360, "height": 640}, is_mobile=True, color_scheme=scheme)
        page = context.new_page()
        for path in pages:
            page.goto(path.as_uri())
            width, wide = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
            assert (width, wide) == (360, 360), path.name
        context.close()
