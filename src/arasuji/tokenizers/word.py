"""Words and punctuation marks, lower-cased, as in the article: NLTK's word tokenizer and two dictionaries."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from arasuji.errors import OptionError
from arasuji.files import read_json
from arasuji.speech import say
from arasuji.tokenizers import Tokenizer
from arasuji.tokenizers._checked import FILE_BYTES, door
from arasuji.tokenizers._stream import Stream

END, UNKNOWN, PAD = "<end>", "<unk>", "<pad>"
"""The special words; no text holds them as words, since NLTK cuts at the brackets."""
SENTENCE = re.compile(r".+?(?:[.!?…。][\"'”’)\]]*(?= )|$)")
"""A sentence, with the closing quotes and brackets after it. NLTK's own sentence splitter needs a download."""

CLOSING = {".", ",", "!", "?", ";", ":", ")", "]", "}", "%", "…", "...", "”", "''", "。", "、"}
"""No space stands before these."""
OPENING = {"(", "[", "{", "“", "``", "$", "#"}
"""No space stands after these."""
SUFFIX = re.compile(r"^(n't|'(s|m|d|re|ve|ll|t|em))$")
"""The parts that NLTK cuts off a word, as in "do" + "n't" and "girl" + "'s"."""
QUOTES = {"``": '"', "''": '"'}
"""NLTK writes these marks where a quotation opens and where it closes; a text has the other one."""
HALVES = {("can", "not"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("wan", "na")}
"""NLTK cuts a word in two at these places."""
FEW = 100
"""A vocabulary with fewer words than this is noted: hardly a text can be written with it."""
OFTEN = 0.5
"""A vocabulary is noted where more than this share of the words it was made from are unknown to it."""


class Config(BaseModel):
    """Options of the tokenizer `word`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    min_count: int = Field(2, ge=1)
    """Words seen fewer times in the training split become `<unk>`."""


@cache
def _treebank() -> Any:
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()


def words_of(text: str) -> list[str]:
    """The lower-cased words and marks of a text, in order (NLTK's Treebank rules, sentence by sentence)."""
    return [word for sentence in _sentences(text) for word in _treebank().tokenize(sentence)]


def places_of(text: str) -> list[tuple[int, int]]:
    """Where each of the words of a text stands in it: its first character, and the one after its last."""
    lengths = [end - start for sentence in _sentences(text) for start, end in _treebank().span_tokenize(sentence)]
    # Only white space lies between words; a capital may have two small letters.
    places = [i for i, letter in enumerate(text) if not letter.isspace() for _ in letter.lower()]
    ends = list(accumulate(lengths, initial=0))
    return [(places[start], places[end - 1] + 1) for start, end in pairwise(ends)]


def _sentences(text: str) -> list[str]:
    """The sentences in small letters, one space between words: NLTK tells opening quotes by the space before them."""
    return SENTENCE.findall(" ".join(text.lower().split()))


class Writer:
    """Words and marks as a person would write them: spacing, capitals after a full stop, "I".

    Each word's text depends on what came before it, and never on what follows.
    """

    def __init__(self) -> None:
        self._before = ""
        self._sentence_begins = self._glue = True
        self._open = {'"': False, "'": False}

    def add(self, word: str) -> str:
        """The text of the next word, with the space before it."""
        closing = word in CLOSING or bool(SUFFIX.match(word)) or (self._before, word) in HALVES
        opening = word in OPENING
        if word in self._open:
            closing = self._open[word]
            opening = self._open[word] = not closing
        shown = "I" if word == "i" else QUOTES.get(word, word)
        if self._sentence_begins and (word[0].isalnum() or word == UNKNOWN):
            shown, self._sentence_begins = shown[0].upper() + shown[1:], False
        text = shown if self._glue or closing else " " + shown
        self._glue, self._before = opening, word
        if word in {".", "!", "?", "...", "…", "。"}:
            self._sentence_begins = word not in {"...", "…"}
        return text


class Words:
    """The stream of a word tokenizer: nothing is ever held back."""

    def __init__(self, word_at: dict[int, str], silent: set[int]) -> None:
        self._word_at, self._silent, self._writer = word_at, silent, Writer()

    def add(self, token: int) -> str:
        return "" if token in self._silent else self._writer.add(self._word_at[token])

    def rest(self) -> str:
        return ""


class Word(Tokenizer):
    """See `Tokenizer`. `index_of` and `word_at` are the article's two dictionaries."""

    lossless = False

    def __init__(self, words: list[str]) -> None:
        self.word_at = dict(enumerate(words))
        self.index_of = {word: index for index, word in self.word_at.items()}
        self.vocabulary_size = len(words)
        self.end_id, self.unknown_id = self.index_of[END], self.index_of[UNKNOWN]
        self.pad_id = self.index_of[PAD]

    @property
    def never_written(self) -> list[int]:
        return [self.pad_id, self.unknown_id]

    def encode(self, text: str) -> list[int]:
        return [self.index_of.get(word, self.unknown_id) for word in words_of(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        return places_of(text)

    def spelling(self, token: int) -> str | None:
        word = self.word_at[token]
        return None if token == self.unknown_id else QUOTES.get(word, word)

    def decode(self, ids: list[int]) -> str:
        stream = self.stream([])
        return "".join(stream.add(i) for i in ids)

    def piece(self, token: int) -> str | None:
        word = self.word_at[token]
        joined = SUFFIX.match(word) or any(word == second for _, second in HALVES)
        return None if joined else " " * (word not in CLOSING) + QUOTES.get(word, word)

    def stream(self, prompt: list[int]) -> Stream:
        stream = Words(self.word_at, {self.end_id, self.pad_id})
        for token in prompt:
            stream.add(token)
        return stream

    def save(self, folder: Path) -> None:
        words = json.dumps(list(self.word_at.values()), ensure_ascii=False, indent=0)
        (folder / "words.json").write_text(words + "\n", "utf-8")


def build(config: Config, texts: Iterable[str], base: Path | None = None) -> Word:
    """The words of the texts, the most frequent first."""
    if base is not None:
        raise OptionError("the tokenizer 'word' is made from the corpus; a base brings its own: say 'pretrained'")
    counts = Counter(word for text in texts for word in words_of(text))
    known = sorted((w for w, n in counts.items() if n >= config.min_count), key=lambda w: (-counts[w], w))
    if not known:
        raise OptionError(
            f"no word of the training split stands there {config.min_count} times, so all would be unknown: lower "
            "--set tokenizer.min_count"
        )
    unknown = 1 - sum(counts[word] for word in known) / counts.total()
    if len(known) < FEW or unknown > OFTEN:
        share = f"{unknown:.0%}".replace("%", " %")
        say(
            f"note       the vocabulary holds only {len(known):,} words, and {share} of the training split's words are "
            "unknown: lower --set tokenizer.min_count, or take a preset of subwords, such as lstm-small"
        )
    return Word([END, UNKNOWN, PAD, *known])


def load(folder: Path) -> Word:
    """Read back what `save` wrote."""
    with door(folder):
        words = read_json(folder / "words.json", FILE_BYTES)
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise ValueError("words.json holds no list of words")
        if len(set(words)) < len(words) or not {END, UNKNOWN, PAD} <= set(words):
            raise ValueError(f"words.json holds a word twice, or lacks {END}, {UNKNOWN} or {PAD}")
        return Word(words)
