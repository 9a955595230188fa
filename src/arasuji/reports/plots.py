"""Plots as SVG that stands inside a page: its colours are the page's, its fonts the reader's, its bytes repeatable.

They are drawn as wide as a phone shows them, so that their letters are never smaller there than 0.8 rem.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from arasuji.reports.page import NOTHING, brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

WIDTH = 344  # units of the drawing; a phone of 360 pixels shows 328
FONT = 13.5
HEIGHT = 220
ROW = 21  # a bar that lies down, and the room below it

# Colours that nothing else would use; `_adapted` puts the page's variable of that name in their place.
INK, QUIET, LINE, BAR, MODEL = "#000001", "#000002", "#000003", "#000004", "#000005"
SERIES = [f"#00000{i}" for i in "56789ab"]
PLAIN = 4  # of these are told apart at a glance; lines in the others are dashed
_VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    LINE: "var(--line)",
    BAR: "var(--bar)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "arasuji",
    "path.simplify": False,
    "text.parse_math": False,
    "font.size": FONT,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "grid.color": LINE,
    "grid.linewidth": 1,
    "xtick.color": QUIET,
    "xtick.major.pad": 6,
    "ytick.color": QUIET,
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def histogram(title: str, bins: Sequence[tuple[int, int]], unit: str, top: int, mark: tuple[int, str]) -> Markup:
    """Documents in bins of one width, the last one open: (where it begins, documents in it). `mark` is a line at a
    value with what it says; `top` is the least height of the axis, to compare by."""
    starts = [start for start, _ in bins]
    width = starts[1] - starts[0] if len(bins) > 1 else 1

    def draw(axes: Axes) -> None:
        last = len(bins) - 1
        shown = _spaced(starts, f"{starts[last]:,}+")
        step = shown[1] - shown[0] if len(shown) > 1 else 1
        named = {i: f"{starts[i]:,}" for i in shown if i <= last - step} | {last: f"{starts[last]:,}+"}
        _bars(axes, [documents for _, documents in bins], top)
        axes.set_xticks([i + 0.07 for i in named], list(named.values()))
        _rule(axes, unit, "documents")
        at = min(max(0.0, (mark[0] - starts[0]) / width), last + 0.43)  # the open bin is marked in its middle
        side, align = (5, "left") if at < 0.6 * len(bins) else (-5, "right")
        axes.axvline(at, color=INK, linewidth=1.5)
        axes.annotate(
            mark[1], (at, 0.99), (side, 0), ("data", "axes fraction"), textcoords="offset points", ha=align, va="top"
        )

    return _svg(title, HEIGHT, draw)


def columns(title: str, counts: dict[int, int], unit: str) -> Markup:
    """A standing bar of documents for each of some evenly spaced numbers."""
    numbers = list(counts)

    def draw(axes: Axes) -> None:
        shown = _spaced(numbers, str(numbers[-1]))
        _bars(axes, list(counts.values()), 1)
        axes.set_xticks([i + 0.43 for i in shown], [str(numbers[i]) for i in shown])
        _rule(axes, unit, "documents")

    return _svg(title, HEIGHT, draw)


def rows(
    title: str,
    labels: Sequence[str],
    values: Sequence[float],
    shown: Sequence[str],
    colours: str | Sequence[str],
    spans: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Lying bars, the first on top, each with its name and what it amounts to; `spans` are their intervals."""
    width = WIDTH - 127
    ends = [high for _, high in spans] or values

    def draw(axes: Axes) -> None:
        places = range(len(values))
        axes.barh(places, values, height=0.62, color=colours)
        for place, span in zip(places, spans, strict=False):
            axes.plot(span, [place, place], color=INK, linewidth=1.5)
        axes.set_xlim(0, (max(ends) or 1) * width / (width - max(len(text) for text in shown) * 0.6 * FONT - 8))
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.axis("off")
        for place, label, end, text in zip(places, _names(labels, 16), ends, shown, strict=True):
            for words, at, off, align, ink in (
                (label, 0, -7, "right", INK),
                (text, end, 6, "left", QUIET),
            ):
                axes.annotate(
                    words, (at, place), (off, 0), textcoords="offset points", ha=align, va="center_baseline", color=ink
                )

    return _svg(title, ROW * len(values), draw, margins=(WIDTH - width, 0, 0, 0))


def lines(
    title: str,
    drawn: Mapping[str, Sequence[tuple[float, float]]],
    colours: Mapping[str, str],
    units: tuple[str, str],
    ticks: Sequence[str] = (),
    diagonal: bool = False,
) -> Markup:
    """A line of (x, y) for each name, which stands beside its end; `units` are those of x and y. With `ticks` x counts
    them; `diagonal` draws the line on which y is x."""

    def draw(axes: Axes) -> None:
        points = [point for line in drawn.values() for point in line]
        left, right = min(x for x, _ in points), max(x for x, _ in points)
        top = 1.0 if diagonal else 1.12 * max(y for _, y in points)
        reach = (right - left) or 1
        if diagonal:
            left, right, reach = 0.0, 1.0, 1.0
            axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        ends = {name: max(line)[1] for name, line in drawn.items()}
        heights = _apart(list(ends.values()), 0.085 * top, 0.97 * top)
        for (name, line), label, height in zip(drawn.items(), _names(list(drawn), 13), heights, strict=True):
            xs, ys = zip(*sorted(line), strict=True)
            dashes = "-" if colours[name] in SERIES[:PLAIN] else (0, (2.5, 1.5))
            axes.plot(xs, ys, color=colours[name], linewidth=2.5, solid_capstyle="round", linestyle=dashes)
            axes.plot([xs[-1] + 0.02 * reach, right + 0.06 * reach], [ys[-1], height], color=colours[name], linewidth=1)
            axes.annotate(label, (right + 0.08 * reach, height), ha="left", va="center_baseline", color=INK)
        axes.set_xlim(left - 0.02 * reach, right + 0.62 * reach)
        axes.set_ylim(0, top)
        _rule(axes, units[0], units[1])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if ticks:
            axes.set_xticks(range(len(ticks)), ticks)
        else:
            axes.set_xticks([t for t in MaxNLocator(3).tick_values(left, right) if left <= t <= right])
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")

    from matplotlib.ticker import MaxNLocator

    return _svg(title, HEIGHT + 60, draw)


def shares(title: str, ticks: Sequence[str], lines: dict[str, dict[int, float]], unit: str) -> Markup:
    """One line for each name, {tick: share}; the names stand where the lines begin."""

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        drawn = {name: line for name, line in lines.items() if line}
        top = max(0.05, 1.12 * max(max(line.values()) for line in drawn.values()))
        room = 0.55 * max(1, len(ticks) - 1)
        heights = _apart([next(iter(line.values())) for line in drawn.values()], 0.085 * top, 0.97 * top)
        for i, (label, line, height) in enumerate(zip(_names(list(drawn), 11), drawn.values(), heights, strict=True)):
            colour = SERIES[i % len(SERIES)]
            axes.plot(list(line), list(line.values()), color=colour, linewidth=2.5)
            for x, y in line.items():  # dots as round ends of no line: a marker would need an id to refer to
                axes.plot([x, x], [y, y], color=colour, linewidth=7, solid_capstyle="round")
            axes.plot([min(line) - 0.04 * room, -0.2 * room], [line[min(line)], height], color=colour, linewidth=1)
            axes.annotate(label, (-0.24 * room, height), ha="right", va="center_baseline", color=INK)
        axes.set_xlim(-1.15 * room, len(ticks) - 1 + 0.3 * room)
        axes.set_ylim(0, top)
        axes.set_xticks(range(len(ticks)), ticks)
        _rule(axes, unit, "share of the texts")
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if top > 0.05 else 1, symbol=" %"))

    return _svg(title, HEIGHT + 40, draw)


def growth(title: str, points: Sequence[tuple[int, int]], unit: str, upright: str) -> Markup:
    """A line from nothing through the points."""

    def draw(axes: Axes) -> None:
        xs, ys = [0, *(x for x, _ in points)], [0, *(y for _, y in points)]
        axes.plot(xs, ys, color=BAR, linewidth=2.5)
        axes.set_xlim(0, 1.06 * max(1, *xs))
        axes.set_ylim(0, 1.12 * max(1, *ys))
        _rule(axes, unit, upright)
        axes.xaxis.set_major_locator(_whole())
        axes.xaxis.set_major_formatter(lambda value, _: brief(value))

    return _svg(title, HEIGHT + 40, draw)


def _bars(axes: Axes, heights: Sequence[int], top: int) -> None:
    axes.bar(range(len(heights)), heights, width=0.86, align="edge", color=BAR)
    axes.set_xlim(0, len(heights))
    axes.set_ylim(0, 1.12 * max(1, top, *heights))


def _rule(axes: Axes, unit: str, upright: str) -> None:
    """A line to stand on, quiet lines to read heights by, and the units of both."""
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.tick_params(bottom=False, left=False)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_xlabel(unit, loc="right")
    axes.yaxis.set_major_locator(_whole())
    axes.yaxis.set_major_formatter(lambda value, _: brief(value))
    axes.annotate(upright, (0, 1), (0, -3), "figure fraction", textcoords="offset points", va="top", color=QUIET)


def _whole() -> MaxNLocator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, integer=True)


def _spaced(numbers: Sequence[int], longest: str) -> list[int]:
    """Which of evenly spaced numbers to show so that none meets its neighbour: the round ones."""
    room = max(1, int(0.83 * WIDTH / (len(longest) * 0.6 * FONT + 14)))
    width = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    steps = (round(i * 10**power) for power in range(9) for i in (1, 2, 5))
    step = next(step for step in steps if len(numbers) <= step * room) * width
    return [i for i, number in enumerate(numbers) if (number - numbers[0] % width) % step == 0]


def _apart(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """The heights, moved up where two would stand closer than the gap, and down again where that is above the top."""
    moved, order = list(heights), sorted(range(len(heights)), key=lambda i: heights[i])
    for below, i in pairwise(order):
        moved[i] = max(moved[i], moved[below] + gap)
    for i in reversed(order):
        moved[i] = min(moved[i], top)
        top = moved[i] - gap
    return moved


def _names(texts: Sequence[str], width: int) -> list[str]:
    """Labels in one line each, clipped at their ends, or in the middle where they would be the same."""
    found = [_clipped(text, width) for text in texts]
    half = width // 2
    return [
        _clipped(text, half)[:-1] + _clipped(text[::-1], half)[::-1]
        if label.endswith("…") and found.count(label) > 1
        else label
        for text, label in zip(texts, found, strict=True)
    ]


def _clipped(text: str, width: int) -> str:
    """A label in one line, of so many narrow letters at most; a letter of Chinese or Japanese is two wide. A blank
    one is a dash: a bar without a name reads as a fault."""
    text = " ".join(_NOT_XML.sub("", text).split()) or NOTHING
    ends, used = [], 0
    for letter in text:
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        ends.append(used)
    return text if used <= width else text[: sum(end < width for end in ends)].rstrip() + "…"


def _svg(
    title: str, height: float, draw: Callable[[Axes], None], margins: tuple[float, ...] = (52, 45, 5, 26)
) -> Markup:
    """What `draw` puts on one pair of axes; the margins are left, below, right and above them."""
    # Imported here, since it takes a second and a page without plots needs none.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's fonts write the labels, not matplotlib's
        matplotlib.rcdefaults()  # a setting of the reader's own would give other bytes
        matplotlib.rcParams.update(_STYLE)
        figure = Figure((WIDTH / 72, height / 72))
        left, below, right, above = margins
        size = (WIDTH - left - right) / WIDTH, (height - below - above) / height
        draw(figure.add_axes((left / WIDTH, below / height, *size)))
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True)
    return _adapted(written.getvalue(), title)


def _adapted(written: str, title: str) -> Markup:
    """matplotlib's SVG without what belongs to a file of its own: address, date, ids, style sheet, size, fonts."""
    root = ElementTree.fromstring(written)
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}defs")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        for name in ("id", "clip-path"):
            element.attrib.pop(name, None)
        if style := element.get("style"):
            style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)  # as older matplotlibs write it
            style = re.sub("font-family:[^;]*; ?", "", style)
            element.set("style", re.sub("#[0-9a-f]{6}", lambda found: _VARIABLES.get(found[0], found[0]), style))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": _NOT_XML.sub("", title)}
    return Markup(ElementTree.tostring(root, "unicode"))
