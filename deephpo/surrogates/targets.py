"""From told values to a surrogate's targets: the one place that knows failures and heavy tails."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from deephpo.space.arrays import Vector


class Ranking:
    """The normal scores of values among n given ones; lower is better.

    A value that has ``k`` of the n below it and is equal to ``e`` of them has the score
    ``Phi^-1((k + e/2) / n)``: for one of the n themselves that is the score of its mean rank, for a value
    between two of them that of the place between.  What is lower than all of them is as far from the lowest
    as a quarter of a rank.

    A failed trial is told as +inf: all of them share the highest ranks, so the model learns to stay away
    from them without being bent by an invented number.
    """

    def __init__(self, values: Vector) -> None:
        self._sorted = np.sort(values)

    def scores(self, values: Vector) -> Vector:
        """Return the score of each value, shape (k,)."""
        n = len(self._sorted)
        order = np.argsort(values)
        ordered = values[order]  # looked up in their order, they are found five times as fast
        below = np.searchsorted(self._sorted, ordered, "left")
        not_above = np.searchsorted(self._sorted, ordered, "right")
        scores = np.empty(len(values))
        scores[order] = ndtri(np.clip((below + not_above) / 2, 1 / 4, n - 1 / 4) / n)
        return scores


def normal_scores(values: Vector) -> Vector:
    """Return the normal scores of ``values`` among themselves, shape (n,)."""
    return Ranking(values).scores(values)
