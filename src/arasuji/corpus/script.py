"""How long a text is, in any script: by words where a script has spaces, by characters where it has none."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""A character of a script written without spaces: Thai, Lao, Burmese, Khmer, kana, bopomofo, Han, and their marks."""
CHARACTERS_PER_WORD = 2
"""A Japanese or Chinese word has about this many characters."""

_UNSPACED = re.compile(UNSPACED)
_ASCII_WORD = re.compile(r"\w+")


@cache
def _word() -> re.Pattern[str]:
    """A word: letters, digits and the marks that go with them, which are vowels in many scripts."""
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"{UNSPACED}|(?:(?!{UNSPACED})[\w{marks}])+")


def words_of(text: str) -> list[str]:
    """The words in lower case, without punctuation; in a script without spaces, every character."""
    lower = text.casefold()
    return (_ASCII_WORD if lower.isascii() else _word()).findall(lower)


def is_unspaced(word: str) -> bool:
    """Whether a word of `words_of` is a character of a script without spaces."""
    return bool(_UNSPACED.match(word))


def is_open(text: str) -> bool:
    """Whether a text ends within a word, which letters that follow would make longer."""
    last = text[-1:]
    return bool(_word().fullmatch(last)) and not _UNSPACED.match(last)


def placed_words(text: str) -> list[tuple[str, int, int]]:
    """The words of `words_of`, each with its first character and the one after its last."""
    found = (_ASCII_WORD if text.isascii() else _word()).finditer(text)
    return [(match[0].casefold(), match.start(), match.end()) for match in found]


def count_words(text: str, characters_per_word: int = CHARACTERS_PER_WORD) -> float:
    """The number of words: what stands between white space, and in a script without spaces one for each
    `characters_per_word` characters, unless that is 0."""
    if characters_per_word == 0 or text.isascii():
        return len(text.split())
    spaced, unspaced = _UNSPACED.subn(" ", text)
    return len(spaced.split()) + unspaced / characters_per_word
