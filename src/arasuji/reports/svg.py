"""A drawing of matplotlib as SVG that stands inside a page: its colours are the page's, its fonts the reader's, its
bytes repeatable.

It is drawn as wide as a phone shows it, so that its letters are never smaller there than 0.8 rem.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 344
"""The width of a drawing in its own units; a phone of 360 pixels shows it 328 pixels wide."""
FONT = 13.5
"""The size of letters in the same units."""

# Colours that nothing else would use; `_adapted` puts the page's variable of that name in their place.
INK, QUIET, LINE, BAR, MODEL = "#000001", "#000002", "#000003", "#000004", "#000005"
SERIES = [f"#00000{i}" for i in "56789ab"]
PLAIN = 4
"""The number of colours that are easy to tell apart; lines in the others are dashed."""
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
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_svg(
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
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": NOT_XML.sub("", title)}
    return Markup(ElementTree.tostring(root, "unicode"))
