"""Which language a text is in, and a rule that keeps some."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from arasuji.corpus.record import Record
from arasuji.corpus.registry import Texts, rule, where
from arasuji.errors import OptionError

UNSURE = "?"
"""This stands for the language of a text that is too short or too mixed to tell."""
SURE = 0.9
"""A language is believed from this probability on; titles and texts of a few words stay below it."""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # the model takes a moment to load

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language(text: str) -> str:
    """The code (ISO 639) of a text's language; "?" where it is too short or too mixed to tell.

    Naive Bayes over byte n-grams (Lui and Baldwin, "langid.py: an off-the-shelf language identification tool", 2012).
    """
    code, probability = _identifier().classify(text)
    return str(code) if probability >= SURE else UNSURE


@rule("language")
def keep_languages(records: Iterable[Record], keep: list[str]) -> Texts:
    """Keeps texts in these languages (ISO 639 codes: "en", "ja"), and those too short to tell."""
    for code in keep:
        if code not in _identifier().labels:
            raise OptionError(f'rule \'language\': no language {code!r}: codes are wanted, such as "en" or "ja"')
    wanted = {UNSURE, *keep}
    return where(records, lambda record: language(record.text) in wanted)
