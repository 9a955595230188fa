"""MAUVE (Pillutla et al. 2021, 2023): how alike two sets of texts are, in the eyes of a pretrained reader.

The hidden states of all texts are clustered, and the shares that each set has of the clusters are compared. The package
`mauve-text` of its authors (GPL 3, extra `mauve`) computes it; without it there is no such figure. Papers take the last
state of GPT-2 large; here it is the mean of the last layer of the judge's reader. So only figures of one report can be
compared with each other.
"""

from __future__ import annotations

import numpy as np

TEXTS_OF_CLUSTER = 39
"""Texts of both sets together for each cluster: as few as faiss, whose k-means the package uses, takes without a
warning. (The package's own choice are 20, for thousands of texts.)"""


def mauve(written: np.ndarray, real: np.ndarray) -> float | None:
    """From 0 to 1: the higher, the more alike are the texts; None where the package is not installed.

    written and real (N, D): a row for each text. Sets of the same few texts are less alike than large ones, so compare
    with what other real texts reach."""
    try:
        from mauve import compute_mauve
    except ModuleNotFoundError:
        return None
    clusters = max(2, (len(written) + len(real)) // TEXTS_OF_CLUSTER)
    return min(1.0, float(compute_mauve(p_features=real, q_features=written, num_buckets=clusters).mauve))
