"""What is wrong with texts is named with the rule that mends it; what to expect follows the measured curves."""

from __future__ import annotations

import json
import math
import unicodedata
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.config import preset_names
from arasuji.corpus import Record
from arasuji.corpus.clean import RULES
from arasuji.inspection import Duplicates, Finding, Outlook, Phrase
from arasuji.inspection.findings import PROBLEMS, findings
from arasuji.inspection.outlook import BASELINE, LEAK, PRETRAINED, _expected, outlook, verdict
from arasuji.inspection.repeats import repeats
from arasuji.inspection.stage import stage

STORIES = [
    "The keeper of the lighthouse finds a letter on the night of the great storm and leaves to look for her brother.",
    "A robot joins the village choir, sings one note too low for any human ear, and is asked politely to come again.",
    "Two rival bakers share one oven for a winter, and by spring neither of them can say whose bread it was.",
    "Every tram in the city stops at midnight, except for one that carries the dreams people left on the seats.",
    "An old sailor teaches her granddaughter to read the wind, and learns in return how to lose at chess with grace.",
]


def told(records: list[Record], phrases: list[Phrase] | None = None) -> list[Finding]:
    return findings(records, stage(records), repeats([r for r in records if r.text.strip()]), phrases or [])


def texts(*values: str) -> list[Record]:
    return [Record(str(n), value) for n, value in enumerate(values)]


def test_good_texts_have_no_problem() -> None:
    assert told(texts(*STORIES)) == []
    assert told(texts(*(f" {story.replace('. ', '.  ')}\n\n" for story in STORIES))) == []


@pytest.mark.parametrize(
    ("ill", "rule"),
    [
        (
            Record(
                "x", "\n  A lost ship comes home, and nobody on the pier remembers that it ever left. (Source: Pier) "
            ),
            "source-notes",
        ),
        (Record("x", ""), "placeholders"),
        (Record("x", "TBA"), "placeholders"),
        (Record("x", STORIES[0].replace("letter", "map"), metadata={"genres": ["Hentai"]}), "genres"),
        (Record("x", "A <b>lost</b> ship comes home, and nobody on the pier remembers that it ever left."), "html"),
        (Record("x", "A lost ship comes home to the cafÃ©, and nobody on the pier knows that it ever left."), "repair"),
        (Record("x", "A lost ship comes home, and nobody knows that it ever left. (Source: Pier)"), "source-notes"),
        (Record("x", "A lost ship."), "words"),
        (
            Record("x", "nd so a lost ship comes home, and nobody on the pier remembers that it ever left."),
            "lost-start",
        ),
        (Record("x", f" {STORIES[0].upper()}"), "duplicates"),
        (Record("x", STORIES[1].replace("politely", "kindly")), "near-duplicates"),
    ],
)
def test_each_problem_is_found_with_the_rule_that_mends_it(ill: Record, rule: str) -> None:
    found = told([*texts(*STORIES), ill])
    assert (rule, 1) in {(finding.rule, finding.documents) for finding in found}
    assert all(finding.documents == 1 for finding in found)
    # A placeholder is short, and a text of an unwanted genre may repeat another; nothing else is said twice.
    assert {finding.rule for finding in found} - {rule} <= {"words", "near-duplicates"}


def test_a_finding_shows_its_texts_and_what_its_rule_does_to_them() -> None:
    ill = [f"{story} (Source: Pier)" for story in STORIES] + ["A <b>lost</b> ship.", "nd so a lost ship comes home."]
    found = {finding.rule: finding for finding in told(texts(*(story[::-1] for story in STORIES * 9), *ill, ""))}
    assert [example.before for example in found["source-notes"].examples] == ill[: len(STORIES)]
    assert [example.after for example in found["source-notes"].examples] == STORIES
    assert [example.after for example in found["html"].examples] == ["A lost ship."]
    assert ("mark", "n") in next(e for e in found["lost-start"].examples if e.before == ill[-1]).pieces()
    assert (found["placeholders"].documents, found["placeholders"].examples) == (1, [])  # an empty text shows nothing
    assert len(found["duplicates"].examples) == len(STORIES)
    for finding in found.values():
        records = [Record("x", example.before) for example in finding.examples]
        RULES[finding.rule].check(finding.parameters)
        if finding.rule not in ("duplicates", "near-duplicates"):  # which judge a text by others
            left = RULES[finding.rule].function(records, **finding.parameters)
            assert list(left) == [example.after for example in finding.examples]


def test_the_rule_for_a_phrase_or_a_language_comes_with_it_and_texts_of_genres_are_not_shown() -> None:
    french = "Le gardien du phare trouve une lettre la nuit de la grande tempête et part chercher son frère perdu."
    records = texts(*(f"{story} {story}" for story in STORIES * 4), french, "Music video of a ship", "The end. A ship")
    records.append(Record("y", STORIES[0], metadata={"genres": ["Hentai"]}))
    phrases = [Phrase("Music video", 1, opens=True), Phrase("The end.", 1)]
    found = {finding.rule: finding for finding in told(records, phrases)}
    assert found["language"].parameters == {"keep": ["en"]}
    assert [example.before for example in found["language"].examples] == [french]
    assert found["phrase"].parameters == {"phrase": "Music video"}
    assert [example.after for example in found["cut"].examples] == ["A ship"]
    assert ("mark", "Music video") in found["phrase"].examples[0].pieces()
    assert (found["genres"].documents, found["genres"].examples) == (1, [])


def test_texts_in_another_language_than_nearly_all_are_named() -> None:
    french = "Le gardien du phare trouve une lettre la nuit de la grande tempête et part chercher son frère perdu."
    many = texts(*(f"{story} {story}" for story in STORIES * 4), french)
    finding = next(finding for finding in told(many) if finding.rule == "language")
    assert (finding.documents, "(en)" in finding.what, finding.what.endswith(": fr")) == (1, True, True)
    half = texts(*STORIES, *(f"{french} {french} {n}" for n in range(5)))
    assert not [finding for finding in told(half) if finding.rule == "language"]


def test_boilerplate_that_is_left_and_repeats_are_findings_most_frequent_first() -> None:
    records = texts(*STORIES)
    found = findings(
        records, stage(records), Duplicates(7, 3, 5, []), [Phrase("Music video", 5, opens=True), Phrase("The end.", 4)]
    )
    assert [(finding.documents, finding.rule) for finding in found] == [
        (7, "duplicates"),
        (5, "cut"),
        (4, "cut"),
        (3, "near-duplicates"),
    ]
    assert "Music video" in found[1].what


@pytest.mark.parametrize("ill", ["<|startoftext|>{}<|endoftext|>", "{}", "Synopsis: {}"])
def test_no_rule_that_removes_most_texts_is_advised(ill: str) -> None:
    """Whatever all texts share, a rule that the doctor names leaves most of them."""
    records = texts(*(ill.format(story[:1].lower() + story[1:]) for story in STORIES))
    opening = [Phrase("Synopsis:", len(records), opens=True)] if "Synopsis" in ill else []
    for finding in findings(records, stage(records), Duplicates(0, 0, 0, []), opening):
        parameters = {"phrase": "Synopsis:"} if finding.rule == "cut" else {}
        left = RULES[finding.rule].function(records, **parameters) if finding.rule else [""] * len(records)
        assert sum(text is not None for text in left) > len(records) / 2, finding


def test_accents_that_are_written_apart_are_no_damage() -> None:
    decomposed = unicodedata.normalize("NFD", STORIES[0].replace("letter", "café résumé"))
    assert told(texts(*STORIES[1:], decomposed)) == []


def test_every_rule_that_is_named_exists() -> None:
    assert {*PROBLEMS, "duplicates", "near-duplicates", "phrase", "cut", "language"} <= set(RULES)


CURVES: dict[str, list[dict[str, Any]]] = json.loads(
    (resources.files("arasuji.inspection") / "curves.json").read_text("utf-8")
)["curves"]


def bits(words: int) -> dict[str, float]:
    return {one.preset: one.bits_per_byte for one in outlook(words)}


def test_the_curves_are_of_presets_that_exist_and_in_the_order_of_their_words() -> None:
    assert {BASELINE, PRETRAINED} <= set(CURVES) <= set(preset_names())
    for points in CURVES.values():
        words = [point["words"] for point in points]
        assert words == sorted(set(words))
        assert min(words) > 0


def test_at_a_measured_amount_of_text_the_measured_value_is_expected() -> None:
    for preset, points in CURVES.items():
        for point in points:
            (one,) = (one for one in outlook(point["words"]) if one.preset == preset)
            assert one.bits_per_byte == round(point["bits_per_byte"], 2)
            assert one.minutes == round(point["minutes"], 1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(words=st.integers(0, 10**12))
def test_what_is_expected_lies_between_the_measured_values_and_the_best_is_first(words: int) -> None:
    expected = outlook(words)
    assert {one.preset for one in expected} == {name for name, points in CURVES.items() if points[0]["words"] <= words}
    assert [one.bits_per_byte for one in expected] == sorted(one.bits_per_byte for one in expected)
    for one in expected:
        measured = [round(point["bits_per_byte"], 2) for point in CURVES[one.preset]]
        assert min(measured) <= one.bits_per_byte <= max(measured)


points = st.lists(
    st.tuples(st.integers(1, 10**9), st.floats(0.5, 8), st.floats(0, 500)),
    min_size=1,
    max_size=6,
    unique_by=lambda p: p[0],
).map(lambda found: [{"words": w, "bits_per_byte": b, "minutes": m} for w, b, m in sorted(found)])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(curve=points, words=st.lists(st.integers(1, 10**10), min_size=2, max_size=2).map(sorted))
def test_between_two_measured_amounts_the_value_never_turns(curve: list[dict[str, Any]], words: list[int]) -> None:
    words = [max(count, curve[0]["words"]) for count in words]  # on less than was measured, nothing is expected
    low, high = (_expected("any", curve, count) for count in words)
    inside = [point for point in curve if words[0] < point["words"] < words[1]]
    if inside:
        return
    near = [point["bits_per_byte"] for point in curve if point["words"] >= words[1]] or [curve[-1]["bits_per_byte"]]
    far = [point["bits_per_byte"] for point in curve if point["words"] <= words[0]]
    assert (high.bits_per_byte - low.bits_per_byte) * (near[0] - far[-1]) >= 0
    assert min(near[0], far[-1]) - 0.01 <= low.bits_per_byte <= max(near[0], far[-1]) + 0.01


def test_half_way_is_counted_in_doublings() -> None:
    curve = [
        {"words": 1000, "bits_per_byte": 4.0, "minutes": 1},
        {"words": 100_000, "bits_per_byte": 2.0, "minutes": 9},
    ]
    assert _expected("any", curve, 10_000) == Outlook("any", 3.0, 5.0)
    assert _expected("any", curve, 1000) == Outlook("any", 4.0, 1.0)
    assert _expected("any", curve, 10**9) == Outlook("any", 2.0, 9.0)
    assert math.isclose(_expected("any", curve, 2000).bits_per_byte, 4 - math.log10(2), abs_tol=0.005)


EXPECTED = [Outlook(PRETRAINED, 1.2, 16), Outlook("lstm-small", 1.7, 14), Outlook(BASELINE, 1.9, 0.1)]


def sentences(*, leakage: float = 0.0, found: list[Finding] | None = None, mended: set[str] | None = None) -> str:
    return " ".join(verdict(1_234_567, EXPECTED, leakage, found or [], mended or set()))


def test_the_verdict_says_how_much_there_is_and_what_the_best_and_the_plainest_will_reach() -> None:
    said = sentences()
    assert "1,234,567 words" in said
    assert f"1.20 bits per byte of {PRETRAINED} after 16 min" in said
    assert f"1.90 of {BASELINE}" in said


def test_the_verdict_calls_it_enough_only_where_something_beats_counting() -> None:
    assert "enough to train lstm-small from nothing" in sentences()
    worse = [Outlook(PRETRAINED, 1.2, 16), Outlook(BASELINE, 1.9, 0.1), Outlook("lstm-small", 1.9, 14)]
    said = " ".join(verdict(1000, worse, 0.0, [], set()))
    assert "lstm-small did no better in minutes than counting" in said
    assert "enough" not in said


def test_on_less_text_than_was_measured_nothing_is_expected() -> None:
    least = min(points[0]["words"] for points in CURVES.values())
    assert outlook(0) == outlook(least - 1) == []
    assert outlook(least) != []
    said = " ".join(verdict(1000, [], 0.0, [], set()))
    assert "less than was ever measured" in said
    assert "bits per byte" not in said


def test_the_verdict_names_what_is_first_to_do() -> None:
    html, words = Finding("hold HTML", 1900, "html"), Finding("are short", 12, "words")
    assert "Nothing needs mending first" in sentences()
    assert "Nothing needs mending first" in sentences(found=[html], mended={"html"})
    assert "the 1,900 texts that hold HTML: the rule “html”" in sentences(found=[html, words])
    assert "the 12 texts that are short: the rule “words”" in sentences(found=[html, words], mended={"html"})
    leaky = sentences(found=[html], leakage=LEAK * 1.5)
    assert "3.0 % of the validation split's 13-word shingles" in leaky
    assert "hold HTML" not in leaky
    assert "scores will be too good" not in sentences(leakage=LEAK)
