"""The writing loop: one token for every text at each step, for every model, with beams or without.

Texts are handed in and taken back at any time, each with its own settings. Finished texts leave the batch, waiting ones
join it. A text is drawn by a generator of its own, seeded with its own seed, so it does not depend on what is written
beside it.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor

from arasuji import device, forks
from arasuji.config import SamplingConfig
from arasuji.documents import Document
from arasuji.errors import PromptError
from arasuji.generation.beams import Beams
from arasuji.generation.processors import NEVER, Processor, processors_of
from arasuji.generation.reading import read_documents
from arasuji.generation.sampling import Candidates, candidates, draw, kind_of, uniform
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

ROWS = 64
"""Rows of the model that are written at once. A text takes one row, or one for each of its beams."""
JOINING = 8
"""Waiting texts join when one row in eight is free: to read a single prompt costs a whole step, and a free row costs
only that row."""
NAMED_TOKENS = 8
"""An error shows this many tokens of the beginning of a prompt."""


@dataclass(frozen=True)
class Request:
    """What one text needs."""

    document: Document
    """What is read before the first new token."""
    sampling: SamplingConfig
    seed: int
    prompt: str = ""
    """The beginning of the text, as it was given: the document holds it as tokens."""
    after: str = ""
    """The end of the text, where a model writes what stands before it."""
    without_fields: Document | None = None
    """The document without what the model is told: with it the settings' `guidance` is applied. Not with beams."""
    processors: tuple[Processor, ...] = ()
    """Applied after those of the settings; each has read nothing yet."""
    streamed: bool = False
    """Whether each token has an event as it is written. With beams all text comes at the end."""
    written: tuple[int, ...] = ()
    """Tokens that the text has already, after its document: it goes on as if it had not been stopped after them. Not
    with beams."""
    likeliest: int | None = None
    """How many of the likeliest tokens each event names. With None it says no probabilities at all, which take as long
    to compute as a draw."""


@dataclass(frozen=True)
class Token:
    """A token that was written for a text that is streamed."""

    id: int
    token: int
    text: str
    """What it adds to the text: empty while a character is incomplete."""
    probability: float = math.nan
    """By the model itself, before any setting; NaN where the request asks for none."""
    rank: int = -1
    """How many tokens the model itself finds likelier; -1 where the request asks for no probabilities."""
    likeliest: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens by the model itself, with their probabilities, as many as the text's request asks for."""


@dataclass(frozen=True)
class Finished:
    """A text that is complete."""

    id: int
    ids: list[int]
    """All new tokens, the end token included where `ended`."""
    completion: str
    """What they add to the text."""
    rest: str
    """The part of it that stands in no `Token` event: all of it where the text is not streamed."""
    ended: bool
    """By its own end token, and not because its length or the context was used up."""


Event = Token | Finished


class _Text:
    """A text in the making, in one row or in one for each of its beams."""

    def __init__(self, number: int, request: Request, tokenizer: Tokenizer, context: int | None) -> None:
        self.id, self.request, self.config = number, request, request.sampling
        self.prompt = request.document.text_ids
        generator = torch.Generator().manual_seed(request.seed)
        self.written = list(request.written)
        self.numbers = islice(uniform(generator), len(self.written), None)
        documents = [request.document]
        if request.without_fields and self.config.guidance != 1:
            documents.append(request.without_fields)
        self.room = self.config.max_length
        """The largest number of new tokens, by its settings and the model's context."""
        if context is not None:
            self.room = min(self.room, context - max(len(document.ids) for document in documents))
        self.documents = [replace(document, ids=[*document.ids, *self.written]) for document in documents]
        """What is read for each of its rows, but for beams, which begin as one."""
        self.beams: Beams | None = None
        if self.config.num_beams > 1:
            self.beams = Beams(self.config.num_beams, tokenizer.end_id, generator, self.config.greedy)
        self.streamed = request.streamed and self.beams is None
        self.stream = tokenizer.stream([*self.prompt, *self.written]) if self.streamed else None
        processors = [*processors_of(self.config, tokenizer.end_id), *(p.fork() for p in request.processors)]
        for processor in processors:
            processor.begin(self.prompt, request.prompt, self.room, request.after)
            for new, token in enumerate(self.written):
                if not processor.changes_nothing(new):  # some take note of when they were asked, and how often
                    processor(torch.zeros(tokenizer.vocabulary_size), new)
                processor.read(token)
        self.processors = [processors]
        """Those of each row."""

    @property
    def rows(self) -> list[list[int]]:
        """The new tokens of each of its rows. The second row of a guided text is that without fields."""
        return self.beams.running if self.beams else [self.written] * len(self.documents)

    @property
    def width(self) -> int:
        """The most rows that it may take."""
        return max(self.config.num_beams, len(self.documents))

    def take(self, token: int) -> None:
        """Take its next token, where it has no beams."""
        self.written.append(token)
        for processor in self.processors[0]:
            processor.read(token)

    def branch(self, scores: Tensor, ids: Tensor) -> list[int]:
        """Choose its beams' next tokens; returns the row that each beam continues."""
        assert self.beams is not None
        parents = self.beams.advance(scores, ids)
        self.processors = [[processor.fork() for processor in self.processors[parent]] for parent in parents]
        for processors, row in zip(self.processors, self.rows, strict=True):
            for processor in processors:
                processor.read(row[-1])
        return parents


class Engine:
    """Writes texts with one model, which it puts into evaluation mode.

    `submit` and `cancel` may be called from other threads than the one that calls `step`. Where a step ends in an
    error, all texts that were being written are given up; those that wait are not.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, rows: int = ROWS, joining: int = JOINING) -> None:
        forks.check()
        self.model, self.tokenizer, self.row_count, self.joining = model.eval(), tokenizer, rows, joining
        self._numbers = count()
        self._waiting: deque[_Text] = deque()
        self._active: list[_Text] = []
        self._cancelled: set[int] = set()
        self._queue = threading.Lock()
        """Held by whoever changes what waits or is cancelled."""
        self._state: Any = None
        self._parents: list[int] = []
        """The row of the state that each row of the active texts continues."""
        self._state_rows = 0

    @property
    def busy(self) -> int:
        """Texts that are being written."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """Texts that wait for a free row."""
        return len(self._waiting)

    def submit(self, request: Request) -> int:
        """Hand in a text; returns the number that its events have.

        Raises:
            PromptError: it leaves no room in the model's context, or has all tokens that it may have.
        """
        check_length(self.model, self.tokenizer, request.document)
        text = _Text(next(self._numbers), request, self.tokenizer, self.model.context_length)
        if len(text.written) >= text.room:
            raise PromptError(f"the text has {len(text.written)} tokens, and it may have {text.room}")
        with self._queue:
            self._waiting.append(text)
        return text.id

    def cancel(self, number: int) -> None:
        """Give up a text: no later step tells of it, and its rows are free at the next one. Nothing happens where it is
        finished already."""
        with self._queue:
            self._cancelled.add(number)

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Write one token of every text; returns the events of it. Without texts nothing happens."""
        try:
            fresh = self._changed()
            scores = self._read_new_tokens() if self._active else None
            if fresh:
                documents = [document for text in fresh for document in text.documents]
                fresh_scores, fresh_state = read_documents(self.model, documents, self.tokenizer.pad_id)
                scores = fresh_scores if scores is None else torch.cat([scores, fresh_scores])
                self._state = self._state.join(fresh_state) if self._active else fresh_state
                self._active += fresh
            return [] if scores is None else self._advance(scores)
        except BaseException:  # the state is used up
            self._keep(lambda text: False)
            raise

    def _changed(self) -> list[_Text]:
        """Let go of the texts that were cancelled; returns those that join."""
        with self._queue:
            gone, self._cancelled = self._cancelled, set()
            if gone:
                self._waiting = deque(text for text in self._waiting if text.id not in gone)
                self._keep(lambda text: text.id not in gone)
            return self._next_texts()

    def _keep(self, wanted: Callable[[_Text], bool]) -> None:
        """Let go of the other texts and their rows."""
        parents, kept = iter(self._parents), []
        for text in self._active:
            own = list(islice(parents, len(text.rows)))
            if wanted(text):
                kept.append((text, own))
        self._active = [text for text, _ in kept]
        self._parents = [parent for _, own in kept for parent in own]
        if not kept:
            self._state = None  # the memory of its keys and values

    def _next_texts(self) -> list[_Text]:
        """The waiting texts that join now. One with more beams than there are rows is written alone."""
        free = self.row_count - sum(text.width for text in self._active)
        fresh: list[_Text] = []
        if self._active and free < max(1, self.row_count // self.joining):
            return fresh
        while self._waiting:
            needed = self._waiting[0].width
            if needed > free and (self._active or fresh):
                break
            fresh.append(self._waiting.popleft())
            free -= needed
        return fresh

    def _read_new_tokens(self) -> Tensor:
        """Read the last token of every row: scores (B, V)."""
        if self._parents != list(range(self._state_rows)):
            self._state = self._state.select(self._tensor(self._parents))
        last = self._tensor([row[-1] for text in self._active for row in text.rows])
        scores, self._state = self.model.step(last[:, None], torch.ones_like(last), self._state)
        return scores

    def _tensor(self, numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.int64, device=self.model.device)

    @device.one_thread()
    def _advance(self, scores: Tensor) -> list[Event]:
        """Choose the next token of every row by its scores (B, V), which are written over."""
        self._state_rows = len(scores)
        scores = scores[:, : self.tokenizer.vocabulary_size]  # some models have rows for tokens that do not exist
        rows, last = {}, 0
        for text in self._active:
            rows[text.id] = list(range(last, last := last + len(text.rows)))
        streamed = [text for text in self._active if text.streamed]
        asked = [text for text in streamed if text.request.likeliest is not None]
        by_model = scores[[rows[text.id][0] for text in asked]].log_softmax(-1) if asked else None
        self._guide(scores, rows)
        scores = self._processed(scores, rows)
        parents = dict(rows)
        for texts in _alike(self._active):
            own = [row for text in texts for row in rows[text.id][: len(text.processors)]]
            some = scores if len(own) == len(scores) else scores[own]
            configs = [text.config for text in texts for _ in text.processors]
            found = candidates(some, configs, self.tokenizer.end_id)
            if texts[0].beams is None:
                _draw(texts, found)
                continue
            for text, part, ids in zip(texts, *(f.split([len(rows[t.id]) for t in texts]) for f in found), strict=True):
                parents[text.id] = [rows[text.id][parent] for parent in text.branch(part, ids)]
        self._parents = [parent for text in self._active for parent in parents[text.id]]
        known = {} if by_model is None else _probabilities(asked, by_model)
        tokens = [
            Token(text.id, text.written[-1], text.stream.add(text.written[-1]), *known.get(text.id, ()))
            for text in streamed
            if text.stream
        ]
        return self._with_finished(tokens)

    def _guide(self, scores: Tensor, rows: dict[int, list[int]]) -> None:
        """Write over the scores of guided texts: log p + (guidance - 1) (log p - log p without fields), the
        classifier-free guidance of language models (Sanchez et al. 2023)."""
        guided = [text for text in self._active if len(text.documents) > 1]
        if guided:
            told, untold = (scores[[rows[text.id][i] for text in guided]].log_softmax(-1) for i in (0, 1))
            strength = scores.new_tensor([text.config.guidance for text in guided])[:, None]
            scores[[rows[text.id][0] for text in guided]] = untold + strength * (told - untold)

    def _processed(self, scores: Tensor, rows: dict[int, list[int]]) -> Tensor:
        """The scores that rows choose by: log-probabilities for beams, -inf for tokens that no text is written with,
        and then the changes of each row's processors."""
        branching = [row for text in self._active if text.beams for row in rows[text.id]]
        if len(branching) == len(scores):
            scores = scores.log_softmax(-1)
        elif branching:
            scores[branching] = scores[branching].log_softmax(-1)
        scores.index_fill_(-1, self._tensor(list(self.tokenizer.never_written)), NEVER)
        at: list[int] = []
        never: list[int] = []
        for text in self._active:
            new = len(text.rows[0])
            for row, processors in zip(rows[text.id], text.processors, strict=False):  # not for rows without fields
                for processor in processors:
                    if not processor.changes_nothing(new):
                        processor(scores[row], new)
                    if tokens := processor.forbidden(new):
                        never += tokens
                        at += [row] * len(tokens)
        if never:
            scores[self._tensor(at), self._tensor(never)] = NEVER
        return scores

    def _with_finished(self, tokens: list[Token]) -> list[Event]:
        """The events of a step in the order of the texts; those that are complete leave."""
        token_of = {token.id: token for token in tokens}
        events: list[Event] = []
        finished = set()
        for text in self._active:
            if text.id in token_of:
                events.append(token_of[text.id])
            if self._is_complete(text):
                finished.add(text.id)
                events.append(self._finished(text))
        if finished:
            self._keep(lambda text: text.id not in finished)
        return events

    def _is_complete(self, text: _Text) -> bool:
        """Whether a text has its end token, no beam left that could win, or no tokens left by its length or context."""
        if text.beams is not None:
            if text.beams.done:
                return True
        elif text.written[-1] == self.tokenizer.end_id:
            return True
        return len(text.rows[0]) >= text.room

    def _finished(self, text: _Text) -> Finished:
        ids = text.beams.best() if text.beams else text.written
        ended = ids[-1:] == [self.tokenizer.end_id]
        completion = self.tokenizer.continuation(text.prompt, ids[:-1] if ended else ids)
        return Finished(text.id, ids, completion, text.stream.rest() if text.stream else completion, ended)


def _alike(texts: list[_Text]) -> list[list[_Text]]:
    """Texts in groups whose rows are narrowed together."""
    groups: dict[tuple[object, ...], list[_Text]] = {}
    for text in texts:
        groups.setdefault(kind_of(text.config), []).append(text)
    return list(groups.values())


def _draw(texts: list[_Text], found: Candidates) -> None:
    """Each text's next token, drawn by its own numbers, or the likeliest."""
    greedy = texts[0].config.greedy
    places = found.scores.argmax(-1) if greedy else draw(found.scores, [text.numbers for text in texts])
    for text, token in zip(texts, found.ids.gather(-1, places[:, None])[:, 0].tolist(), strict=True):
        text.take(token)


def _probabilities(texts: list[_Text], by_model: Tensor) -> dict[int, tuple[float, int, tuple[tuple[int, float], ...]]]:
    """Of the new token of each text its probability and its rank, and the likeliest tokens; `by_model` are the model's
    own log-probabilities (B, V)."""
    chosen = torch.tensor([text.written[-1] for text in texts], device=by_model.device)[:, None]
    own = by_model.gather(-1, chosen)
    named = by_model.topk(max(text.request.likeliest or 0 for text in texts), sorted=True)
    figures = own.exp()[:, 0], (by_model > own).sum(-1), named.indices, named.values.exp()
    return {
        text.id: (probability, rank, tuple(zip(ids, shares, strict=True))[: text.request.likeliest])
        for text, probability, rank, ids, shares in zip(texts, *(figure.tolist() for figure in figures), strict=True)
    }


def check_length(model: LanguageModel, tokenizer: Tokenizer, document: Document) -> None:
    """Raise PromptError where a document leaves no room for a new token."""
    limit, own = model.context_length, len(document.ids) - document.shots
    if limit is not None and len(document.ids) + 1 > limit:
        beginning = tokenizer.decode(document.text_ids[:NAMED_TOKENS])
        with_fields = " with its fields" if document.counted_from - document.shots > 1 else ""
        shots = f", {document.shots} tokens of shots" if document.shots else ""
        raise PromptError(
            f"the prompt {beginning!r}...{with_fields} has {own - 1} tokens, "
            f"and the model's context holds {limit} with an end token{shots} and a new one: shorten it"
        )
