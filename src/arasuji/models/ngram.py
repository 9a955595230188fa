"""An interpolated Kneser-Ney n-gram model (Kneser and Ney 1995; Chen and Goodman 1999): the baseline.

It has no gradients: in training mode `forward` counts what it reads. The counts are a trie held in sorted
arrays. A node of depth k is a k-gram; its key is (node of its first k-1 tokens) * V + (last token), so the k-grams that
continue a context lie side by side and are found by binary search.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from arasuji.errors import OptionError
from arasuji.models import IGNORED, Family, LanguageModel, Loss, Vocabulary, _folder
from arasuji.models._checked import check_one

NOTHING = -1
"""This stands before the first token of a row, and is in no k-gram."""


class Config(BaseModel):
    """Options of the family `ngram`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    order: int = Field(5, ge=1, le=8)
    """Tokens in the longest n-gram: the next one is predicted from `order - 1` before it."""
    discount: float = Field(0.8, gt=0, lt=1)
    """Taken from every count and given to the shorter context."""


@dataclass
class NgramState:
    """The last `order - 1` tokens of each row, (B, order - 1), filled with `NOTHING` on the left. It stays on the CPU,
    as the counts do."""

    history: Tensor

    def select(self, rows: Tensor) -> Self:
        return type(self)(self.history[rows.cpu()])

    def join(self, other: Self) -> Self:
        return type(self)(torch.cat([self.history, other.history]))

    def detach(self) -> Self:
        return self

    def tensors(self) -> dict[str, Tensor]:
        return {"history": self.history}


class Ngram(LanguageModel):
    """See `LanguageModel` for the shapes."""

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__()
        self.config, self.vocabulary_size = config, vocabulary_size
        # All tokens read, NOTHING between rows. No buffer, since counting stays on the CPU.
        self.read = torch.empty(0, dtype=torch.int64)
        self.count(0)

    def count(self, first: int) -> None:
        """Build the trie from the `first` tokens that were read: keys[k] and weights[k], the counts of its nodes."""
        size, tokens = self.vocabulary_size, self.read[:first]
        node = torch.zeros(len(tokens), dtype=torch.int64)  # of the k-gram that ends here, NOTHING if none
        nodes: list[Tensor] = []
        self.keys: list[Tensor] = []
        for k in range(self.config.order):
            before = torch.full_like(node, NOTHING)
            before[1:] = node[:-1]
            parent = before if k else torch.zeros_like(node)
            whole = (parent != NOTHING) & (tokens != NOTHING)
            keys, inverse = torch.unique(parent[whole] * size + tokens[whole], return_inverse=True)
            node = torch.full_like(tokens, NOTHING)
            node[whole] = inverse
            self.keys.append(keys)
            nodes.append(node)
        self.weights = [torch.zeros(len(keys), dtype=torch.float64) for keys in self.keys]
        for k, weights in enumerate(self.weights):
            here = nodes[k] != NOTHING
            if k + 1 < self.config.order:  # how many different tokens came before this k-gram (Kneser-Ney)
                longer = nodes[k + 1]
                shorter = torch.full((len(self.keys[k + 1]),), NOTHING)  # each longer one without its first token
                shorter[longer[longer != NOTHING]] = nodes[k][longer != NOTHING]
                weights += torch.bincount(shorter, minlength=len(weights))
                # a k-gram at the beginning of a row has nothing before it: that counts as one more
                starts = (torch.arange(first) - k).clamp(min=0)  # where the k-gram that ends here begins
                start = here & (torch.cat([torch.tensor([NOTHING]), tokens[:-1]])[starts] == NOTHING)
                begun = torch.unique(nodes[k][start])
                weights[begun] += 1
            else:
                weights += torch.bincount(nodes[k][here], minlength=len(weights))
        self.totals = [torch.cat([torch.zeros(1, dtype=torch.float64), w.cumsum(0)]) for w in self.weights]
        self.counted = first

    def _children(self, k: int, node: Tensor) -> tuple[Tensor, Tensor]:
        """The range of depth-(k + 1) nodes that continue each depth-k node; empty where there is none."""
        low = torch.searchsorted(self.keys[k], node * self.vocabulary_size)
        high = torch.searchsorted(self.keys[k], (node + 1) * self.vocabulary_size)
        return low, torch.where(node == NOTHING, low, high)

    def _find(self, k: int, node: Tensor, token: Tensor) -> Tensor:
        """The depth-(k + 1) node for a depth-k node and a token, or NOTHING."""
        key = node * self.vocabulary_size + token
        place = torch.searchsorted(self.keys[k], key).clamp(max=max(len(self.keys[k]) - 1, 0))
        if not len(self.keys[k]):
            return torch.full_like(node, NOTHING)
        found = (self.keys[k][place] == key) & (node != NOTHING) & (token != NOTHING)
        return torch.where(found, place, NOTHING)

    def _contexts(self, history: Tensor) -> list[Tensor]:
        """history (N, order - 1) -> for k = 0.., the depth-k node of its last k tokens (N,)."""
        nodes = [torch.zeros(len(history), dtype=torch.int64)]
        for k in range(1, self.config.order):
            node = nodes[0]
            for depth, column in enumerate(range(history.shape[1] - k, history.shape[1])):
                node = self._find(depth, node, history[:, column])
            nodes.append(node)
        return nodes

    def probabilities(self, history: Tensor, targets: Tensor) -> Tensor:
        """p(targets | history): history (N, order - 1), targets (N,) -> (N,) float64.

        p_k(w | c) = max(n(c w) - d, 0) / n(c) + d * kinds(c) / n(c) * p_{k-1}(w | c without its first token),
        with a uniform p below the shortest context.
        """
        p = torch.full((len(targets),), 1 / self.vocabulary_size, dtype=torch.float64)
        for k, node in enumerate(self._contexts(history)):
            low, high = self._children(k, node)
            total = self.totals[k][high] - self.totals[k][low]
            child = self._find(k, node, targets)
            count = torch.where(child == NOTHING, 0, self.weights[k][child.clamp(min=0)]) if len(self.keys[k]) else 0
            d = self.config.discount
            mixed = (torch.as_tensor(count) - d).clamp(min=0) / total + d * (high - low) / total * p
            p = torch.where(total > 0, mixed, p)
        return p

    def _start(self, rows: int) -> Tensor:
        return torch.full((rows, self.config.order - 1), NOTHING)

    def forward(
        self, ids: Tensor, targets: Tensor, state: NgramState | None = None, loss: Loss | None = None
    ) -> tuple[Tensor, NgramState]:
        place = ids.device
        ids, targets = ids.cpu(), targets.cpu()
        before = state.history if state else self._start(len(ids))
        joined = torch.cat([before, ids], dim=1)
        counted = targets != IGNORED
        width = self.config.order - 1
        history = joined[:, 1:].unfold(1, width, 1) if width else joined[..., None][..., :0]
        losses = torch.zeros(targets.shape)
        if loss:
            scores, places = self._following(history[counted]).log().float(), counted.flatten().nonzero()[:, 0]
            losses[counted] = loss(scores.to(place), targets[counted].to(place), places.to(place)).cpu()
        else:
            losses[counted] = -self.probabilities(history[counted], targets[counted]).log().float()
        if self.training:
            self._learn(ids, targets)
        return losses.to(place), NgramState(joined[:, joined.shape[1] - width :])

    def _learn(self, ids: Tensor, targets: Tensor) -> None:
        """Remember each row up to its last target; count anew when the tokens read have doubled."""
        rows = [self.read]
        for row in range(len(ids)):
            wanted = (targets[row] != IGNORED).nonzero()
            if len(wanted):
                end = int(wanted[-1]) + 1
                rows += [torch.tensor([NOTHING]), ids[row, :end], targets[row, end - 1 : end]]
        self.read = torch.cat(rows)
        if len(self.read) > 2 * self.counted:
            self.count(len(self.read))

    def train(self, mode: bool = True) -> Self:
        if not mode and self.counted != len(self.read):
            self.count(len(self.read))
        return super().train(mode)

    def step(self, ids: Tensor, lengths: Tensor, state: NgramState | None = None) -> tuple[Tensor, NgramState]:
        width = self.config.order - 1
        before = state.history if state else self._start(len(ids))
        joined = torch.cat([before, ids.cpu()], dim=1)
        columns = lengths.cpu()[:, None] + torch.arange(width)[None]
        history = joined.gather(1, columns)
        return self._following(history).log().float().to(ids.device), NgramState(history)

    def _following(self, history: Tensor) -> Tensor:
        """`probabilities` of every token at once, (N, V): only those that have followed a context are looked at."""
        p = torch.full((len(history), self.vocabulary_size), 1 / self.vocabulary_size, dtype=torch.float64)
        d = self.config.discount
        for k, node in enumerate(self._contexts(history)):
            for row, (low, high) in enumerate(torch.stack(self._children(k, node), 1).tolist()):
                if high > low:
                    weights = self.weights[k][low:high]
                    total = self.totals[k][high] - self.totals[k][low]
                    followed = self.keys[k][low:high] - node[row] * self.vocabulary_size
                    p[row] *= d * (high - low) / total
                    p[row, followed] += (weights - d).clamp(min=0) / total
        return p

    def learned(self) -> dict[str, Tensor]:
        return {"read": self.read, "counted": torch.tensor(self.counted)}

    def restore(self, learned: dict[str, Tensor]) -> None:
        read, counted = learned["read"], learned["counted"]
        check_one("read", read, (read.numel(),), torch.int64)
        check_one("counted", counted, (), torch.int64)
        if read.numel() and not (read.min() >= NOTHING and read.max() < self.vocabulary_size):
            raise ValueError("the tensor read holds tokens beyond the vocabulary")
        if not 0 <= counted <= len(read):
            raise ValueError("more tokens are counted than were read")
        self.read = read
        self.count(int(counted))

    def state_from(self, tensors: dict[str, Tensor]) -> NgramState:
        history = tensors["history"]
        if history.ndim != 2 or history.shape[1] != self.config.order - 1:
            raise OptionError("the checkpoint's state does not fit this model; were its options changed?")
        return NgramState(history.cpu())

    def size(self) -> dict[str, int]:
        ngrams = sum(len(keys) for keys in self.keys)
        return {"parameters": ngrams, "trained": ngrams}

    def save(self, folder: Path) -> None:
        counted = {"read": self.read, "counted": torch.tensor(len(self.read))}
        _folder.save(folder, self.config, self.vocabulary_size, counted)


def build(config: Config, tokenizer: Vocabulary, base: Path | None = None) -> Ngram:
    """An n-gram model that has read nothing: every token is as likely."""
    if base is not None:
        raise OptionError("the family 'ngram' counts from nothing; drop the option base")
    return Ngram(config, tokenizer.vocabulary_size)


def load(folder: Path, precision: torch.dtype = torch.float32) -> Ngram:
    """A saved n-gram model; its counts are whole numbers in any precision."""
    options, vocabulary_size, counted = _folder.load(folder)
    model = Ngram(Config(**options), vocabulary_size)
    model.restore(counted)
    return model.eval()


FAMILY = Family(Config, build, load)
