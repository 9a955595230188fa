"""Words of a text that is being written, whatever its tokens are: which words may not come next, and the tokens that
would complete them.

Words are those of `words_of`: case and punctuation do not count.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Self

from arasuji.corpus.script import is_open, words_of
from arasuji.generation.pieces import Pieces
from arasuji.generation.processors import Forbidding
from arasuji.tokenizers import HALF

Words = tuple[str, ...]
"""Words that were written one after another."""


class Rule(ABC):
    """Forbids words in one text."""

    longest: int
    """How many of the last complete words it looks at."""

    @abstractmethod
    def push(self, word: str) -> None:
        """Take note of a word that is complete."""

    @abstractmethod
    def may_forbid(self, row: WordProcessor) -> bool:
        """A quick look, without the tokens: False where nothing is forbidden now."""

    @abstractmethod
    def forbidden(self, row: WordProcessor) -> list[int]:
        """The tokens that may not come next."""

    def fork(self) -> Self:
        """A rule that has seen the same, for a beam that branches; itself where it remembers nothing."""
        return self


class WordProcessor(Forbidding):
    """Follows the words of one text, and forbids the tokens that a rule forbids."""

    def __init__(self, pieces: Pieces, rules: Sequence[Rule]) -> None:
        self.pieces, self.rules = pieces, rules
        self.longest = max((rule.longest for rule in rules), default=0)
        self.words: Words = ()
        """The last complete words, as many as a rule looks at."""
        self.open = ""
        """The letters of the word that is being written."""
        self.spaced = False
        """Whether only white space stands after the last complete word."""
        self.last: int | None = None
        """The last token whose text is certain."""
        self.waiting: list[int] = []
        """The tokens after it, whose text is not."""

    def begin(self, tokens: Sequence[int], text: str, room: int, ending: str = "") -> None:
        self._add(text.casefold())
        self.last = tokens[-1] if tokens and tokens[-1] not in self.pieces.tokenizer.unsettled else None

    def read(self, token: int) -> None:
        plain = self.pieces.plain.get(token) if not self.waiting else None
        if plain:
            letters, ends_word, marks = plain
            if ends_word:
                if self.open:
                    self._push(self.open)
                    self.spaced = True
                if marks:
                    self.spaced = False
                self.open = letters
            else:
                self.open += letters
            self.last = token
            return
        piece = self.pieces.piece(token) if not self.waiting else None
        if piece is None:
            self.waiting.append(token)
            piece = self.added()
            if token in self.pieces.tokenizer.unsettled or piece.endswith(HALF):
                return
            self.waiting = []
        self.last = token
        self._add(piece)

    def _add(self, piece: str) -> None:
        """Take note of more text."""
        whole = self.open + piece
        words, self.open = words_and_rest(whole)
        for word in words:
            self._push(word)
        if words or not self.open:
            before = whole.removesuffix(self.open)
            between = before.rpartition(words[-1])[2] if words else before
            self.spaced = (self.spaced or bool(words)) and not between.strip()

    def _push(self, word: str) -> None:
        for rule in self.rules:
            rule.push(word)
        if self.longest:
            self.words = (*self.words, word)[-self.longest :]

    def forbidden(self, new: int) -> list[int]:
        found: list[int] = []
        for rule in self.rules:
            if rule.may_forbid(self):
                found += rule.forbidden(self)
        return found

    def _new(self) -> Self:
        """A processor of the same kind that has read nothing."""
        return type(self)(self.pieces, [rule.fork() for rule in self.rules])

    def fork(self) -> Self:
        other = self._new()
        other.words, other.open, other.spaced = self.words, self.open, self.spaced
        other.last, other.waiting = self.last, list(self.waiting)
        return other

    def added(self, *more: int) -> str:
        """The text of the waiting tokens, and of one more, in small letters."""
        return self.pieces.tokenizer.continuation(
            [] if self.last is None else [self.last], [*self.waiting, *more]
        ).casefold()


class SequenceRule(Rule):
    """Forbids words that complete a sequence of words."""

    always: Sequence[int] = ()
    """Tokens of so many words that they may complete one whatever stands before."""

    @abstractmethod
    def completing(self, words: Words) -> Collection[str]:
        """The words that would complete a sequence after others."""

    @abstractmethod
    def beginning(self, words: Words) -> Collection[str]:
        """The words with which a token of several words may begin that completes a sequence."""

    def forbidden(self, row: WordProcessor) -> list[int]:
        return self.tokens_of(row, self.completing)

    def tokens_of(self, row: WordProcessor, completing: Callable[[Words], Collection[str]]) -> list[int]:
        """The tokens that would write one of the `completing` words, or of several words the last of a sequence."""
        pieces, words, open = row.pieces, row.words, row.open
        if row.waiting:
            more, open = words_and_rest(open + row.added())
            words = (*words, *more)
        longer = (*words, open) if open else None
        tokens: list[int] = []
        for word in completing(words):
            if not open:
                tokens += pieces.joining.get(word, []) + pieces.apart.get(word, [])
            elif word.startswith(open):
                tokens += pieces.joining.get(word.removeprefix(open), [])
        if longer is not None:
            for word in completing(longer):
                tokens += pieces.apart.get(word, [])
        others = self._several(pieces, words, open, longer) if pieces.most > 1 else []
        if row.waiting:
            others += pieces.halves
        return tokens + [token for token in others if self._completes_one(row, token)]

    def _several(self, pieces: Pieces, words: Words, open: str, longer: Words | None) -> list[int]:
        """The tokens of several words, and of no certain text, that may complete a sequence here."""
        found = list(self.always)
        places = [(words, open)] if longer is None else [(words, open), (longer, "")]
        for before, begun in places:
            following = self.beginning(before)
            for word in following:
                if word.startswith(begun):
                    found += pieces.several.get(word.removeprefix(begun), [])
            if following:
                found += pieces.uncertain
        return list(dict.fromkeys(found))

    def _completes_one(self, row: WordProcessor, token: int) -> bool:
        """Whether a token completes a sequence."""
        words = row.words
        for place, word in enumerate(words_of(row.open + row.added(token))):
            if word in self.completing(words) and (place or word != row.open):
                return True
            words = (*words, word)
        return False


def words_and_rest(text: str) -> tuple[list[str], str]:
    """The complete words of a text, and the one that letters after it would make longer."""
    words = words_of(text)
    return words, words.pop() if is_open(text) else ""
