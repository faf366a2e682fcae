"""How many workers trials need, as far as they are known: so many trials are asked for as can be started."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from deephpo.trial import Trial


class Sizes:
    """The sizes of all trials that were suggested.

    expected: the average before any is known.  known: how many trials there were before, by what they need.
    """

    def __init__(self, expected: float, known: Mapping[int, int]) -> None:
        self._expected = expected
        self._trials = sum(known.values())
        self._ranks = sum(size * count for size, count in known.items())
        # Whatever is expected on the average, some do not exceed.
        self.least = min([math.floor(expected), *known])
        """No trial is known that needs fewer workers."""

    def add(self, trials: Iterable[Trial]) -> None:
        """Take note of more trials."""
        for trial in trials:
            self._trials += 1
            self._ranks += trial.ranks
            self.least = min(self.least, trial.ranks)

    def trials_for(self, workers: int) -> int:
        """Return how many trials, as they are on the average, so many workers can train; rounded up."""
        return math.ceil(workers / self._mean)

    def leave_room(self, workers: int) -> bool:
        """Return whether so many workers can train more than one trial of the average size at once."""
        return workers >= 2 * self._mean

    @property
    def _mean(self) -> float:
        # What is expected counts as one more trial: so trials of one size are all that there is, exactly.
        return (self._expected + self._ranks) / (1 + self._trials)
