"""A text ends by itself, at the end of a sentence: before its room is used up, or within a range of words. The end is
made likelier or forbidden; no text is cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from arasuji.corpus.script import count_words, is_unspaced
from arasuji.corpus.sentences import is_final, only_closes
from arasuji.errors import PromptError
from arasuji.generation.pieces import Pieces
from arasuji.generation.processors import NEVER, Processor

SENTENCE = 12
"""Where fewer words than a short sentence has are left, the text ends at the next end of a sentence, and its mark grows
likelier with each word."""
TOKENS_PER_WORD = 1.5
"""How many tokens a word of a synopsis has, about."""
LIKELIER = 6.0
"""What is added at last to the score of the marks that end a sentence."""
FORCED = 1e4
"""Where some tokens are the only ones to come next, unless they are forbidden, the scores of the others are lower by
this. It is far more than scores differ, also after a temperature of 100."""
LEAST_ROOM = 30
"""A text of fewer tokens has hardly room for a sentence, and is left as it is."""


@lru_cache(4)
def endings_of(pieces: Pieces) -> Endings:
    """The `Endings` of a tokenizer, kept for the next texts."""
    return Endings(pieces)


class Endings:
    """The tokens of a tokenizer by what they do to the end of a sentence."""

    def __init__(self, pieces: Pieces) -> None:
        self.tokenizer, self.end_id = pieces.tokenizer, pieces.tokenizer.end_id
        texts = {token: pieces.piece(token) for token in pieces.all}
        self.final = {token for token, text in texts.items() if text and is_final(text)}
        """Those with which a sentence ends."""
        self.closing = {token for token, text in texts.items() if text and only_closes(text)}
        """Those that change nothing about this: quotes, brackets and white space."""
        stops = [token for token in self.final if not any(c.isalnum() or c.isspace() for c in texts[token] or "")]
        self.stops = torch.tensor(stops, dtype=torch.int64)
        """Those that end a sentence and are nothing else."""
        beginning = [t for t, text in texts.items() if text is None or _begins_word(text)]
        self.beginning = torch.tensor(beginning, dtype=torch.int64)
        """Those that begin another word, or may."""
        lines = [t for t, text in texts.items() if text and not text.strip() and "\n" in text]
        self.lines = torch.tensor(lines, dtype=torch.int64)
        """Those that begin a new line, and are nothing else."""

    def go_on(self, scores: Tensor) -> None:
        """Forbid the end. Where it was the likeliest, no new line follows in its place either."""
        if scores.argmax() == self.end_id:
            scores[self.lines.to(scores.device)] = NEVER
        scores[self.end_id] = NEVER


def force(scores: Tensor, tokens: Tensor | int) -> None:
    """Let one of the tokens come next, unless all of them are forbidden. Their own scores stay as they are, so that
    beams can be compared."""
    kept = scores[tokens].clone()
    scores -= FORCED
    scores[tokens] = kept


def _begins_word(text: str) -> bool:
    return bool(text.strip()) and (text[0].isspace() or is_unspaced(text.strip()[0]))


class Ending(Processor):
    """Looks for the end of a sentence where the text is to end."""

    def __init__(self, endings: Endings, words: tuple[int, int] | None = None) -> None:
        """`words` is the smallest and the largest number of words of the text, its prompt included."""
        self.endings, self.range = endings, words
        self.room = 0
        self.before = ""
        """The prompt as a text, with `prompt` as its tokens and `written` after them."""
        self.prompt: Sequence[int] = ()
        self.written: list[int] = []
        self.ended = False
        """Whether a sentence has ended."""
        self.over = 0
        """For how many tokens there has been no room for another word."""
        self.known = 0.0
        """The number of words that stand after the new part."""

    def begin(self, tokens: Sequence[int], text: str, room: int, ending: str = "") -> None:
        self.room, self.before, self.prompt = room, text, tokens
        self.ended = is_final(text)
        if self.range:
            low, high = self.range
            self.known = count_words(ending)
            least = low - count_words(text) - self.known
            if count_words(text) + self.known > high:
                raise PromptError(f"the prompt has {count_words(text) + self.known:g} words, and {high} are asked for")
            if least > room:
                raise PromptError(f"the model has room for {room} more tokens, and {least:g} more words are asked for")

    def read(self, token: int) -> None:
        if token in self.endings.final:
            self.ended = True
        elif token not in self.endings.closing:
            self.ended = False
        if self.range:
            self.written.append(token)

    def changes_nothing(self, new: int) -> bool:
        return not self.range and (self.room < LEAST_ROOM or self._words_of_room(new) >= SENTENCE)

    def _words_of_room(self, new: int) -> float:
        """How many words there is room for; two tokens are kept for a mark and the end."""
        return (self.room - new - 2) / TOKENS_PER_WORD

    def __call__(self, scores: Tensor, new: int) -> None:
        end, left, within = self.endings.end_id, self._words_of_room(new), True
        if self.range:
            new_text = self.endings.tokenizer.continuation([*self.prompt], self.written)
            count = count_words(self.before + new_text) + self.known
            within, left = count >= self.range[0], min(left, self.range[1] - count)
        if not within:
            self.endings.go_on(scores)
        elif self.ended and left < SENTENCE:
            force(scores, end)
        elif self.ended:  # all sentences' ends that are still possible are equally likely to be the last
            chance = 1 / (1 + left / SENTENCE)
            wanted = scores.logsumexp(-1) + math.log(chance / (1 - chance))
            scores[end] = torch.maximum(scores[end], wanted)
        if within and not self.ended and left < SENTENCE:
            self._look_for_end(scores, left, self._words_of_room(new) <= 0)

    def _look_for_end(self, scores: Tensor, left: float, full: bool) -> None:
        """Make the marks that end a sentence likelier, where `left` words may come before; the last word is still
        written to its end, unless all tokens are used up (`full`)."""
        stops = self.endings.stops.to(scores.device)
        if full:
            force(scores, stops)
        elif left > 0:
            scores[stops] += LIKELIER * (1 - left / SENTENCE)
        else:
            self.over += 1
            scores[self.endings.beginning.to(scores.device)] = NEVER
            scores[stops] += LIKELIER * self.over

    def fork(self) -> Self:
        other = type(self)(self.endings, self.range)
        other.room, other.before, other.prompt, other.written = self.room, self.before, self.prompt, [*self.written]
        other.ended, other.over, other.known = self.ended, self.over, self.known
        return other
