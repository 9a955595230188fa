"""A student's vectors of tokens begin as the teacher's (GUIDE; Trinh et al. 2025, arXiv 2510.06502)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arasuji.errors import OptionError


@torch.no_grad()
def begin_as(teacher: Tensor, student: Tensor, base_ids: np.ndarray, counts: np.ndarray) -> None:
    """Write the teacher's vectors (V', D) into the student's (V, E), projected to the E directions in which frequent
    tokens differ most, and scaled to the spread that the student's have.

    base_ids (V,) is the teacher's id of each token; one that is negative keeps its vector. counts (V,) is how often
    each occurs.

    Raises:
        OptionError: the student's vectors are larger than the teacher's.
    """
    size = student.shape[1]
    if size > teacher.shape[1]:
        raise OptionError(
            f"model.embedding {size} is more than the teacher's {teacher.shape[1]}: lower it, or say "
            "--set teaching.embeddings=false"
        )
    known = torch.from_numpy(np.flatnonzero(base_ids >= 0))
    rows = teacher.cpu()[torch.from_numpy(base_ids)[known]].double()
    shares = torch.from_numpy(counts)[known].double() + 0.5
    shares /= shares.sum()
    rows -= shares @ rows
    _, directions = torch.linalg.eigh(rows.t() @ (rows * shares[:, None]))  # by rising variance
    found = rows @ directions[:, -size:]
    student[known.to(student.device)] = (found * (student.std().cpu() / found.std())).to(student)
