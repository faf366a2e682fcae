"""Which observations are good and which are bad, at a cost that does not grow with their number."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deephpo.space.arrays import Vector

GOOD_SHARE = 0.1
"""So large a part of the successes is good, one at least."""
MOST_GOOD = 25
"""So many are good at the most, as in Hyperopt and in Optuna."""
MOST_BAD = 256
"""So many of the bad ones stand for all of them at the most."""


class Split:
    """The best of all observations, and the rest, thinned out; a failure is never good."""

    def __init__(self) -> None:
        self._n = 0
        self._succeeded = 0
        self._best = np.empty(0, dtype=np.int64)
        """The numbers of the lowest values, the lowest first, of equal ones the first."""

    def learn(self, values: Vector) -> None:
        """Take the values of all observations, shape (n,); those that were known already lead."""
        new = np.arange(self._n, len(values))
        new = new[np.isfinite(values[new])]
        self._n = len(values)
        self._succeeded += len(new)
        if len(self._best) == MOST_GOOD:
            new = new[values[new] < values[self._best[-1]]]
        among = np.concatenate([self._best, new])
        self._best = among[np.argsort(values[among], kind="stable")[:MOST_GOOD]]

    @property
    def good(self) -> NDArray[np.int64]:
        """The numbers of the good observations, the best first, shape (k,)."""
        return self._best[: math.ceil(GOOD_SHARE * self._succeeded)]

    @property
    def bad(self) -> NDArray[np.int64]:
        """The numbers of the bad ones, shape (b,): all, or every second, fourth, ... of all observations."""
        step = 1 << max(0, math.ceil(math.log2(max(self._n, 1) / MOST_BAD)))
        return np.setdiff1d(np.arange(0, self._n, step), self.good, assume_unique=True)

    @property
    def bad_weight(self) -> float:
        """For how many bad observations each of those stands."""
        return (self._n - len(self.good)) / max(len(self.bad), 1)
