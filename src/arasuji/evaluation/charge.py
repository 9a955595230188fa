"""What a tokenizer that throws something away is charged for putting it back: -ln p(text | tokens).

Models with different tokenizers are compared on the bits of the same text, so a word model, which never sees capitals,
spacing and rare words, has to pay for them too. It pays what a small model asks that is fitted on training texts: for
what stands before each token (nothing, a space, something else), for the letters of an unknown word and their end, and
for how the word is written (in small letters, with a capital, in capitals, in a mixture, in another way). Over all that
a token may stand for, the probabilities add up to 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from arasuji import models
from arasuji.corpus import Record
from arasuji.models import IGNORED
from arasuji.tokenizers import Tokenizer

FITTED = 4000
"""Texts it is fitted on at most: twice as many lower the charge by less than 1 %."""
PULL = 1.0
"""How many observations the shorter context is worth."""
ENDINGS = {".", "!", "?"}
"""After these a sentence begins; quotes and brackets may come first."""
AT_ONCE = 256
"""Strings that are spelled at once, the short ones first."""
LONGEST_RUN = 6
"""Bytes, in the model of spelling."""

SMALL, CAPITAL, CAPITALS, MIXED, OTHER = "small", "capital", "capitals", "mixed", "other"
GAPS = ("", " ", OTHER)
END = "end"
"""Stands before the first token and after the last one."""


class Choice(NamedTuple):
    """One of several options, foretold from what was chosen before in the same contexts."""

    taken: str
    options: Sequence[str]
    contexts: tuple[Hashable, ...]
    """The shorter ones first."""


class Step(NamedTuple):
    """What has to be said of one token."""

    choices: list[Choice]
    spelled: list[str]
    """In bytes: unknown words, and whatever is not among the options."""
    patterns: int = 1
    """Mixtures of capitals and small letters that the word may have, all as likely."""


class Charge:
    """Fitted on texts of the training split, for a tokenizer that is not lossless."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, train: Sequence[Record]) -> Charge | None:
        """Fitted on records of the training split, evenly chosen; None for a tokenizer that owes nothing."""
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

    def nats(self, text: str) -> list[float]:
        """The price of each token of a text, and of its end."""
        steps = list(self._steps(text))
        prices = iter(self.letters.nats([string for step in steps for string in step.spelled]))
        return [
            math.log(step.patterns) - sum(map(self._log_share, step.choices)) + sum(next(prices) for _ in step.spelled)
            for step in steps
        ]

    def _log_share(self, choice: Choice) -> float:
        """ln p of what was taken: each context's counts, drawn towards the shares of the shorter one."""
        share = 1 / len(choice.options)
        for context in choice.contexts:
            counts = self.seen.get(context, Counter())
            all_of_them = sum(counts[option] for option in choice.options)
            share = (counts[choice.taken] + PULL * share) / (all_of_them + PULL)
        return math.log(share)

    def _steps(self, text: str) -> Iterator[Step]:
        """One for each token, and one for the end."""
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
    """What stands before a token, and what has to be spelled of it."""
    usual = gap in GAPS[:2]
    return Choice(gap if usual else OTHER, GAPS, tuple(("gap", context) for context in contexts)), [gap] * (not usual)


def _forms(word: str) -> dict[str, str]:
    """The different ways to write a word, which is in small letters."""
    forms = {SMALL: word, CAPITAL: word[:1].upper() + word[1:], CAPITALS: word.upper()}
    first = {form: name for name, form in reversed(forms.items()) if form.lower() == word}
    return {name: form for name, form in forms.items() if first.get(form) == name}


def _mixture(shown: str, word: str) -> bool:
    """Whether only letters that have one capital each tell the two apart."""
    return len(shown) == len(word) and all(a == b or a == _capital(b) for a, b in zip(shown, word, strict=True))


def _capital(letter: str) -> str | None:
    capital = letter.upper()
    return capital if len(capital) == 1 and capital != letter == capital.lower() else None


def _patterns(word: str, forms: dict[str, str]) -> int:
    """How many mixtures there are beside the usual forms."""
    return 2 ** sum(_capital(letter) is not None for letter in word) - sum(_mixture(f, word) for f in forms.values())


class _Letters:
    """An n-gram model of bytes, in which each string has an end."""

    vocabulary_size, end_id, pad_id = 257, 256, 256

    def __init__(self, strings: list[str]) -> None:
        family: Any = models.family("ngram")
        self.model = family.build(family.Config(order=LONGEST_RUN), self).train()
        self.nats(strings)
        self.model.eval()

    def nats(self, strings: list[str]) -> list[float]:
        """The price of each string."""
        paid = [0.0] * len(strings)
        order = sorted(range(len(strings)), key=lambda i: len(strings[i].encode()))
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            rows = [[self.end_id, *strings[i].encode(), self.end_id] for i in some]
            ids = torch.full((len(rows), len(rows[-1]) - 1), self.pad_id)
            targets = torch.full_like(ids, IGNORED)
            for i, row in enumerate(rows):
                ids[i, : len(row) - 1] = torch.tensor(row[:-1])
                targets[i, : len(row) - 1] = torch.tensor(row[1:])
            for i, nats in zip(some, self.model(ids, targets)[0].sum(1).tolist(), strict=True):
                paid[i] = nats
        return paid
