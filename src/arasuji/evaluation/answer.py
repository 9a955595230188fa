"""What one model answers in a comparison, as JSON that is checked when it is read."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Figure = Annotated[float, Field(ge=-1e12, le=1e12)]
"""A number so far from the largest float that sums, squares and axes of plots stay finite."""
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class Part(BaseModel):
    """A part of a report: a field that it does not know is an error, and so are NaN and infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Token(NamedTuple):
    """A part of a text that is one token of a model."""

    text: str
    """The token's characters; "" for the end of the text."""
    nll: Figure
    """Its negative log-likelihood in nats, the tokenizer's charge included."""


class PositionBits(NamedTuple):
    """How well a model predicts one part of the texts."""

    start: Count
    """The character at which the part begins."""
    bits_per_byte: Figure


class FrequencyBits(NamedTuple):
    """How well a model predicts the words of one frequency class."""

    least: Count
    """A word of this class occurs at least this often in the training split."""
    bits_per_word: Figure
    words: Count
    """The words of this class in the scored documents."""


class CalibrationBin(NamedTuple):
    """Tokens whose likeliest candidate had about the same probability."""

    confidence: Share
    """The mean probability of the likeliest candidate."""
    accuracy: Share
    """The share of these tokens that were the likeliest candidate."""
    tokens: Count


class ScoredDocuments(Part):
    """The sums of each scored document."""

    nll: list[Figure]
    """The negative log-likelihood of each document in nats, the charge included."""
    charges: list[Figure] | None
    """The part of `nll` that is the tokenizer's charge, for each document; null where it is not known."""
    bytes: list[Count]
    groups: list[str]
    """The group of each document; documents of one group are not independent of each other."""
    tokens: Count
    """The tokens of all documents together, ends included."""


class Speed(Part):
    """How fast a model writes, and in what memory."""

    alone: float
    """Tokens a second of one text."""
    together: float
    """Tokens a second of many texts at once."""
    bytes: float
    """Bytes a second of many texts at once."""
    memory: int
    """The most bytes that the process held, beyond what it held before it opened the model."""


class Written(Part):
    """A continuation of a prompt."""

    text: str
    finished: bool
    """Whether the model ended it."""


class Answer(Part):
    """What a model has answered."""

    family: str
    shots: list[str]
    """The ids of the training texts that stood in the model's context before each text."""
    fields: list[str]
    """The fields that it was told of each text."""
    parameters: int
    documents: ScoredDocuments
    recent: ScoredDocuments
    bits_by_position: list[PositionBits]
    bits_by_frequency: list[FrequencyBits]
    calibration: list[CalibrationBin]
    speed: Speed
    quantization_cost: float
    samples: list[Written]
    shown_tokens: list[list[Token]]
    """The tokens of the job's `shown`."""
    sample_tokens: list[list[Token]]
    """The tokens of the first samples, their prompts included."""
    told: list[str] = Field(default_factory=list)
    """The texts that were written for the job's genres; none by a model that cannot be told genres."""
