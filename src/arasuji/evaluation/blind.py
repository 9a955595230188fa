"""What is shown of two texts that are compared blindly: they have the same beginning, are cut to the same number of
words, and are cleaned alike, so that nothing but the writing tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from arasuji.corpus import Corpus, Record
from arasuji.corpus.characters import composed, tidy
from arasuji.errors import OptionError
from arasuji.evaluation.task import LEAST_WORDS, PROMPT_WORDS, pool_of, rest_of, shuffled, words_to_cut
from arasuji.evaluation.texts import Texts

MOST_TEXTS = 2_000
"""At most this number of held-out texts are begun."""


@dataclass(frozen=True)
class Beginnings:
    """The held-out texts of a corpus whose beginnings are continued: all are long enough to be cut."""

    records: Mapping[str, Record]
    """By their ids."""
    words: int
    """The number of words that continuations are cut to, as in `compare`."""


def beginnings_of(corpus: Corpus) -> Beginnings:
    """The texts of the test split that can be begun and cut. Raises OptionError where none is long enough."""
    test = pool_of({"test": shuffled(corpus.test, 0)}, LEAST_WORDS)
    long = [record for _, record in islice(test, MOST_TEXTS)]
    if not long:
        least = PROMPT_WORDS + LEAST_WORDS
        raise OptionError(f"no test text of {corpus.folder} is long enough to be begun: {least} words")
    words = words_to_cut([rest_of(record) for record in long])
    return Beginnings({record.id: record for record in long if shown(rest_of(record), words)}, words)


def shown(rest: str, words: int) -> str | None:
    """What is shown of a continuation, real or written: its first `words` words, without what stands before and after
    them. None where it has fewer; and where it does not begin with white space, as all real ones do (see `prompt_of`),
    but goes on with the last word of the prompt, or with a comma."""
    (cuts,) = Texts([tidy(composed(rest))], [""]).rounds(words)
    return cuts[0].text.strip() if cuts and rest[0].isspace() else None
