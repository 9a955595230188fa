"""What of written texts stands in the training split, as `generate` says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arasuji.speech import say, shortened

if TYPE_CHECKING:
    from arasuji.corpus import Record
    from arasuji.generation.texts import Sample

QUOTED = 60
"""At most this many characters of a copied sequence are shown."""


class CopyReport:
    """The copies in the texts of one call: those of each text, and the longest of all."""

    def __init__(self, train: Sequence[Record], before: int = 0) -> None:
        """`before` texts were written by an earlier call."""
        self.train, self.count, self.redrawn = train, before, 0
        self.longest: tuple[int, str, str, int] | None = None
        """Its words, what it is, the title of the training text, and the number of the text that has it."""
        self.nearest: tuple[float, str, int] | None = None
        """The share that a training text has of a text, its title, and the number of the text."""

    def of(self, sample: Sample) -> dict[str, Any]:
        """The fields of a sample in JSON: "copied", its longest sequence, and "nearest", the training text that has
        most of its four-word sequences; each is null where there is none. Without a corpus there are no such fields."""
        self.count += 1
        self.redrawn += sample.redrawn > 0
        found = sample.copied
        if found is None:
            return {}
        fields: dict[str, Any] = {"copied": None, "nearest": None}
        if found.source is not None:
            start, end = found.span
            text, source = sample.text[start:end], self._text(found.source)
            fields["copied"] = {"words": found.longest, "start": start, "end": end, "text": text, "of": source}
            if self.longest is None or found.longest > self.longest[0]:
                self.longest = found.longest, " ".join(text.split()), source["title"], self.count
        if found.nearest is not None:
            source = self._text(found.nearest)
            fields["nearest"] = {"share": round(found.containment, 4), "of": source}
            if self.nearest is None or found.containment > self.nearest[0]:
                self.nearest = found.containment, source["title"], self.count
        return fields

    def tell(self) -> None:
        """Say the longest copy and the nearest training text of all texts, where they share four words in a row."""
        from arasuji.corpus.originality import SHINGLE

        if self.longest and self.longest[0] >= SHINGLE:
            words, text, title, number = self.longest
            say(f"copied     {words} words{self._of(number)}, at most: “{shortened(text, QUOTED)}” ({title})")
        if self.nearest:
            share, title, number = self.nearest
            say(f"nearest    {title}, with {100 * share:.0f} % of the four-word sequences{self._of(number)}")
        if self.redrawn:
            say(f"redrawn    {self.redrawn} of {self.count} texts, which shared too much with a training text")

    def _of(self, number: int) -> str:
        return f" of text {number}" if self.count > 1 else ""

    def _text(self, number: int) -> dict[str, str]:
        """What names a training text."""
        record = self.train[number]
        return {"id": record.id, "title": str(record.metadata.get("title") or record.id)}
