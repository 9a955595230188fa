"""A text as a model reads it: the one way from a text to tokens, for training, scoring, writing and comparing."""

from __future__ import annotations

from dataclasses import dataclass

from arasuji.tokenizers import Tokenizer


@dataclass(frozen=True)
class Document:
    """A text as tokens."""

    ids: list[int]
    """One end token, then the text; of a text that is whole, its own end token as well."""
    counted_from: int
    """Where the text begins in `ids`. What stands before it is read, and never predicted."""

    @property
    def text_ids(self) -> list[int]:
        """The tokens from where the text begins."""
        return self.ids[self.counted_from :]


def beginning_of(text: str, tokenizer: Tokenizer) -> Document:
    """A text that is to be continued."""
    return Document([tokenizer.end_id, *tokenizer.encode(text)], 1)
