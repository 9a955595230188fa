"""Which documents an epoch reads: all of the corpus, and as many of the teacher's as there is room for."""

from __future__ import annotations

import numpy as np


def of_epoch(lengths: np.ndarray, own: int, real: float, epoch: int) -> np.ndarray:
    """The numbers of the documents of an epoch, (n,) int64.

    lengths (N,) are the tokens of all documents; the first `own` ones are the corpus's. These have at least the share
    `real` of the epoch's tokens. Each epoch goes on among the teacher's texts where the one before has ended.
    """
    room = lengths[:own].sum() * (1 - real) / real
    theirs = lengths[own:]
    total = theirs.sum()
    if total <= room:
        return np.arange(len(lengths))
    start = np.floor(epoch * room) % total
    begins = (theirs.cumsum() - theirs - start) % total
    return np.concatenate([np.arange(own), own + np.flatnonzero(begins + theirs <= room)])
