"""Makes the pictures of the documentation anew: each room of the studio, light and dark, on a desktop and a phone, and
the beginnings of the two reports.

    python docs/screenshots.py RUNS

RUNS is what `arasuji demo --out RUNS` has made. Its texts come from the starter corpus, which is CC0.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

OUT = Path(__file__).parent / "studio"
REPORTS = Path(__file__).parent / "learn"
SIZES = {"desktop": (1280, 800), "phone": (360, 640)}
WRITTEN = ".lane[aria-busy=true]"


def write(page: Page) -> None:
    page.get_by_label("The beginning").fill("A lighthouse keeper")
    page.get_by_role("button", name="Write", exact=True).click()
    page.wait_for_selector(".lane .token")
    page.wait_for_selector(WRITTEN, state="detached", timeout=120_000)
    page.locator(".lane.active .token").nth(4).click()
    page.wait_for_selector(".candidates")


def inside(page: Page) -> None:
    page.get_by_label("Model").select_option(label="lstm (lstm)")
    page.get_by_label("The beginning").fill("A lighthouse keeper finds")
    page.get_by_role("button", name="Ten tokens").click()
    page.wait_for_function("() => document.querySelectorAll('.text .token').length > 10", timeout=60_000)


def reads(page: Page) -> None:
    transformer = page.get_by_label("Model").locator("option", has_text="(transformer)").first
    page.get_by_label("Model").select_option(value=transformer.get_attribute("value"))
    page.get_by_label("The beginning").fill("The robot took the cup because it was")
    page.get_by_role("button", name="Start again").click()
    page.get_by_role("button", name="What it reads").click()
    page.locator(".attention .token", has_text=" it").first.click(timeout=60_000)
    page.get_by_label("the word that is read").check()
    page.locator(".attention .token", has_text=" robot").first.click()
    page.locator(".attention figcaption button").click()


def keeps(page: Page) -> None:
    inside(page)
    page.get_by_role("button", name="What it keeps").click()
    page.locator(".memory .token").nth(4).click(timeout=60_000)
    page.get_by_role("button", name="Empty the memory").click()
    page.wait_for_selector("text=With an empty memory")


def arena(page: Page) -> None:
    page.get_by_role("button", name="First pair").click()
    page.get_by_role("button", name="Text 1").click(timeout=120_000)
    page.wait_for_timeout(500)


def data(page: Page) -> None:
    page.get_by_role("link", name="words", exact=True).click()
    page.wait_for_timeout(500)


def train(page: Page) -> None:
    page.get_by_role("link", name="lstm", exact=True).first.click()
    page.wait_for_timeout(1000)


def still(page: Page) -> None:
    page.wait_for_timeout(500)


ROOMS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "write": ("write", write),
    "inside-choice": ("inside", inside),
    "inside-attention": ("inside", reads),
    "inside-memory": ("inside", keeps),
    "arena": ("arena", arena),
    "data": ("data/corpus", data),
    "train": ("train", train),
    "compare": ("compare", still),
    "desk": ("desk", still),
}


def main() -> None:
    runs = Path(sys.argv[1]).resolve()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "arasuji", "serve", "--runs", str(runs), "--port", str(port)])
    try:
        url = f"http://127.0.0.1:{port}"
        wait(url)
        keep(url)
        OUT.mkdir(exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for size, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    for name, (room, act) in ROOMS.items():
                        context = browser.new_context(
                            color_scheme=scheme,
                            viewport={"width": width, "height": height},
                            has_touch=width < 500,
                            is_mobile=width < 500,
                            reduced_motion="reduce",
                        )  # type: ignore[arg-type]
                        page = context.new_page()
                        page.goto(f"{url}/#{room}", wait_until="networkidle")
                        act(page)
                        place = OUT / f"{name}-{size}-{scheme}.png"
                        page.screenshot(path=place, full_page=True)
                        compress(place)
                        context.close()
            reports(browser, runs)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def reports(browser: Browser, runs: Path) -> None:
    """The first screen of what `inspect` and `compare` write."""
    with TemporaryDirectory() as folder, resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as texts:
        inspected = Path(folder) / "inspect.html"
        subprocess.run([sys.executable, "-m", "arasuji", "inspect", texts, "--out", inspected], check=True)
        for name, path in {"inspect": inspected, "compare": runs / "report.html"}.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 800})
                page.goto(path.as_uri())
                place = REPORTS / f"{name}-{scheme}.png"
                page.screenshot(path=place)
                compress(place)
                page.close()


def compress(place: Path) -> None:
    Image.open(place).quantize(256).save(place, optimize=True)
    print(place.name)


def keep(url: str) -> None:
    """Put two texts on the desk, unless some are there."""
    if not httpx.get(f"{url}/api/desk").json():
        for seed in (1, 2):
            asked = {"model": "lstm", "prompt": "After years", "seed": seed, "max_tokens": 60, "echo": True}
            text = httpx.post(f"{url}/v1/completions", json=asked, timeout=60).json()["choices"][0]["text"]
            httpx.post(f"{url}/api/desk", json={"text": text, "run": "lstm"}).raise_for_status()


def wait(url: str) -> None:
    while True:
        try:
            httpx.get(f"{url}/api/jobs")
            return
        except httpx.ConnectError:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
