"""Examples of what a rule removes or changes: a few of all the texts that it touches, and where it touches them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from random import Random
from typing import Any

from arasuji.corpus.registry import Rule, Span
from arasuji.corpus.script import placed_words
from arasuji.speech import shortened

MOST = 20
"""At most this many examples of a rule are kept."""
LENGTH, LEAD = 600, 200
"""An example shows at most this many characters of a text, of which so many stand before what the rule touched."""
MOST_PAIRS = 20_000
"""Two texts are compared exactly if so many pairs of their words and marks are equal: an ordinary text of `LENGTH` has
fewer than 15,000, most of them spaces."""

Piece = tuple[str, str]
"""What a part of an example is, and its text: "same" in both, "out" (only before), "in" (only after), or "mark" (for
this the text is removed)."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text before and after a rule, clipped around what the rule touched."""

    before: str
    after: str | None
    """None where the rule removed the text."""
    mark: Span | None = None
    """For which characters of `before` it was removed, where the rule can say so."""

    def clipped(self, length: int, lead: int) -> Example:
        """At most `length` characters of each text, about `lead` of them before what the rule touched; an ellipsis
        stands at each cut end."""
        longest = max(len(self.before), len(self.after or ""))
        if longest <= length:
            return self
        if self.after is None:
            touched, same_end = self.mark[0] if self.mark else 0, longest
        else:
            touched = _common(self.before, self.after)
            same_end = _common(reversed(self.before), reversed(self.after))
        start = max(0, min(touched - lead, longest - length))
        rest = longest - start - length
        # Where the texts differ no more behind the cut, both are cut at the same word.
        ends = [len(text) - rest if rest <= same_end else start + length for text in (self.before, self.after or "")]
        after = None if self.after is None else _part(self.after, start, ends[1])
        mark = None if self.mark is None else (self.mark[0] - start, min(self.mark[1] - start, length - 1))
        return Example(_part(self.before, start, ends[0]), after, mark)

    def pieces(self) -> list[Piece]:
        """Both texts as one: what is the same in both, and what differs, word by word."""
        if self.after is not None:
            return _differences(self.before, self.after)
        start, end = self.mark or (0, 0)
        parts = [("same", self.before[:start]), ("mark", self.before[start:end]), ("same", self.before[end:])]
        return [(kind, text) for kind, text in parts if text]


class Sample:
    """Draws examples evenly from all texts that a rule touches, however many there are (reservoir sampling: Vitter,
    "Random sampling with a reservoir", 1985, algorithm R)."""

    def __init__(self, rule: Rule, parameters: dict[str, Any]) -> None:
        self._rule, self._parameters = rule, parameters
        self._seen = 0
        self._kept: list[tuple[int, Example]] = []
        self._random = Random(0)

    def add(self, before: str, after: str | None) -> None:
        """A text that the rule changed, or removed (None). An empty text shows nothing."""
        if not before or not self._rule.quotable:
            return
        self._seen += 1
        place = len(self._kept) if len(self._kept) < MOST else self._random.randrange(self._seen)
        if place < MOST:
            mark = self._rule.trigger(before, **self._parameters) if self._rule.trigger and after is None else None
            self._kept[place : place + 1] = [(self._seen, Example(before, after, mark).clipped(LENGTH, LEAD))]

    def examples(self) -> tuple[Example, ...]:
        """Those that were drawn, in the order of the texts."""
        return tuple(example for _, example in sorted(self._kept, key=lambda kept: kept[0]))


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """The number of characters that both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _part(text: str, start: int, end: int) -> str:
    """The characters from `start` to `end`; an ellipsis takes the place of the first and the last one where it is
    cut."""
    part = "…" + text[start + 1 : end] if start else text[:end]
    return shortened(part + text[end : end + 1], len(part))


def _differences(before: str, after: str) -> list[Piece]:
    one, other = _tokens(before), _tokens(after)
    pieces: list[Piece] = []
    # Of tokens that stand again and again, the library looks at each pair; `autojunk` leaves the most frequent out.
    counts = Counter(other)
    pairs = sum(counts[token] for token in one)
    for kind, start, end, from_, to in SequenceMatcher(None, one, other, autojunk=pairs > MOST_PAIRS).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(one[start:end])))
        else:
            parts = [("out", "".join(one[start:end])), ("in", "".join(other[from_:to]))]
            pieces += [(side, text) for side, text in parts if text]
    if pieces[-1:] == [("same", "…")]:  # two texts that are cut need not end at the same word
        last = max((at for at, (kind, _) in enumerate(pieces[:-1]) if kind == "same"), default=-1)
        if any(kind != "same" for kind, _ in pieces[: last + 1]):
            pieces[last + 1 : -1] = []
    return pieces


def _tokens(text: str) -> list[str]:
    """The words, and each character between them."""
    tokens: list[str] = []
    done = 0
    for _, start, end in placed_words(text):
        tokens += [*text[done:start], text[start:end]]
        done = end
    return [*tokens, *text[done:]]
