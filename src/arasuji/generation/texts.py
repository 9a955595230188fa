"""A text to write, as the engine takes it, and as it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arasuji import notebook
from arasuji.config import SamplingConfig
from arasuji.corpus import Record
from arasuji.corpus.characters import composed, tidy
from arasuji.corpus.originality import SHINGLE, Copied, copied
from arasuji.corpus.script import is_unspaced
from arasuji.corpus.suffixes import Suffixes
from arasuji.documents import NO_SHOTS, Document, Shots, document_of, prefix_of
from arasuji.errors import PromptError
from arasuji.generation import engine
from arasuji.generation.processors import Processor
from arasuji.tokenizers import Tokenizer

TOO_NEAR, FEWEST_SHINGLES = 0.2, 20
"""A text with 20 shingles or more is drawn again where one training text has more than this share of them
(`Copied.containment`); of unseen synopses of an anime catalogue seven in a thousand have more."""
NEXT_SEED = 2_654_435_761
"""What is added to the seed of a text each time that it is drawn again. torch takes seeds modulo 2**32: of this odd
number all multiples differ, and the first ones lie far from each other and from the seeds of other texts."""


@dataclass(frozen=True)
class Request:
    """A prompt to continue, and the fields of its text that are known, such as a title; see `Record.metadata`."""

    prompt: str
    seed: int
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A finished text of request number `index`; `finished` says that it ended by itself."""

    index: int
    prompt: str
    completion: str
    text: str
    tokens: int
    finished: bool
    seed: int
    redrawn: int = 0
    """How many times it was drawn again, each time with `NEXT_SEED` more."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What the model was told of it."""
    copied: Copied | None = None
    """What of it, beyond the prompt, stands in the training split; None where that is not known."""

    def _repr_html_(self) -> str:
        """The prompt is faint; 8 words in a row or more of a training text are underlined."""
        written = self.completion.strip()
        start = self.text.rfind(written)
        marks = [(0, start, notebook.FAINT), (start + len(written), len(self.text), notebook.FAINT)]
        marks += [(*span, notebook.UNDERLINED) for span in self.copied.spans] if self.copied else []
        said = [f"seed {self.seed}", f"{self.tokens:,} tokens" + ", cut at its length" * (not self.finished)]
        said += [f"longest copy {self.copied.longest} word{'s' * (self.copied.longest != 1)}"] if self.copied else []
        return notebook.block(notebook.passage(self.text, marks), notebook.paragraph(" · ".join(said), notebook.FAINT))


@dataclass(frozen=True)
class Options:
    """What the texts of one call have in common, beside the model."""

    tokenizer: Tokenizer
    sampling: SamplingConfig
    format: str = ""
    """What stands before each text, as the model was trained; see `DocumentConfig`."""
    shots: Shots = NO_SHOTS
    """They are read before each prompt."""
    predicts: str = "text"
    """What the model predicts; see `DocumentConfig`."""
    processors: tuple[Processor, ...] = ()
    """They change the scores of each text's tokens, and have read nothing."""
    training: Suffixes | None = None
    """The training split, in which copies are looked for."""
    redraw: int = 0
    """How many times a text is drawn again that is `TOO_NEAR` to a training text, where anything is drawn."""

    def request(
        self,
        asked: Request,
        redrawn: int = 0,
        streamed: bool = False,
        likeliest: int | None = None,
        written: tuple[int, ...] = (),
    ) -> engine.Request:
        """The request as the engine takes it, when it was drawn `redrawn` times before. Raises PromptError."""
        document = beginning_of(asked.prompt, asked.fields, self.tokenizer, self.format, self.shots)
        before, after = self._around(asked)
        untold = None
        if self.sampling.guidance != 1 and asked.fields:
            untold = beginning_of(asked.prompt, {}, self.tokenizer, self.format, self.shots)
        seed = asked.seed + redrawn * NEXT_SEED
        return engine.Request(
            document, self.sampling, seed, before, after, untold, self.processors, streamed, written, likeliest
        )

    def sample(self, index: int, asked: Request, written: engine.Finished, redrawn: int = 0) -> Sample:
        """What was written for request number `index`."""
        before, after = self._around(asked)
        text = (before + written.completion).strip()
        return Sample(
            index,
            asked.prompt,
            written.completion,
            text + _space_after(text) * bool(after) + after,
            len(written.ids),
            written.ended,
            asked.seed,
            redrawn,
            asked.fields,
            copied(text, self.training, len(before.strip())) if self.training else None,
        )

    def draws_again(self, sample: Sample) -> bool:
        """Whether so much of a text stands in one training text that it is to be drawn again."""
        if sample.copied is None or self.sampling.certain or sample.redrawn >= self.redraw:
            return False
        return sample.copied.containment > TOO_NEAR and sample.copied.shingles[SHINGLE] >= FEWEST_SHINGLES

    def _around(self, asked: Request) -> tuple[str, str]:
        """What stands before the new part of a text, and after it: the prompt, and the sentences between which a model
        of middles writes."""
        prompt = as_text(asked.prompt)
        first, last = (str(asked.fields.get(name, "")).strip() * (self.predicts == "middle") for name in ("from", "to"))
        return first + _space_after(first) + prompt, last


def _space_after(text: str) -> str:
    return " " if text and not is_unspaced(text[-1]) else ""


def as_text(prompt: str) -> str:
    """The prompt as the default rules leave a text: its characters, its white space.

    Raises:
        PromptError: it is no text, or UTF-8 cannot hold it: a shell hands over other bytes as lone surrogates.
    """
    if not isinstance(prompt, str):
        raise PromptError(f"a prompt is a text, and not {prompt!r}")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"the prompt {prompt!r} holds bytes that are not UTF-8") from error
    return tidy(composed(prompt))


def beginning_of(
    prompt: str, fields: Mapping[str, Any], tokenizer: Tokenizer, format: str, shots: Shots = NO_SHOTS
) -> Document:
    """What a model reads before it continues a prompt. Raises PromptError as `as_text` does, for the fields too."""
    as_text(prefix_of(format, fields))
    return document_of(Record("", as_text(prompt), metadata=dict(fields)), tokenizer, format, False, shots)
