"""How long the studio's page takes to appear, and how large it is.

    python bench/page.py URL [--rounds 5]

URL is that of a running `arasuji serve`. Each round opens the page in a new browser without a cache; first paint is
when the browser has drawn the first content, measured by the browser itself from the beginning of the navigation.
"""

from __future__ import annotations

import argparse
import shutil
import statistics

from playwright.sync_api import sync_playwright
from turns import processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    print(processor())
    paints, ready = [], []
    sizes: dict[str, int] = {}
    with sync_playwright() as playwright:
        for _ in range(chosen.rounds):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
            page.goto(chosen.url, wait_until="networkidle")
            paints.append(page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            ready.append(page.evaluate("() => Math.max(...performance.getEntries().map((e) => e.responseEnd ?? 0))"))
            browser.close()
    assets = {url: size for url, size in sizes.items() if url.endswith((".js", ".css"))}
    print(f"first paint {statistics.median(paints):.0f} ms ({min(paints):.0f} to {max(paints):.0f})")
    print(f"last answer {statistics.median(ready):.0f} ms")
    print(f"script and style {sum(assets.values()):,} bytes in {len(assets)} files")


if __name__ == "__main__":
    main()
