"""What is asked of a text beside its fields and its settings, as processors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arasuji.corpus.suffixes import Suffixes
from arasuji.errors import OptionError
from arasuji.generation.ending import Ending, endings_of
from arasuji.generation.guard import CopyRule, Forbidden
from arasuji.generation.mending import Balanced, DoubledWords, marks_of
from arasuji.generation.phrases import ForbiddenPhrases
from arasuji.generation.pieces import Pieces
from arasuji.generation.processors import Processor
from arasuji.generation.required import Phrase, RequiredWords
from arasuji.generation.words import Rule, WordProcessor


@dataclass(frozen=True)
class Wishes:
    """What is asked of a text."""

    required: Sequence[str] = ()
    """Words, or phrases of several, that stand in it, in any case."""
    without: Sequence[str] = ()
    """Words, or phrases of several, that do not stand in its new part, in any case and with any spacing."""
    words: tuple[int, int] | None = None
    """The smallest and the largest number of its words, its prompt included, within which it ends by itself."""
    mended: bool = True
    """Whether quotes and brackets are balanced, no word is doubled that is not doubled in a training text, and a text
    whose length is used up ends with a sentence."""

    def check(self) -> None:
        """Raise OptionError where they contradict each other."""
        if self.words is not None and not 1 <= self.words[0] <= self.words[1]:
            raise OptionError(f"words {self.words[0]}..{self.words[1]}: from 1 word on, the smaller number first")
        both = {word.casefold() for word in self.required} & {word.casefold() for word in self.without}
        if both:
            raise OptionError(f"{min(both)!r} is to stand in the text, and is not to")


def processors_for(
    wishes: Wishes, pieces: Pieces, copies: Forbidden | None = None, training: Suffixes | None = None
) -> list[Processor]:
    """What grants the wishes, and writes no `copies`. Raises OptionError for a word that cannot be written."""
    rules: list[Rule] = []
    if copies:
        rules.append(CopyRule(copies))
    if wishes.without:
        rules.append(ForbiddenPhrases(pieces, wishes.without))
    if wishes.mended:
        rules.append(DoubledWords(training))
    found: list[Processor] = [WordProcessor(pieces, rules)] if rules else []
    if wishes.mended or wishes.words:
        found.append(Ending(endings_of(pieces), wishes.words))
    if wishes.required:
        phrases = [Phrase(text, pieces.tokenizer) for text in wishes.required]
        found.append(RequiredWords(pieces, phrases, wishes.words[1] if wishes.words else None))
    if wishes.mended:
        found.append(Balanced(marks_of(pieces)))
    return found
