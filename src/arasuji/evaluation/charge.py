"""The charge of a tokenizer that is not lossless: -ln p(text | tokens), in nats.

Models with different tokenizers are compared on the bits of the same text. A word model never sees capitals, spacing
and rare words, so the bits for these are added to its own. They are those of a small model that is fitted on training
texts. It predicts what stands before each token (nothing, a space, something else), the letters of an unknown word and
their end, and how the word is written (in small letters, with a capital, in capitals, in a mixture, in another way).
Over all that a token may stand for, its probabilities add up to 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from arasuji import models
from arasuji.corpus import Record
from arasuji.models import IGNORED
from arasuji.padding import padded
from arasuji.tokenizers import Tokenizer

FITTED = 4000
"""The most texts that it is fitted on: twice as many lower the charge by less than 1 %."""
PULL = 1.0
"""The shorter context's share counts as much as this number of observations."""
ENDINGS = {".", "!", "?"}
"""A sentence begins after one of these; quotes and brackets may come first."""
AT_ONCE = 256
"""The number of strings that are scored at once, the short ones first."""
ORDER = 6
"""The order of the n-gram model of spelling, in bytes."""

SMALL, CAPITAL, CAPITALS, MIXED, OTHER = "small", "capital", "capitals", "mixed", "other"
GAPS = ("", " ", OTHER)
END = "end"
"""The kind of token that stands before the first one and after the last one."""


class Choice(NamedTuple):
    """One of several options, predicted from what was chosen before in the same contexts."""

    taken: str
    options: Sequence[str]
    contexts: tuple[Hashable, ...]
    """The shorter contexts come first."""


class Step(NamedTuple):
    """What has to be predicted to write one token as it stands in the text."""

    choices: list[Choice]
    spelled: list[str]
    """The strings that are predicted byte by byte: unknown words, and whatever is not among the options."""
    patterns: int = 1
    """The number of mixtures of capitals and small letters that the word may have; all are as likely."""


class Charge:
    """Fitted on texts of the training split, for a tokenizer that is not lossless."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, train: Sequence[Record]) -> Charge | None:
        """A charge that is fitted on records of the training split, evenly chosen; None for a lossless tokenizer."""
        if tokenizer.lossless or not train:
            return None
        return cls(tokenizer, (train[i].text for i in range(0, len(train), math.ceil(len(train) / FITTED))))

    def __init__(self, tokenizer: Tokenizer, texts: Iterable[str]) -> None:
        self.tokenizer = tokenizer
        self.seen: dict[Hashable, Counter[str]] = {}
        spelled: list[str] = []
        for text in texts:
            for step in self._steps(text):
                spelled += step.spelled
                for choice in step.choices:
                    for context in choice.contexts:
                        self.seen.setdefault(context, Counter())[choice.taken] += 1
        self.letters = _Letters(spelled)

    def nll(self, text: str) -> list[float]:
        """The charge of each token of a text, and of its end, in nats."""
        steps = list(self._steps(text))
        spelled = iter(self.letters.nll([string for step in steps for string in step.spelled]))
        return [
            math.log(step.patterns) - sum(map(self._log_share, step.choices)) + sum(next(spelled) for _ in step.spelled)
            for step in steps
        ]

    def _log_share(self, choice: Choice) -> float:
        """ln p of what was taken: the counts of each context are smoothed by the shares of the shorter one."""
        share = 1 / len(choice.options)
        for context in choice.contexts:
            counts = self.seen.get(context, Counter())
            total = sum(counts[option] for option in choice.options)
            share = (counts[choice.taken] + PULL * share) / (total + PULL)
        return math.log(share)

    def _steps(self, text: str) -> Iterator[Step]:
        """A step for each token, and one for the end."""
        before, begins, form_before, done = END, True, SMALL, 0
        for token, (start, end) in zip(self.tokenizer.encode(text), self.tokenizer.spans(text), strict=True):
            shown, known = text[start:end], self.tokenizer.spelling(token)
            word = shown.lower() if known is None else known
            kind = "unknown" if known is None else "word" if word[0].isalnum() else word
            gap, strings = _gap(text[done:start], (before, kind), (before, token))
            strings += [word] if known is None else []
            forms = _forms(word)
            patterns = _patterns(word, forms)
            form = next((name for name, form in forms.items() if form == shown), OTHER)
            if form == OTHER and patterns and _mixture(shown, word):
                form = MIXED
            strings += [shown] if form == OTHER else []
            options = [*forms, *([MIXED] if patterns else []), OTHER]
            written = Choice(form, options, (("form", begins, form_before), ("form", begins, token)))
            yield Step([gap, written], strings, patterns if form == MIXED else 1)
            before, done = kind, end
            begins = word in ENDINGS or (begins and not word[:1].isalnum())
            form_before = form if word[:1].isalnum() else form_before
        gap, strings = _gap(text[done:], (before, END))
        yield Step([gap], strings)


def _gap(gap: str, *contexts: Hashable) -> tuple[Choice, list[str]]:
    """The choice of what stands before a token, and what of it has to be spelled."""
    usual = gap in GAPS[:2]
    return Choice(gap if usual else OTHER, GAPS, tuple(("gap", context) for context in contexts)), [gap] * (not usual)


def _forms(word: str) -> dict[str, str]:
    """The different ways to write a word that is given in small letters."""
    forms = {SMALL: word, CAPITAL: word[:1].upper() + word[1:], CAPITALS: word.upper()}
    first = {form: name for name, form in reversed(forms.items()) if form.lower() == word}
    return {name: form for name, form in forms.items() if first.get(form) == name}


def _mixture(shown: str, word: str) -> bool:
    """Whether the two differ only in letters that have one capital each."""
    return len(shown) == len(word) and all(a == b or a == _capital(b) for a, b in zip(shown, word, strict=True))


def _capital(letter: str) -> str | None:
    capital = letter.upper()
    return capital if len(capital) == 1 and capital != letter == capital.lower() else None


def _patterns(word: str, forms: dict[str, str]) -> int:
    """The number of mixtures that are none of the usual forms."""
    return 2 ** sum(_capital(letter) is not None for letter in word) - sum(_mixture(f, word) for f in forms.values())


class _Letters:
    """An n-gram model of bytes, in which each string has an end."""

    vocabulary_size, end_id, pad_id = 257, 256, 256

    def __init__(self, strings: list[str]) -> None:
        family: Any = models.family("ngram")
        self.model = family.build(family.Config(order=ORDER), self).train()
        self.nll(strings)  # in training mode, the model counts what it reads
        self.model.eval()

    def nll(self, strings: list[str]) -> list[float]:
        """The negative log-likelihood of each string in nats."""
        found = [0.0] * len(strings)
        order = sorted(range(len(strings)), key=lambda i: len(strings[i].encode()))
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            rows = [[self.end_id, *strings[i].encode(), self.end_id] for i in some]
            ids, targets = padded([row[:-1] for row in rows], self.pad_id), padded([row[1:] for row in rows], IGNORED)
            for i, nll in zip(some, self.model(ids, targets)[0].sum(1).tolist(), strict=True):
                found[i] = nll
        return found
