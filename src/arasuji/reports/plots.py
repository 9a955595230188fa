"""The plots of the reports, each as SVG that stands inside a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from arasuji.reports.labels import apart, names, spaced
from arasuji.reports.page import brief
from arasuji.reports.svg import BAR, FONT, INK, LINE, MODEL, PLAIN, QUIET, SERIES, WIDTH, as_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

HEIGHT = 220
ROW = 21  # a bar that lies down, and the room below it


def histogram(title: str, bins: Sequence[tuple[int, int]], unit: str, top: int, mark: tuple[int, str]) -> Markup:
    """Documents in bins of one width, the last one open: (where it begins, documents in it). `mark` is a line at a
    value with what it says; `top` is the least height of the axis, to compare by."""
    starts = [start for start, _ in bins]
    width = starts[1] - starts[0] if len(bins) > 1 else 1

    def draw(axes: Axes) -> None:
        last = len(bins) - 1
        shown = spaced(starts, f"{starts[last]:,}+")
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

    return as_svg(title, HEIGHT, draw)


def columns(title: str, counts: dict[int, int], unit: str) -> Markup:
    """A standing bar of documents for each of some evenly spaced numbers."""
    numbers = list(counts)

    def draw(axes: Axes) -> None:
        shown = spaced(numbers, str(numbers[-1]))
        _bars(axes, list(counts.values()), 1)
        axes.set_xticks([i + 0.43 for i in shown], [str(numbers[i]) for i in shown])
        _rule(axes, unit, "documents")

    return as_svg(title, HEIGHT, draw)


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
        for place, label, end, text in zip(places, names(labels, 16), ends, shown, strict=True):
            for words, at, off, align, ink in ((label, 0, -7, "right", INK), (text, end, 6, "left", QUIET)):
                axes.annotate(
                    words, (at, place), (off, 0), textcoords="offset points", ha=align, va="center_baseline", color=ink
                )

    return as_svg(title, ROW * len(values), draw, margins=(WIDTH - width, 0, 0, 0))


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
        heights = apart(list(ends.values()), 0.085 * top, 0.97 * top)
        for (name, line), label, height in zip(drawn.items(), names(list(drawn), 13), heights, strict=True):
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

    return as_svg(title, HEIGHT + 60, draw)


def shares(title: str, ticks: Sequence[str], lines: dict[str, dict[int, float]], unit: str) -> Markup:
    """One line for each name, {tick: share}; the names stand where the lines begin."""

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        drawn = {name: line for name, line in lines.items() if line}
        top = max(0.05, 1.12 * max(max(line.values()) for line in drawn.values()))
        room = 0.55 * max(1, len(ticks) - 1)
        heights = apart([next(iter(line.values())) for line in drawn.values()], 0.085 * top, 0.97 * top)
        for i, (label, line, height) in enumerate(zip(names(list(drawn), 11), drawn.values(), heights, strict=True)):
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

    return as_svg(title, HEIGHT + 40, draw)


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

    return as_svg(title, HEIGHT + 40, draw)


def scatter(
    title: str,
    points: Sequence[tuple[float, float]],
    weak: Sequence[tuple[float, float]],
    best: tuple[float, float],
    units: tuple[str, str],
    logarithmic: bool = False,
    ticks: Sequence[str] = (),
) -> Markup:
    """A filled dot for each of the `points` (x, y), a hollow one for each of the `weak` ones, and the best one in its
    own colour with its height. The axis of y ends above the highest filled dot; what is higher is a triangle at its
    upper edge. With `ticks` x counts them."""

    def draw(axes: Axes) -> None:
        low, high = best[1], max(y for _, y in points)
        room = 0.12 * (high - low or low)
        top = high + room

        def mark(x: float, y: float, colour: str, filled: bool, size: float) -> None:
            # A shape of its own at each place, since matplotlib's markers are copies of a definition by its id.
            shape = Circle((0, 0), size) if y <= top else RegularPolygon((0, 0), 3, radius=size)
            shape.set(edgecolor=colour, facecolor=colour if filled else "none", zorder=3)
            place = ScaledTranslation(x, min(y, top), axes.transData)  # type: ignore[arg-type]  # takes any transform
            shape.set_transform(Affine2D() + place)
            axes.add_artist(shape)

        drawn = [*points, *weak]
        axes.plot([x for x, _ in drawn], [min(y, top) for _, y in drawn], "none")  # finds the limits of x
        axes.set_ylim(low - 2 * room, top)
        for some, filled in ((points, True), (weak, False)):
            for x, y in some:
                mark(x, y, BAR, filled, 3.5)
        mark(*best, MODEL, True, 5)
        axes.annotate(f"{best[1]:.3f}", best, (0, -9), textcoords="offset points", ha="center", va="top", color=INK)
        _rule(axes, *units)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
        if ticks:
            axes.set_xticks(range(len(ticks)), names(ticks, 40 // len(ticks)))
            axes.set_xlim(-0.5, len(ticks) - 0.5)
            return
        if logarithmic:
            axes.set_xscale("log")
            wide = max(x for x, _ in drawn) > 30 * min(x for x, _ in drawn)
            axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=5))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.08)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")

    from matplotlib.patches import Circle, RegularPolygon
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
    from matplotlib.transforms import Affine2D, ScaledTranslation

    return as_svg(title, HEIGHT + 40, draw)


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
