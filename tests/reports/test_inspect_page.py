"""The page of `arasuji inspect`: whole, offline, escaped, the same each time, and true to its inspection."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arasuji.inspection import Beyond, Cluster, Duplicates, Finding, Inspection, Outlook, Phrase
from arasuji.reports.inspect import inspect_page
from arasuji.reports.page import count
from arasuji.speech import share

ODD = "<script>alert(1)</script>\"'&amp;</td> $x^2$ \\frac{1}{0} \x00\x0b\ud800\u202e ]]> {{ 7 * 7 }} 港 مصباح"
LONG = "Donaudampfschifffahrts" * 40


def numbers(value) -> set[int]:
    """All whole numbers in nested lists and dicts, but those of keys."""
    if isinstance(value, dict):
        return set().union(*map(numbers, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(numbers, value))
    return {value} if isinstance(value, int) else set()


def test_the_page_is_balanced_and_its_parts_are_named(inspection, facts, read):
    page = read(inspect_page(inspection, facts))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert len(page.all("table")) == len(page.all("caption")) > 8
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert len(page.all("svg")) == 7
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in page.all("svg"))
    assert len(page.all("figure")) == len(page.all("svg"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"] for link in page.all("a")} <= {"#" + name for name in names}


def test_the_page_asks_nobody_for_anything(inspection, facts, read):
    page = inspect_page(inspection, facts)
    for address in ("http:", "https:", "//", "xmlns", "url(", "@import", "<script", "<link", "<img", "src="):
        assert address not in page, address
    policy = next(meta["content"] for meta in read(page).all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_figure_is_shown(inspection, facts, read):
    text = read(inspect_page(inspection, facts)).text
    shown = set(re.findall(r"\d+(?:,\d{3})*", text))
    assert {count(number) for number in numbers(asdict(inspection))} <= shown
    for part in (inspection.leakage, inspection.vocabulary.unknown_rate):
        assert share(part) in text
    for tokenizer in inspection.tokenizers:
        assert tokenizer.tokenizer in text
        assert f"{tokenizer.bytes_per_token:.2f}" in text
        assert all(share(part) in text for part in tokenizer.beyond.values())
    for preset in inspection.outlook:
        assert f"{preset.bits_per_byte:.2f}" in text
    for stage in (inspection.found, inspection.prepared):
        assert all(name in text for name in stage.genres)
        assert all(str(year) in text for year in stage.years)
    for cluster in inspection.duplicates.clusters:
        assert all(words in text for words in (*cluster.titles, *cluster.texts))
    assert all(phrase.text in text for phrase in inspection.boilerplate)
    assert all(finding.what in text and finding.rule in text for finding in inspection.findings)
    assert all(sentence in text for sentence in inspection.verdict)
    assert inspection.hash in text
    assert facts["command"] in text
    assert all(f"{name} {version}" in text for name, version in facts["versions"].items())


def test_the_verdict_comes_first(inspection, facts, read):
    text = read(inspect_page(inspection, facts)).text
    assert text.index(inspection.verdict[0]) < text.index("Findings")


def test_the_same_inspection_gives_the_same_bytes(inspection, facts):
    import matplotlib

    page = inspect_page(inspection, facts)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "path"}):
        assert inspect_page(inspection, facts) == page


def test_titles_say_the_finding(inspection, facts, read):
    text = read(inspect_page(inspection, facts)).text
    for title in (
        "As found, half have at most 57 words",
        "As prepared, half have at most 74 words",
        "A context of 512 tokens holds at least 99.1\u00a0% of the texts whole",
        "Comedy is the most frequent genre: 31.0\u00a0% of the texts",
        "Half of the texts with a year are from 2012 or later",
        "pretrained-lora is expected to need the fewest bits: 1.32 per byte",
    ):
        assert title in text


def test_empty_sections_say_so(empty, facts, read):
    page = read(inspect_page(empty, facts))
    for sentence in (
        "Nothing needs mending.",
        "No rules were applied",
        "No tokenizer was tried",
        "No document names a genre.",
        "No document names a year.",
        "No language was recognized.",
        "No text repeats another",
        "No phrase stands at the beginning or the end",
        "There is no outlook",
    ):
        assert sentence in page.text
    assert len(page.all("svg")) == 1
    assert "As prepared" not in page.text


def test_one_language_is_named(inspection, facts, read):
    found = replace(inspection.found, languages={"ja": 25_800, "?": 65})
    page = read(inspect_page(replace(inspection, found=found, prepared=found), facts))
    assert "Every text whose language is recognized is in Japanese." in page.text


def test_only_the_largest_clusters_are_shown(inspection, facts, read):
    clusters = [Cluster(100 - i, [f"Title {i}"], [f"Text {i}"]) for i in range(30)]
    text = read(inspect_page(replace(inspection, duplicates=Duplicates(30, 0, 30, clusters)), facts)).text
    assert "The 20 largest of 30 clusters" in text
    assert "Text 19" in text
    assert "Text 20" not in text


@pytest.mark.parametrize("documents", [0, 1, 10_000_000])
@pytest.mark.parametrize("words", [ODD, LONG])
def test_it_survives_extremes(inspection, facts, read, documents, words):
    stage = replace(
        inspection.found,
        documents=documents,
        words=71_000 * documents,
        lengths=[(0, documents)] if documents < 2 else [(20 * i, documents >> i) for i in range(300)],
        quantiles={} if not documents else dict.fromkeys(inspection.found.quantiles, 10**9),
        genres={words: documents, "": 0, "港": 1},
        years={-300: 1, 0: documents, 9999: 0},
        languages={words: documents},
    )
    page = inspect_page(
        replace(
            inspection,
            sources=[words, words, words],
            rules=words,
            found=stage,
            prepared=stage,
            tokenizers=[Beyond(words + str(i), documents, 0.0, documents, {64: 1.0}) for i in range(9)],
            duplicates=Duplicates(documents, 0, 1, [Cluster(documents, [words], [words, words])]),
            boilerplate=[Phrase(words, documents)],
            vocabulary=replace(inspection.vocabulary, growth=[(10**12, 10**9)] if documents > 1 else [(0, 0)]),
            findings=[Finding(words, documents, words)],
            removals=[{"rule": words, "removed": documents, "changed": 0, "left": 0}],
            outlook=[Outlook(words, 0.0, 0.0)],
            verdict=[words],
        ),
        facts | {"command": words},
    )
    assert "<script" not in page
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", page)
    assert not re.search(r"\b(nan|inf)\b", page)
    assert count(documents) in read(page).text


def test_tokenizers_measured_at_other_contexts_are_shown(inspection, facts, read):
    tokenizers = [inspection.tokenizers[0], Beyond("other", 10, 4.0, 5, {2048: 0.125})]
    text = read(inspect_page(replace(inspection, tokenizers=tokenizers), facts)).text
    assert "12.5\u00a0%" in text


def says(words: str, page: Inspection) -> Inspection:
    """An inspection that shows some words wherever a collection can put its own."""
    stage = replace(page.found, genres={words: 1})
    return replace(
        page,
        found=stage,
        prepared=stage,
        rules=words,
        sources=[words],
        duplicates=Duplicates(1, 0, 1, [Cluster(2, [words], [words])]),
        boilerplate=[Phrase(words, 1)],
        findings=[Finding(words, 1, words)],
        removals=[{"rule": words, "removed": 1, "changed": 0, "left": 0}],
        verdict=[words],
    )


@pytest.fixture
def shape(facts, read, empty):
    """The elements of such a page, whatever it says."""
    return [tag for tag, _ in read(inspect_page(says("plain", empty), facts)).elements]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(min_size=1))
@example(words=" ")
def test_whatever_a_text_says_the_page_keeps_its_shape(facts, read, empty, shape, words):
    assert [tag for tag, _ in read(inspect_page(says(words, empty), facts)).elements] == shape


def test_a_page_without_plots_needs_no_matplotlib():
    code = "import sys, arasuji.reports.inspect; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
