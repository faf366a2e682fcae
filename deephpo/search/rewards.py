"""Rewards: what a result is worth to the arm that asked for it."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right, insort

from scipy.special import log_ndtr

LEAST = 1e-5
"""Errors below this one are worth no more."""


class Rewards:
    """Gives each result a reward from 0, the worst, to 1; a failure has 0.

    Results are known by their numbers, in whose order they come; one that is told again has another reward
    for its new value, which takes the place of the old one.

    While all values are errors, from 0 to 1, or all are accuracies that are maximised, which stand here with
    the opposite sign, the reward is the accuracy.  From the first value on that is neither, it is the share
    of the results so far that a result is better than, itself counted as a half: so it depends on the order
    of the values alone.
    """

    def __init__(self) -> None:
        self._told = array("d")  # by their numbers, failures included
        self._values: list[float] = []  # in their order

    def of(self, number: int, value: float) -> float:
        """Return the reward of a result with this value, in minimisation scale; +inf if it failed."""
        if number == len(self._told):
            self._told.append(value)
        else:
            self._take_back(self._told[number])
            self._told[number] = value
        if not math.isfinite(value):
            return 0.0
        insort(self._values, value)
        lowest, highest = self._values[0], self._values[-1]
        if lowest >= 0.0 and highest <= 1.0:
            return 1.0 - value
        if lowest >= -1.0 and highest <= 0.0:
            return -value
        below, not_above = bisect_left(self._values, value), bisect_right(self._values, value)
        return 1.0 - (below + not_above) / (2 * len(self._values))

    def _take_back(self, value: float) -> None:
        if math.isfinite(value):
            del self._values[bisect_left(self._values, value)]


def log_reward(reward: float) -> float:
    """Return ``|log10(1 - a)|`` of a reward a: 1 for an accuracy of 0.9, 2 for one of 0.99, at most 5."""
    return abs(math.log10(min(max(1.0 - reward, LEAST), 1.0 - LEAST)))


def gain(expected: float) -> float:
    """Return what a nominee is worth, of which a surrogate expects a target.

    All targets have a mean of 0 and a standard deviation of 1, and lower ones are better: so the expected
    error with the opposite sign is in one scale for all arms, whatever transformation each of them learns.
    """
    return -expected


def log_gain(expected: float) -> float:
    """Return ``|log10(p)|`` of the share p of a normal distribution that is below the target; up to 5."""
    return min(-float(log_ndtr(expected)) / math.log(10.0), -math.log10(LEAST))
