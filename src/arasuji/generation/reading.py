"""What several texts have before them is read for all of them at once, and shots that they share are read once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from arasuji.documents import Document
from arasuji.models import LanguageModel
from arasuji.padding import padded


def state_after(model: LanguageModel, ids: Sequence[int], rows: int) -> Any:
    """The state of rows that have all read the same ids (S,), S > 0, which are read once."""
    device = model.device
    _, state = model.step(torch.tensor([ids], device=device), torch.tensor([len(ids)], device=device))
    return state.select(torch.zeros(rows, dtype=torch.int64, device=device))


def read_documents(model: LanguageModel, documents: Sequence[Document], pad_id: int) -> tuple[Tensor, Any]:
    """Read B documents from their beginnings: the scores of the next token of each (B, V), and the state.

    Shots are read in a row of their own, whose state then becomes one row for each document after them. Neighbours with
    the same shots share this row. The same numbers are computed for a document whatever the others are.
    """
    device = model.device
    scores: list[Tensor] = []
    state: Any = None
    for shots, some in groupby(documents, lambda document: document.ids[: document.shots]):
        rows = [document.ids[document.shots :] for document in some]
        before = state_after(model, shots, len(rows)) if shots else None
        lengths = torch.tensor([len(row) for row in rows], device=device)
        part, after = model.step(padded(rows, pad_id).to(device), lengths, before)
        scores.append(part)
        state = after if state is None else state.join(after)
    return torch.cat(scores), state
