"""Numbers as a person reads them, labels that do not meet, and colours that can be told apart."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from arasuji import reports
from arasuji.reports.labels import apart, clipped, names, spaced
from arasuji.reports.page import brief, count, duration, render
from arasuji.reports.plots import rows
from arasuji.reports.svg import WIDTH
from arasuji.speech import share

STYLE = (Path(reports.__file__).parent / "templates" / "style.css").read_text("utf-8")
COLOURS = {name: pair for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)}


def contrast(one: str, other: str) -> float:
    """WCAG 2: of two colours, 1 to 21."""

    def light(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("part", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.312, "31.2 %"), (0.0094, "0.94 %"), (0.00001, "under 0.01 %"), (0.99, "99.0 %")],
)
def test_a_share_has_the_digits_that_help(part, shown):
    assert share(part) == shown.replace(" %", "\u00a0%")


def test_numbers_are_short_where_room_is_short():
    assert [brief(n) for n in (0, 750, 1_500, 15_000, 1_200_000, 9e11)] == [
        "0",
        "750",
        "1,500",
        "15 k",
        "1.2 M",
        "900 G",
    ]
    assert count(25_865) == "25,865"
    assert [duration(m) for m in (0.4, 21, 182.5)] == ["24 s", "21 min", "3.0 h"]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_the_paper(scheme):
    paper = COLOURS["paper"][scheme]
    for name in ("ink", "quiet", "red"):
        assert contrast(COLOURS[name][scheme], paper) >= 4.5, name
    for name in ("bar", *(f"series-{i}" for i in range(5))):
        assert contrast(COLOURS[name][scheme], paper) >= 3, name


def test_sizes_come_from_one_scale():
    assert set(re.findall(r"font(?:-size)?: ([\d.]+)rem", STYLE)) == {"0.8", "1", "1.25", "1.6", "2"}


@pytest.mark.parametrize("numbers", [[5], [0, 20], range(1960, 2027), range(0, 20_000, 20), range(-3000, 9000, 1000)])
def test_shown_numbers_are_round_and_do_not_meet(numbers):
    longest = str(numbers[-1])
    shown = spaced(numbers, longest)
    assert 0 < len(shown) * (len(longest) * 8 + 12) <= WIDTH or len(shown) == 1
    assert len({b - a for a, b in pairwise(shown)}) <= 1
    if len(numbers) > 20:
        assert all(numbers[i] % 10 == 0 for i in shown)


def test_names_of_lines_are_moved_apart_and_stay_below_the_top():
    assert apart([0.5, 0.1, 0.9], 0.1, 1) == [0.5, 0.1, 0.9]
    assert apart([0.5, 0.5, 0.5], 0.1, 1) == pytest.approx([0.5, 0.6, 0.7])
    assert apart([1.0, 1.0, 0.3], 0.1, 1) == pytest.approx([0.9, 1.0, 0.3])


def test_labels_are_cut_to_their_width():
    assert clipped("Slice of Life", 16) == "Slice of Life"
    assert clipped("Psychological Thriller", 16) == "Psychological T…"
    assert clipped("日常と学園の物語と魔法", 16) == "日常と学園の物…"
    assert clipped("a\n\n b\x00\ud800", 16) == "a b"


def test_labels_that_begin_alike_are_cut_in_the_middle():
    assert names(["lstm-article-fast", "lstm-article-15th", "ngram"], 13) == ["lstm-…-fast", "lstm-…-15th", "ngram"]
    assert names(["lstm-article-fast", "lstm-article-15th"], 16) == ["lstm-article-fa…", "lstm-article-15…"]
    assert names(["a b", "a  b"], 13) == ["a b", "a b"]


def test_a_plot_brings_no_colour_font_or_id_of_its_own():
    svg = rows("A & B", ["<b>", "$x$"], [0, 0], ["0", "0"], "#000004")
    assert re.findall("#[0-9a-f]{6}|font-family|id=|clip|<b>|xmlns|metadata", svg) == []
    assert 'aria-label="A &amp; B"' in svg
    assert "var(--bar)" in svg
    assert "$x$" in svg


def test_a_value_that_a_template_lacks_is_an_error():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render("inspect.html", name="a")
