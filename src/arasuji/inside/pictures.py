"""The two pictures as static SVG: what a token reads, and what an LSTM keeps. Any viewer shows them alike, on paper of
their own."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from arasuji.inside.reading import START, Reading

WIDTH, MARGIN, SIZE = 720, 24, 17
"""Of the drawing, around it, and of its letters, in pixels."""
PAPER, INK, QUIET, SEAL, TINT = "#fbf9f4", "#1f1d1a", "#6a655b", "#a3271f", "#0072b2"
LINES = {"forget": ("#0072b2", "forget gate"), "input": ("#b34e00", "input gate"), "cell": (INK, "size of the memory")}
"""The colour of each line, from a set that is safe for the colour-blind (Okabe and Ito), and its name."""
NARROW, BROAD = set("iljtfr.,;:'!|()[] "), set("mwMW@%—")
NAMED = 3
"""The picture of attention writes the share beside this many of the tokens that are read most."""


@dataclass(frozen=True)
class _Box:
    """Where a token stands."""

    x: float
    line: int
    width: float
    text: str


def attention(read: Reading, token: int, shares: Sequence[float]) -> str:
    """A text, in which what `token` reads is tinted by its share; the first token is said in words, since much
    attention rests there whatever the text is."""
    boxes, height, step = _laid_out(read.texts), 0.0, 46
    most = max([*shares[1 : token + 1], 1e-9])
    named = sorted(range(1, token + 1), key=lambda place: -shares[place])[:NAMED]
    parts = []
    for place, box in enumerate(boxes):
        y = MARGIN + step * box.line
        height = max(height, y + step)
        if place == token:
            frame = f'fill="none" stroke="{SEAL}" stroke-width="2"'
        elif place > token:
            frame = 'fill="url(#later)"'
        else:
            opacity = 0.0 if place == 0 else 0.7 * shares[place] / most
            frame = f'fill="{TINT}" fill-opacity="{opacity:.3f}"'
        parts.append(f'<rect x="{box.x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="25" rx="2" {frame}/>')
        parts.append(_text(box, y + 18, QUIET if place == 0 or place > token else INK))
        if place in named:
            label = f"{100 * shares[place]:.0f} %"
            parts.append(
                f'<text x="{box.x + box.width / 2:.1f}" y="{y + 38:.1f}" font-size="11" fill="{QUIET}" '
                f'text-anchor="middle">{label}</text>'
            )
    word = read.texts[token].strip() or START
    said = f"What “{word}” reads: {100 * shares[0]:.0f} % rests on the start, the darker the more. "
    said += "Hatched words come later: they are masked." if token < len(boxes) - 1 else ""
    hatch = (
        '<pattern id="later" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="1.5" height="6" fill="{QUIET}" fill-opacity="0.35"/></pattern>'
    )
    return _svg(parts, height, said, f"<defs>{hatch}</defs>")


def memory(read: Reading, lines: Mapping[str, Sequence[float]]) -> str:
    """A text with lines below it: each gate from 0 to 1, and the memory in parts of its largest value."""
    band, step = 64.0, 112
    boxes, parts, height = _laid_out(read.texts), [], 0.0
    for number in range(boxes[-1].line + 1):
        own = [(place, box) for place, box in enumerate(boxes) if box.line == number]
        top = MARGIN + step * number
        height = top + step
        foot = top + 30 + band
        for y, label in ((foot - band, "1"), (foot, "0")):
            parts.append(
                f'<line x1="{MARGIN}" y1="{y}" x2="{WIDTH - MARGIN}" y2="{y}" stroke="{QUIET}" stroke-opacity="0.3"/>'
                f'<text x="{MARGIN - 12}" y="{y + 4}" font-size="11" fill="{QUIET}">{label}</text>'
            )
        names: list[float] = []
        parts += [_text(box, top + 18, QUIET if place == 0 else INK) for place, box in own]
        for name, values in lines.items():
            largest = max(values) if name == "cell" else 1.0
            points = " ".join(
                f"{box.x + box.width / 2:.1f},{foot - band * values[place] / max(largest, 1e-9):.1f}"
                for place, box in own
            )
            colour = LINES[name][0]
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
            if number == 0:
                place, box = own[-1]
                y = _free(foot - band * values[place] / max(largest, 1e-9) + 4, names)
                parts.append(
                    f'<text x="{box.x + box.width / 2 + 5:.1f}" y="{y:.1f}" font-size="11" fill="{colour}">'
                    f"{LINES[name][1]}</text>"
                )
    said = f"Both gates from 0 to 1, and the mean size of the memory up to {max(lines['cell']):.2f}, after each token."
    return _svg(parts, height, said)


def _free(wanted: float, taken: list[float]) -> float:
    """The place nearest to the wanted one, and not above it, at which a name covers none of those that are `taken`."""
    while any(abs(wanted - other) < 11 for other in taken):
        wanted += 1
    taken.append(wanted)
    return wanted


def _laid_out(texts: Sequence[str]) -> list[_Box]:
    """Each token at its place; lines are broken before a token that begins with a space, where one is too long."""
    boxes: list[_Box] = []
    x, line = float(MARGIN), 0
    room = WIDTH - 2 * MARGIN - 110  # the names of the lines stand at the right
    for text in texts:
        shown = text.replace("\n", "⏎") or "·"
        width = _width(shown)
        if x > MARGIN and x + width > MARGIN + room:
            x, line = float(MARGIN), line + 1
        boxes.append(_Box(x, line, width, shown))
        x += width + (0.4 * SIZE if text == START else 0)
    return boxes


def _width(text: str) -> float:
    """About the width of a text; the drawing then makes it exactly so wide (`textLength`)."""
    total = 0.0
    for letter in text:
        wide = unicodedata.east_asian_width(letter) in "WF"
        total += 1.0 if wide else 0.3 if letter in NARROW else 0.85 if letter in BROAD else 0.53
    return total * SIZE


def _text(box: _Box, y: float, colour: str) -> str:
    shown = box.text.strip(" ")
    lead = _width(box.text[: len(box.text) - len(box.text.lstrip(" "))])
    width = _width(shown)
    return (
        f'<text x="{box.x + lead:.1f}" y="{y:.1f}" font-size="{SIZE}" fill="{colour}" textLength="{width:.1f}" '
        f'lengthAdjust="spacingAndGlyphs">{_printable(shown)}</text>'
    )


def _printable(text: str) -> str:
    """A text that XML can hold."""
    kept = "".join(
        c if c >= " " and unicodedata.category(c) not in ("Cs", "Cc") and c not in "\ufffe\uffff" else "·" for c in text
    )
    return escape(kept)


def _svg(parts: Sequence[str], height: float, said: str, definitions: str = "") -> str:
    whole = height + 36
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole:.0f}" width="{WIDTH}" role="img" '
        f"aria-label={quoteattr(_printable(said))} font-family=\"Georgia, 'Noto Serif', serif\">{definitions}"
        f'<rect width="{WIDTH}" height="{whole:.0f}" fill="{PAPER}"/>{"".join(parts)}'
        f'<text x="{MARGIN}" y="{height + 16:.0f}" font-size="13" fill="{QUIET}">{_printable(said)}</text></svg>'
    )
