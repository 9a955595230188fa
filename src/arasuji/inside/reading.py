"""A text as a model reads it, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from arasuji.documents import Document
from arasuji.errors import OptionError
from arasuji.generation.texts import beginning_of
from arasuji.runs import TrainedModel, told

START = "start"
"""How the token is called that stands before every text."""
MOST_TOKENS = 512
"""A longer text is not looked into: what is kept of attention grows with the square of its length."""


@dataclass(frozen=True)
class Reading:
    """T tokens, the first of which is the token that stands before every text."""

    ids: list[int]
    texts: list[str]
    """What each adds to the text; `START` for the first one, empty while a character is incomplete."""
    counted_from: int
    """Where the text begins, after what the model is told."""


def reading(
    trained: TrainedModel,
    text: str,
    fields: Mapping[str, Any] = MappingProxyType({}),
    written: Sequence[int] = (),
) -> Reading:
    """A text, and tokens that the model has written after it.

    Raises:
        OptionError: it is too long, or a token is none of the model's.
        PromptError: it is no text.
    """
    own = told(trained.name, trained.fields, dict(fields), any_genre=True)
    document = beginning_of(text, own, trained.tokenizer, trained.format)
    return of_document(trained, document, written)


def of_document(trained: TrainedModel, document: Document, written: Sequence[int] = ()) -> Reading:
    """The tokens of a document, and those that were written after it. Raises OptionError as `reading` does."""
    ids = [*document.ids, *written]
    limit = min(MOST_TOKENS, trained.model.context_length or MOST_TOKENS)
    if len(ids) > limit:
        raise OptionError(f"the text has {len(ids):,} tokens, and {limit:,} can be looked into: take a shorter one")
    if any(not 0 <= token < trained.tokenizer.vocabulary_size for token in written):
        raise OptionError(f"a token of the text is none of {trained.name}")
    told_stream, text_stream = trained.tokenizer.stream([]), trained.tokenizer.stream([])
    told_part, text_part = ids[1 : document.counted_from], ids[document.counted_from :]
    texts = [START, *map(told_stream.add, told_part), *map(text_stream.add, text_part)]
    return Reading(ids, texts, document.counted_from)
