"""How the next token of a text is chosen: its candidates, what each setting does to them, and the draw.

The engine itself takes the step; this file only keeps the scores on their way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from arasuji.config import SamplingConfig
from arasuji.generation.engine import Engine, Request, Token
from arasuji.generation.processors import NEVER
from arasuji.generation.sampling import candidates, uniform
from arasuji.models import LanguageModel
from arasuji.tokenizers import Tokenizer

CUTS: Mapping[str, Mapping[str, float]] = {
    "top_k": {"top_p": 1.0, "min_p": 0.0},
    "top_p": {"min_p": 0.0},
    "min_p": {},
}
"""The settings that cut tokens off, in the order in which they are applied; each with the values that turn the later
ones off."""


@dataclass(frozen=True)
class Candidate:
    """A token that could come next, with its probabilities on the way."""

    id: int
    text: str
    """What it adds to the text; empty for the end of the text."""
    ends: bool
    raw: float
    """By the model itself."""
    ruled: float
    """After guidance, penalties, and the rules for the text, such as no copies."""
    tempered: float
    """After the temperature."""
    cut_by: str
    """What removes it: "rules", "top_k", "top_p" or "min_p"; empty where nothing does."""
    final: float
    """The probability with which it is drawn."""
    low: float
    """Where its part of the line from 0 to 1 begins, on which the draw falls: all parts lie in the order of the
    vocabulary, each as long as its probability."""


@dataclass(frozen=True)
class Cut:
    """What a setting has left."""

    setting: str
    value: float
    kept: int
    """Tokens."""
    share: float
    """The probability that they had together, before this cut."""


@dataclass(frozen=True)
class Explanation:
    """The choice of one token."""

    candidates: list[Candidate]
    """The likeliest by the model, and the one that was drawn, by falling probability of the model."""
    others: int
    """The number of all other tokens."""
    rest_raw: float
    """Their probability by the model."""
    rest_final: float
    """The probability with which one of them is drawn."""
    forbidden: int
    """The number of tokens that the rules forbid."""
    cuts: list[Cut]
    """Those of the settings that are on."""
    number: float | None
    """The random number from 0 to 1, which falls into the part of the token that is drawn; None at temperature 0, where
    the likeliest token is taken."""
    chosen: int
    """The token that is drawn."""


class _Watching(Engine):
    """An engine that keeps the scores of a step."""

    raw: Tensor
    ruled: Tensor

    def _guide(self, scores: Tensor, rows: dict[int, list[int]]) -> None:
        self.raw = scores[0].softmax(-1)
        super()._guide(scores, rows)

    def _processed(self, scores: Tensor, rows: dict[int, list[int]]) -> Tensor:
        scores = super()._processed(scores, rows)
        self.ruled = scores[0].clone()
        return scores


def explain(model: LanguageModel, tokenizer: Tokenizer, request: Request, count: int = 12) -> Explanation:
    """How the token after `request.written` is chosen, with the `count` likeliest candidates. The request is for one
    text without beams.

    Raises:
        PromptError: there is no room for a token.
    """
    engine = _Watching(model, tokenizer, rows=1)
    engine.submit(replace(request, streamed=True))
    (chosen,) = (event.token for event in engine.step() if isinstance(event, Token))
    return _explanation(engine, tokenizer, request, chosen, count)


def _explanation(engine: _Watching, tokenizer: Tokenizer, request: Request, chosen: int, count: int) -> Explanation:
    config, raw, scores = request.sampling, engine.raw.cpu(), engine.ruled.cpu()
    ruled, size = scores.softmax(-1), len(scores)
    tempered = ruled if config.greedy else (scores / config.temperature).softmax(-1)
    cut_by = ["rules" if score == NEVER else "" for score in scores.tolist()]
    forbidden, cuts, before = cut_by.count("rules"), [], tempered
    for setting, later in CUTS.items():
        if config.greedy or not _is_on(config, setting):
            continue
        kept = _final(scores, config.model_copy(update=dict(later)), tokenizer.end_id)
        for token in ((before > 0) & (kept == 0)).nonzero()[:, 0].tolist():
            cut_by[token] = setting
        share = float(before[kept > 0].sum() / before.sum())
        cuts.append(Cut(setting, float(getattr(config, setting)), int((kept > 0).sum()), share))
        before = kept
    final = _final(scores, config, tokenizer.end_id)
    if config.greedy:
        final = torch.zeros(size).index_fill(0, torch.tensor(chosen), 1.0)
    low = final.double().cumsum(0) - final.double()
    best = raw.topk(min(count, size)).indices.tolist()
    shown = best if chosen in best else [*best, chosen]
    read = [*request.document.ids[request.document.shots + 1 :], *request.written]
    rows = [
        Candidate(
            token,
            "" if token == tokenizer.end_id else tokenizer.continuation(read, [token]),
            token == tokenizer.end_id,
            float(raw[token]),
            float(ruled[token]),
            float(tempered[token]),
            cut_by[token],
            float(final[token]),
            float(low[token]),
        )
        for token in shown
    ]
    return Explanation(
        rows,
        size - len(rows),
        max(0.0, 1 - sum(row.raw for row in rows)),
        max(0.0, 1 - sum(row.final for row in rows)),
        forbidden,
        cuts,
        None if config.greedy else _number(request),
        chosen,
    )


def _is_on(config: SamplingConfig, setting: str) -> bool:
    off: dict[str, Any] = {"top_k": 0, "top_p": 1, "min_p": 0}
    return bool(getattr(config, setting) != off[setting])


def _final(scores: Tensor, config: SamplingConfig, end_id: int) -> Tensor:
    """The probability with which each token is drawn, (V,)."""
    found = candidates(scores[None].clone(), [config], end_id)
    return torch.zeros(len(scores)).scatter(0, found.ids[0], found.scores[0].softmax(-1))


def _number(request: Request) -> float:
    """The number that the next token is drawn with."""
    numbers = uniform(torch.Generator().manual_seed(request.seed))
    return next(islice(numbers, len(request.written), None))
