"""The decode loop: one for every model, over prompts of different lengths, with beams or without.

Finished texts leave the batch, waiting prompts join it. A text is drawn by a generator of its own, seeded with its
own seed, so it does not depend on what is written beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from arasuji import device, forks
from arasuji.config import SamplingConfig
from arasuji.corpus.characters import composed, tidy
from arasuji.errors import PromptError
from arasuji.generation.beams import Beams
from arasuji.generation.sampling import draw, shaped, uniform
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

BATCH_ROWS = 64
"""Rows of the model that are written at once; a text takes one row, or one a beam."""
JOINING = 8
"""Texts join when one in so many places is free: a prompt that is read alone costs a step, a free place a row."""


@dataclass(frozen=True)
class Request:
    """A prompt to continue."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Piece:
    """Text that was added to request number `index`."""

    index: int
    text: str


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


def as_text(prompt: str) -> str:
    """The prompt as the default rules leave a text: its characters, its white space."""
    return tidy(composed(prompt))


class _Text:
    """One text in the making: its prompt, what is written, and the beams it keeps."""

    def __init__(self, index: int, request: Request, tokenizer: Tokenizer, config: SamplingConfig) -> None:
        self.index, self.request, self.tokenizer, self.config = index, request, tokenizer, config
        self.beginning = as_text(request.prompt)
        self.prompt = tokenizer.encode(self.beginning)
        generator = torch.Generator().manual_seed(request.seed)
        self.numbers = uniform(generator)
        self.written: list[int] = []
        self.shown = ""
        self.beams: Beams | None = None
        if config.num_beams > 1:
            self.beams = Beams(config.num_beams, tokenizer.end_id, generator, config.greedy)

    @property
    def rows(self) -> list[list[int]]:
        """The new tokens of each of its rows."""
        return self.beams.running if self.beams else [self.written]

    def piece(self) -> str:
        """Text that is new since the last call; bytes of half a character wait."""
        whole = self.tokenizer.continuation(self.prompt, self.written)
        if whole.endswith("\ufffd") or not whole.startswith(self.shown):
            return ""
        new, self.shown = whole[len(self.shown) :], whole
        return new

    def sample(self) -> Sample:
        tokens = self.beams.best() if self.beams else self.written
        finished = tokens[-1:] == [self.tokenizer.end_id]
        body = tokens[:-1] if finished else tokens
        completion = self.tokenizer.continuation(self.prompt, body)
        text = (self.beginning + completion).strip()
        return Sample(self.index, self.request.prompt, completion, text, len(tokens), finished, self.request.seed)


@torch.inference_mode()
def decode(
    model: LanguageModel,
    tokenizer: Tokenizer,
    requests: Iterable[Request],
    config: SamplingConfig,
    pieces: bool = False,
) -> Iterator[Piece | Sample]:
    """Continue each request; samples come as they are finished, pieces (where asked for) as they are written.

    The model is put into evaluation mode. Leading end tokens do not count as repeated.

    Raises:
        PromptError: a prompt leaves no room in the model's context.
    """
    forks.check()
    model.eval()
    texts = (_Text(i, request, tokenizer, config) for i, request in enumerate(requests))
    waiting: deque[_Text] = deque()
    active: list[_Text] = []
    scores: Tensor = torch.empty(0)
    state: Any = None
    room = max(1, BATCH_ROWS // config.num_beams)
    while True:
        while len(waiting) < room and (text := next(texts, None)) is not None:
            waiting.append(text)
        if not active and not waiting:
            return
        if waiting and room - len(active) >= max(1, room // JOINING):
            fresh = [waiting.popleft() for _ in range(min(room - len(active), len(waiting)))]
            fresh_scores, fresh_state = _read(model, tokenizer, fresh)
            scores = torch.cat([scores.to(fresh_scores), fresh_scores]) if active else fresh_scores
            state = state.join(fresh_state) if active else fresh_state
            active += fresh
        parents, tokens = _advance(scores, active, tokenizer, config)
        staying: list[_Text] = []
        rows: list[int] = []
        first = 0
        for text in active:
            count = len(text.rows)
            if pieces and not text.beams and (new := text.piece()):
                yield Piece(text.index, new)
            if _ended(text, model, tokenizer):
                sample = text.sample()
                if pieces and (rest := sample.completion[len(text.shown) :]):  # half a character, or all of a beam
                    yield Piece(text.index, rest)
                yield sample
            else:
                staying.append(text)
                rows += range(first, first + count)
            first += count
        active = staying
        if not active:
            continue
        keep = torch.tensor(rows, device=parents.device)
        if not torch.equal(parents[keep], torch.arange(len(scores), device=parents.device)):
            state = state.select(parents[keep])
        scores, state = model.step(tokens[keep, None], torch.ones_like(keep), state)


def check_length(model: LanguageModel, prompt: str, tokens: list[int]) -> None:
    """Raise PromptError where a prompt of these tokens leaves no room for a new one."""
    limit = model.context_length
    if limit is not None and len(tokens) + 2 > limit:
        raise PromptError(
            f"the prompt {prompt[:30]!r}... has {len(tokens)} tokens, "
            f"and the model's context holds {limit} with an end token and a new one: shorten it"
        )


def _read(model: LanguageModel, tokenizer: Tokenizer, texts: list[_Text]) -> tuple[Tensor, Any]:
    """Read the prompts, each after one end token: scores (B, V) and state."""
    for text in texts:
        check_length(model, text.request.prompt, text.prompt)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    rows = [[tokenizer.end_id, *text.prompt] for text in texts]
    lengths = torch.tensor([len(row) for row in rows], device=device)
    ids = torch.full((len(rows), int(lengths.max())), tokenizer.pad_id, device=device)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    return model.step(ids, lengths)


@device.one_thread()
def _advance(
    scores: Tensor, active: list[_Text], tokenizer: Tokenizer, config: SamplingConfig
) -> tuple[Tensor, Tensor]:
    """Choose the next token of every row; returns, for each new row, the row it continues and its token."""
    written = [text.prompt + row for text in active for row in text.rows]
    new = [len(row) for text in active for row in text.rows]
    scores = scores[:, : tokenizer.vocabulary_size]  # some models have rows for tokens that do not exist
    if config.num_beams > 1:
        scores = scores.log_softmax(-1)
    candidates = shaped(scores, written, new, config, tokenizer.end_id, tokenizer.never_written)
    if config.num_beams == 1:
        numbers = [text.numbers for text in active]
        places = candidates.scores.argmax(-1) if config.greedy else draw(candidates.scores, numbers)
        tokens = candidates.ids.gather(-1, places[:, None])[:, 0]
        for text, token in zip(active, tokens.tolist(), strict=True):
            text.written.append(token)
        return torch.arange(len(active), device=scores.device), tokens
    parents: list[int] = []
    first = 0
    for text in active:
        assert text.beams is not None
        rows = slice(first, first + len(text.rows))
        parents += [first + parent for parent in text.beams.advance(candidates.scores[rows], candidates.ids[rows])]
        first = rows.stop
    last = [row[-1] for text in active for row in text.rows]
    return torch.tensor(parents, device=scores.device), torch.tensor(last, device=scores.device)


def _ended(text: _Text, model: LanguageModel, tokenizer: Tokenizer) -> bool:
    """Whether a text is complete: its end token, its beams done, its length or the context used up."""
    if text.beams is not None:
        if text.beams.done:
            return True
    elif text.written[-1] == tokenizer.end_id:
        return True
    new = len(text.rows[0])
    full = model.context_length is not None and 1 + len(text.prompt) + new >= model.context_length
    return new >= text.config.max_length or full
