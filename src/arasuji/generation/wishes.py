"""What is asked of a text beside its fields and its settings, as processors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from arasuji import arguments
from arasuji.corpus.script import words_of
from arasuji.corpus.suffixes import Suffixes
from arasuji.errors import OptionError
from arasuji.generation.echo import Echo
from arasuji.generation.ending import Ending, endings_of
from arasuji.generation.guard import CopyRule, Forbidden
from arasuji.generation.mending import Balanced, DoubledWords, marks_of
from arasuji.generation.phrases import forbidden_phrases
from arasuji.generation.pieces import Pieces
from arasuji.generation.processors import Processor
from arasuji.generation.required import Phrase, RequiredWords
from arasuji.generation.texts import as_text
from arasuji.generation.words import Rule, WordProcessor

LONGEST_OF_LIKE = 8
"""A variation has at most this many words in a row of the text that it varies."""


@dataclass(frozen=True)
class Wishes:
    """What is asked of a text."""

    required: Sequence[str] | str = ()
    """Words, or phrases of several, that stand in it, in any case."""
    without: Sequence[str] | str = ()
    """Words, or phrases of several, that do not stand in its new part, in any case and with any spacing."""
    words: tuple[int, int] | None = None
    """The smallest and the largest number of its words, its prompt included, within which it ends by itself."""
    names: bool = True
    """Whether it may have titles of training texts, and names that stand in few of them."""
    like: str = ""
    """A text whose words are likelier in it, and of which it has no long sequence beyond its prompt."""
    mended: bool = True
    """Whether quotes and brackets are balanced, no word is doubled unless training texts double it, and a text whose
    length is used up ends with a sentence."""

    def __post_init__(self) -> None:
        """Raise OptionError where they contradict each other, or mean nothing."""
        for name in ("required", "without"):  # a single text may be given as it is
            object.__setattr__(self, name, tuple(map(as_text, arguments.texts(getattr(self, name)))))
        if self.words is not None:
            if isinstance(self.words, str) or not isinstance(self.words, Sequence) or len(self.words) != 2:
                raise OptionError(f"words are the smallest and the largest number of them, and not {self.words!r}")
            if not 1 <= self.words[0] <= self.words[1]:
                raise OptionError(f"words {self.words[0]}..{self.words[1]}: the smaller number comes first, 1 or more")
            needed = sum(len(words_of(text)) for text in self.required)
            if needed > self.words[1]:
                raise OptionError(f"{needed} words are to stand in the text, and it may have {self.words[1]}")
        for text in self.required:
            wanted = words_of(text)
            for other in self.without:
                unwanted = words_of(other)
                if unwanted and unwanted in (wanted[i : i + len(unwanted)] for i in range(len(wanted))):
                    raise OptionError(f"{text!r} is to stand in the text, and {other!r} is not to")


def processors_for(
    wishes: Wishes,
    pieces: Pieces,
    copies: Forbidden | None = None,
    training: Suffixes | None = None,
    names: tuple[str, ...] = (),
) -> list[Processor]:
    """What grants the wishes, and writes no `copies`, and none of the `names` that a training split knows. Raises
    OptionError for a word that cannot be written."""
    rules: list[Rule] = []
    if copies:
        rules.append(CopyRule(copies))
    if wishes.without:
        rules.append(forbidden_phrases(pieces, tuple(wishes.without)))
    if names:
        rules.append(forbidden_phrases(pieces, names))
    if wishes.like:
        words, size = words_of(wishes.like), LONGEST_OF_LIKE + 1
        sequences = tuple(" ".join(words[i : i + size]) for i in range(len(words) - size + 1))
        rules.append(forbidden_phrases(pieces, sequences))
    phrases = [Phrase(text, pieces.tokenizer) for text in wishes.required]
    if wishes.mended:
        rules.append(DoubledWords(training, {a for one in phrases for a, b in pairwise(one.words) if a == b}))
    for phrase in phrases:
        _check_allowed(phrase, pieces, rules)
    found: list[Processor] = [WordProcessor(pieces, rules)] if rules else []
    if wishes.like:
        found.append(Echo.of(wishes.like, pieces.tokenizer))
    if wishes.mended or wishes.words:
        found.append(Ending(endings_of(pieces), wishes.words))
    if phrases:
        found.append(RequiredWords(pieces, phrases, wishes.words[1] if wishes.words else None))
    if wishes.mended:
        found.append(Balanced(marks_of(pieces)))
    return found


def _check_allowed(phrase: Phrase, pieces: Pieces, rules: Sequence[Rule]) -> None:
    """Raise OptionError where a rule forbids what is to stand in the text."""
    reading = WordProcessor(pieces, [rule.fork() for rule in rules])
    for new, token in enumerate(phrase.apart):
        if token in reading.forbidden(new):
            raise OptionError(
                f"{' '.join(phrase.words)!r} is to stand in the text, and is kept out as a copy, a known name, or "
                "an unwanted word: leave one of both out"
            )
        reading.read(token)
