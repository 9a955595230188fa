"""The article's cleaner, with its losses ("don't" becomes "dont"): it reproduces, it does not recommend."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arasuji.corpus.record import Record
from arasuji.corpus.registry import Texts, mended, rule

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


@rule("article-cleaner")
def article_cleaner(records: Iterable[Record], everywhere: str, at_start: str) -> Texts:
    """Cut at "(Source", else at "[Written "; a space for each non-ASCII character; drop symbols.

    `everywhere` and `at_start` are sets of characters: the ones dropped wherever they stand, and the ones
    dropped only where the text begins with them. The article's two cleaners differ in nothing else.
    """
    dropped = str.maketrans("", "", everywhere)

    def clean(text: str) -> str:
        cut = text.split("(Source")[0] if "(Source" in text else text.split("[Written ")[0]
        return _NOT_ASCII.sub(" ", cut).lstrip(at_start).translate(dropped)

    return mended(records, clean)
