"""The article's cleaner as it is, with what it loses ("don't" becomes "dont"): kept to reproduce the article."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arasuji.corpus.record import Record
from arasuji.corpus.registry import Texts, mended, rule

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


@rule("article-cleaner")
def article_cleaner(records: Iterable[Record], everywhere: str, at_start: str) -> Texts:
    """Cut at "(Source", else at "[Written "; a space for each non-ASCII character; drop symbols.

    The characters of `everywhere` are dropped wherever they stand, those of `at_start` only at the beginning of a
    text. The article's two cleaners differ in these alone.
    """
    dropped = str.maketrans("", "", everywhere)

    def clean(text: str) -> str:
        cut = text.split("(Source")[0] if "(Source" in text else text.split("[Written ")[0]
        return _NOT_ASCII.sub(" ", cut).lstrip(at_start).translate(dropped)

    return mended(records, clean)
