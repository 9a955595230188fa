"""Rules that mend a text and remove nothing: HTML, broken encodings, accents, white space, source notes.

Each is idempotent: a mended text is left as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

import ftfy

from arasuji.corpus.characters import composed, tidy
from arasuji.corpus.record import Record
from arasuji.corpus.registry import Texts, mended, rule, settled

_TAG_NAMES = (
    "a|abbr|b|big|blockquote|br|center|cite|code|dd|del|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|li|ol|p|pre|q|s|small|"
    "span|strike|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul"
)
_TAG = re.compile(rf"<(/?)({_TAG_NAMES})(?:\s+[\w-]+\s*=[^<>]*|\s*/?)>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--[^<>]*-->")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_BREAKING = {"br", "p", "div", "li", "tr", "hr", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
"""In the place of these tags a line ends."""

# What ftfy may touch: encodings that went wrong, and nothing that only looks unusual.
_FTFY = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_control_chars=False,
    normalization=None,
    explain=False,
)

# Where ftfy may have something to do: a UTF-8 character decoded wrongly is two of these or more, or one and a space.
_SUSPECT = re.compile(r"[^\x00-\x7f][ ]?[^\x00-\x7f]|[\x80-\x9f\ud800-\udfff]|[À-ö][ ]")

# What every source note holds; most texts hold none of it, and looking for it is quick.
_NOTED = ("source", "written by", "translated by", "edited by")

_INSIDE = r"(?:[^()\[\]]|\([^()]*\)|\[[^\[\]]*\])*"
_NOTE = re.compile(
    rf"(?<!\s)\s*(?:[(（]\s*sources?\s*[:：]{_INSIDE}[)）]"
    rf"|\[\s*(?:sources?\s*[:：]|(?:written|translated|edited) by\b){_INSIDE}\])",
    re.IGNORECASE,
)
# Without brackets, or with one that never closes, a note is trusted at the very end only.
_LAST_NOTE = re.compile(
    r"(?:\A|\n|(?<=[.!?…\"”')。」]))[^\S\n]*(?:[(（\[]\s*)?(?:sources?\s*[:：]|\[\s*written by\b)[^\n]{0,80}\Z",
    re.IGNORECASE,
)


@rule("html")
def strip_html(records: Iterable[Record]) -> Texts:
    """Tags and comments out (a break becomes a line end), entities turned into their characters."""
    return mended(records, _without_html)


def _without_html(text: str) -> str:
    return settled(_unescaped, text)  # "&amp;lt;b&amp;gt;" takes several rounds; every round makes the text shorter


def _unescaped(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "<" in text:
        text = _TAG.sub(lambda match: "\n" if match[2].lower() in _BREAKING else "", _COMMENT.sub("", text))
    return text


@rule("repair")
def repair(records: Iterable[Record]) -> Texts:
    """Text that was decoded wrongly put right (`â€™` back to `’`); quotes and accents stay as they are."""
    return mended(records, lambda text: _repaired(text) if _may_be_broken(text) else text)


def _may_be_broken(text: str) -> bool:
    """Whether the library, which is slow, has to look at the text."""
    return not text.isascii() and bool(_SUSPECT.search(text))


def _repaired(text: str) -> str:
    fixed = _fix_lines(text)
    # A broken letter may show only in tidy white space ("Â" and a tab), so the tidy text is repaired too.
    while (tidied := tidy(fixed)) != (again := _fix_lines(tidied)):
        fixed = again
    return fixed


def _fix_lines(text: str) -> str:
    return "\n".join(ftfy.fix_text_segment(line, _FTFY) for line in text.split("\n"))


@rule("accents")
def compose_accents(records: Iterable[Record]) -> Texts:
    """A letter and its accents become one character, in Unicode's own order (NFC): they look the same as before."""
    return mended(records, composed)


@rule("whitespace")
def tidy_whitespace(records: Iterable[Record]) -> Texts:
    """Runs of white space become one space, empty lines go, a paragraph ends in a single line end."""
    return mended(records, tidy)


@rule("source-notes")
def cut_source_notes(records: Iterable[Record]) -> Texts:
    """Removes notes on the source: "(Source: ...)", "[Written by ...]", and "Source: ..." as the last words."""
    return mended(records, _without_notes)


def _without_notes(text: str) -> str:
    folded = text.casefold()
    if not any(words in folded for words in _NOTED):
        return text.strip()
    return settled(lambda text: _LAST_NOTE.sub("", _NOTE.sub("", text)).strip(), text.strip())


@rule("cut")
def cut_phrase(records: Iterable[Record], phrase: str) -> Texts:
    """Removes the phrase, in any case and with any white space between its words, wherever it stands."""
    pattern = re.compile(r"\s+".join(map(re.escape, phrase.split())), re.IGNORECASE)
    return mended(records, lambda text: pattern.sub("", text).strip())
