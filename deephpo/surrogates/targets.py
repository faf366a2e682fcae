"""From told values to a surrogate's targets: the one place that knows failures and heavy tails."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from deephpo.space.arrays import Vector


def normal_scores(values: Vector) -> Vector:
    """Return the normal scores of the ranks of ``values``, shape (n,); lower is better.

    The score of rank r (from 0) is Phi^-1((r + 1/2) / n), ties at their mean rank.  A failed trial is
    told as +inf: all of them share the highest ranks, so the model learns to stay away from them
    without being bent by an invented number.
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    ranks = below + (counts - 1) / 2
    scores = ndtri((ranks + 0.5) / len(values))
    return np.asarray(scores[inverse], dtype=np.float64)
