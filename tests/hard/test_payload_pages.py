"""Texts and names that are weapons (see payloads.py), in a browser: pages of reports, and each room of the studio."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hard.payloads import NAMES, PAYLOADS
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route
from reports.conftest import FACTS, example
from reports.test_compare_page import report as compared  # noqa: F401  (a fixture)
from studio.conftest import Server

from arasuji.corpus import prepare
from arasuji.evaluation.report import Report
from arasuji.inspection import Cluster, Duplicates, Finding, Phrase
from arasuji.reports.compare import compare_page
from arasuji.reports.inspect import inspect_page
from arasuji.reports.sweep import sweep_page
from arasuji.reports.tune import tune_page
from arasuji.tuning import Search, Trial
from arasuji.tuning.space import Choices, Space
from arasuji.tuning.swept import Sweep

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
HERE = "http://report.example/"
TEXT = """document.documentElement.textContent
  + [...document.querySelectorAll("textarea")].map(e => e.value).join("\\n")"""
TAKE_COMMAND = """() => {
  const command = document.querySelector("dd > code");
  command.remove();
  return command.textContent;
}"""
"""Takes the command line, which holds all payloads, out of a report."""
SEARCHED = 24
"""As many values are searched in a report of tune."""
TOGETHER = 4
"""Payloads in one text of the desk, which shows its last 100 texts."""
AWAKE = """() => [...document.querySelectorAll("*")].filter(e =>
  ["IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "APPLET", "PORTAL", "VIDEO", "AUDIO", "MATH", "FRAME", "MARQUEE"]
    .includes(e.tagName)
  || e.localName === "script" && e.closest("body")
  || e.localName === "link" && e.closest("body")
  || e.localName === "meta" && /refresh/i.test(e.httpEquiv)
  || [...e.attributes].some(a => /^on/i.test(a.name)
    || /^(href|src|srcset|action|formaction|data|poster|background|ping|xlink:href|style)$/i.test(a.name)
      && !a.value.startsWith("#") && /script:|evil|data:text/i.test(a.value))).map(e => e.outerHTML.slice(0, 200))"""
"""What no text may have become: elements that run, fetch or lead elsewhere."""


class Watched:
    """A window, in which nothing may run that is not the page's own, and nothing be asked for elsewhere."""

    def __init__(self, context: BrowserContext, home: str, page: str = "") -> None:
        """`page` is what stands at the address `home`, where no server does."""
        self.problems: list[str] = []
        self.home, self.shown = urlsplit(home).netloc, page
        self.context = context
        context.route("**/*", self._asked)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("dialog", self._dialog)
        self.page.on("popup", lambda page: self.problems.append(f"a window opened: {page.url}"))
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _asked(self, route: Route) -> None:
        if urlsplit(route.request.url).netloc != self.home:
            self.problems.append(f"asked for {route.request.url}")
            route.abort()
        elif not self.shown:
            route.continue_()
        elif route.request.url.rstrip("?") == HERE:
            route.fulfill(body=self.shown, content_type="text/html; charset=utf-8")
        else:
            self.problems.append(f"asked for {route.request.url}")
            route.abort()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 404" not in message.text:  # there is no corpus of such a name
            self.problems.append(message.text)

    def _dialog(self, dialog: Any) -> None:
        self.problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def look(self) -> str:
        """The text of the page, after a look at what has become of it."""
        self.page.wait_for_load_state("networkidle")
        if self.page.evaluate("'ran' in window"):
            self.problems.append("a script has run")
        self.problems += [f"an element: {found}" for found in self.page.evaluate(AWAKE)]
        return str(self.page.evaluate(TEXT))


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[..., Watched]]:
    contexts = []

    def opened(home: str, page: str = "", bypass_csp: bool = False) -> Watched:
        contexts.append(browser.new_context(bypass_csp=bypass_csp))
        return Watched(contexts[-1], home, page)

    yield opened
    for context in contexts:
        context.close()


def plain(text: str) -> str:
    """The text without what a page shows in another way: control characters, and white space."""
    return re.sub(r"\s+", "", CONTROL.sub("", text).replace("\ufffd", ""))


def is_in(payload: str, text: str) -> bool:
    """Whether the beginning of a payload is shown in the text of a page: long ones are cut."""
    return plain(payload)[:80] in text


def inspected(payloads: list[str]) -> str:
    """The page of an inspection that shows the payloads wherever a collection can put its own words."""
    made, first = example(), payloads[0]
    some = payloads[:20]
    stage = replace(
        made.found, genres={payload: 9 + i for i, payload in enumerate(payloads)}, languages={first: 3, "en": 9}
    )
    shown = replace(
        made,
        found=stage,
        prepared=stage,
        rules=first,
        sources=payloads,
        duplicates=Duplicates(9, 0, 9, [Cluster(99, some, payloads[i::20]) for i in range(20) if payloads[i::20]]),
        boilerplate=[Phrase(payload, 9) for payload in payloads],
        findings=[Finding(payload, 9, payload) for payload in payloads],
        removals=[{"rule": payload, "removed": 1, "changed": 0, "left": 9} for payload in payloads],
        tokenizers=[replace(one, tokenizer=payload) for one, payload in zip(made.tokenizers, payloads, strict=False)],
        outlook=[replace(one, preset=payload) for one, payload in zip(made.outlook, payloads, strict=False)],
        verdict=payloads,
        hash=first,
    )
    return inspect_page(shown, FACTS | {"command": " ".join(payloads), "versions": {first: payloads[-1]}})


def compared_page(report: dict[str, Any], payloads: list[str]) -> str:
    """The page of a comparison of models that are called by payloads, whose texts are payloads."""
    names = [model["name"] for model in report["models"]]
    for number, model in enumerate(report["models"]):
        model["name"] = payloads[number % len(payloads)] + str(number)
        pieces = [(payload, 3.0 + i % 9) for i, payload in enumerate(payloads)]
        model["shown_tokens"] = [pieces for _ in report["shown"]]
        for text in model["texts"]:
            text["tokens"] = pieces
        if judge := model["samples"].get("judge"):
            judge["telling"] = [{"text": payload, "probability": 0.9, "start": 0, "end": 1} for payload in payloads]
    renamed = dict(zip(names, (model["name"] for model in report["models"]), strict=True))
    for pair in report["pairs"]:
        pair["a"], pair["b"] = renamed[pair["a"]], renamed[pair["b"]]
    report["shown"] = ["".join(payloads) for _ in report["shown"]]
    report["prompts"] = [payload for payload, _ in zip(payloads * 2, report["prompts"], strict=False)]
    report["nearest"] = {"3": payloads[0]}
    report["meta"] |= {
        "command": " ".join(payloads),
        "corpus": payloads[-1],
        "machine": payloads[0],
        "versions": {payloads[0]: payloads[0]},
    }
    return compare_page(Report.model_validate_json(json.dumps(report)))


def tuned(payloads: list[str]) -> str:
    """The page of a search among values that are payloads."""
    values = payloads[:SEARCHED]
    search = Search(
        preset=payloads[0], corpus=payloads[0], seed=1, minutes=1, max_steps=None, lower_bound=True,
        space=Space(fixed=[payloads[0]], searched={payloads[-1]: Choices(choices=values)}),
        trials=[Trial(number=i, values={payloads[-1]: own}, bits_per_byte=2 + i / 9) for i, own in enumerate(values)],
    )  # fmt: skip
    return tune_page(search, {"command": " ".join(payloads), "versions": {payloads[0]: payloads[0]}})


def swept(report: dict[str, Any], payloads: list[str]) -> str:
    """The page of a sweep of a run that is called by a payload."""
    figures = report["models"][0]
    texts = {"samples": figures["samples"], "originality": figures["originality"], "obedience": None}
    stage = {"texts": 9, "judged": 9, "real": texts, "splits": {payloads[0]: 9}}
    tried = [
        {"sampling": {"temperature": t}, "stage": n, "figures": texts, "repeats": False, "copies": False}
        for t, n in ((0.8, 2), (1, 1))
    ]
    made = {
        "command": " ".join(payloads), "run": payloads[0], "corpus": payloads[-1], "seed": 1, "reader": payloads[-1],
        "words": 9, "choices": {"temperature": [0.8, 1]}, "now": {"temperature": 1}, "stages": [stage, stage],
        "tried": tried, "versions": {payloads[0]: payloads[-1]},
    }  # fmt: skip
    return sweep_page(Sweep.model_validate_json(json.dumps(made)))


def test_no_report_runs_or_fetches_what_it_shows(watch, cases, request, tmp_path):
    """On the pages of inspect, compare, sweep and tune, in Chromium, no payload runs, fetches or leads elsewhere."""
    payloads = cases(PAYLOADS)
    report = request.getfixturevalue("compared")
    pages = {
        "inspect": inspected(payloads),
        "compare": compared_page(json.loads(json.dumps(report)), payloads),
        "tune": tuned(payloads),
        "sweep": swept(report, payloads),
    }
    shown = {"tune": payloads[:SEARCHED], "sweep": [payloads[0], payloads[-1]]}
    for kind, page in pages.items():
        found = CONTROL.search(page)
        cases.saw(kind, f"it holds {page[found.start() - 20 : found.end() + 20]!a}" if found else "")
        for bypass in (False, True):
            watched = watch(HERE, page, bypass)
            watched.page.goto(HERE)
            watched.look()
            command = plain(watched.page.evaluate(TAKE_COMMAND))
            text = plain(watched.page.evaluate(TEXT))
            for payload in shown.get(kind, payloads):
                cases.saw((kind, bypass, ascii(payload)), "" if is_in(payload, text) else "it is not shown")
            missing = [payload for payload in payloads if not is_in(payload, command)]
            cases.saw((kind, bypass, "command"), f"it does not show {missing!a}" if missing else "")
            cases.saw((kind, bypass), "; ".join(watched.problems))


def test_no_room_of_the_studio_runs_or_fetches_what_it_shows(watch, runs, starter_texts, cases, tmp_path):
    """In each room of the studio, in Chromium, no text, title, prompt or name runs, fetches or leads elsewhere."""
    payloads, names = cases(PAYLOADS), cases(NAMES)[:60]
    folder = tmp_path / "runs"
    for name in ["ngram", *names]:
        shutil.copytree(runs / "ngram", folder / name, copy_function=os.link)
    for number, name in enumerate(names):
        payload = payloads[number % len(payloads)]
        (folder / name / "samples.jsonl").unlink(missing_ok=True)
        (folder / name / "samples.jsonl").write_text(json.dumps({"step": 4, "prompt": payload, "text": payload}) + "\n")
    told = []
    for number, text in enumerate(starter_texts):
        payload = payloads[number % len(payloads)]
        told.append({"title": payload, "genres": [payload], "synopsis": f"{payload} {text} {payload}"})
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    corpora = [tmp_path / "corpora" / name for name in names[:1]]
    for corpus in corpora:
        prepare([tmp_path / "texts.jsonl"], corpus)
    evil = "".join(payload for payload in payloads if "\x00" not in payload)[:2000]
    for bypass in (False, True):
        with Server(folder) as server, httpx.Client(base_url=server.url, timeout=60) as client:
            if not bypass:
                for place in range(0, len(payloads), TOGETHER):
                    first, *others = payloads[place : place + TOGETHER]
                    about = {"fields": {"title": first, "genres": [first, *others]}, "prompt": first}
                    kept = {"text": "\n".join([first, *others]), "run": first[:300], "about": about}
                    assert client.post("/api/desk", json=kept).status_code == 201
            watched = watch(server.url, bypass_csp=bypass)
            page = watched.page
            rooms: dict[str, list[str]] = {
                "write": names, "inside": names, "arena": [], "data": [], "train": names, "compare": names,
                "desk": payloads, f"train/{quote(names[0], safe='')}": [], f"data/{quote(names[0], safe='')}": [],
                f"data/{quote(names[0], safe='')}/texts": [], f"data/{quote(names[0], safe='')}/doctor": [],
                f"train/{quote(evil[:300], safe='')}": [], evil[:300]: [],
                f"data/{quote(evil[:300], safe='')}/rules/1": [],
            }  # fmt: skip
            for room in cases([*rooms]):
                page.goto(f"{server.url}/#{room}")
                page.reload()
                page.get_by_role("link", name="Desk").wait_for()
                page.wait_for_load_state("networkidle")
                text = plain(watched.look())
                for payload in rooms[room]:
                    cases.saw((room, bypass, ascii(payload)), "" if is_in(payload, text) else "it is not shown")
                if room == "write":
                    page.locator("#run-0").select_option(names[0])
                    page.locator("#run-1").select_option(names[-1])
                    page.get_by_label("The beginning").fill(evil)
                    page.get_by_role("button", name="Write", exact=True).click()
                    page.locator(".lane[aria-busy=true]").first.wait_for(state="detached")
                    watched.look()
                if room == "inside":
                    page.locator("#inside-run").select_option(names[0])
                    page.locator("#inside-prompt").fill(evil)
                    watched.look()
                cases.saw((room, bypass), "; ".join(watched.problems))
                watched.problems.clear()
