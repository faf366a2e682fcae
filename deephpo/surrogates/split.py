"""Which observations are good and which are bad, at a cost that does not grow with their number."""

from __future__ import annotations

import math

import numpy as np

from deephpo.space.arrays import Vector
from deephpo.surrogates.protocol import Places

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
        self._last = math.inf, 0
        """Value and number of the last of them; all others come after it."""

    def learn(self, values: Vector, news: Places, succeeded: int) -> None:
        """Take the values of all observations, shape (n,).

        news: the numbers of those that were not known yet, or had another value.  succeeded: how many of all
        have a value.
        """
        self._n, self._succeeded = len(values), succeeded
        best = _lowest(values, np.union1d(self._best, news))
        # One that became worse may have made room for another one that nobody has looked at for long.
        if len(best) < min(MOST_GOOD, succeeded) or _last(values, best) > self._last:
            best = _lowest(values, np.arange(len(values)))
        self._best, self._last = best, _last(values, best)

    @property
    def good(self) -> Places:
        """The numbers of the good observations, the best first, shape (k,)."""
        return self._best[: math.ceil(GOOD_SHARE * self._succeeded)]

    @property
    def bad(self) -> Places:
        """The numbers of the bad ones, shape (b,): all, or every second, fourth, ... of all observations."""
        step = 1 << max(0, math.ceil(math.log2(max(self._n, 1) / MOST_BAD)))
        return np.setdiff1d(np.arange(0, self._n, step), self.good, assume_unique=True)

    @property
    def bad_weight(self) -> float:
        """For how many bad observations each of those stands."""
        return (self._n - len(self.good)) / max(len(self.bad), 1)


def _lowest(values: Vector, numbers: Places) -> Places:
    """Return which of the numbers, which ascend, have the lowest values, the lowest first."""
    numbers = numbers[np.isfinite(values[numbers])]
    if len(numbers) > MOST_GOOD:
        least = np.partition(values[numbers], MOST_GOOD - 1)[MOST_GOOD - 1]
        numbers = numbers[values[numbers] <= least]
    return numbers[np.argsort(values[numbers], kind="stable")[:MOST_GOOD]]


def _last(values: Vector, best: Places) -> tuple[float, int]:
    """Return value and number of the last of the best, or of nothing if more would have been there."""
    return (float(values[best[-1]]), int(best[-1])) if len(best) == MOST_GOOD else (math.inf, 0)
