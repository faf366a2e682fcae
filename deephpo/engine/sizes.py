"""How many workers trials need, as far as they are known: so many trials are asked for as can be started."""

from __future__ import annotations

import math
from collections.abc import Iterable

from deephpo.trial import Trial


class Sizes:
    """The sizes of all trials that were suggested.

    expected: the average before any is known.  trials, ranks: how many there were, and what they need all
    together.
    """

    def __init__(self, expected: float, trials: int = 0, ranks: int = 0) -> None:
        self._expected = expected
        self._trials = trials
        self._ranks = ranks
        self.smallest = math.inf
        """The least that one needs."""

    def add(self, trials: Iterable[Trial]) -> None:
        """Take note of more trials."""
        for trial in trials:
            self._trials += 1
            self._ranks += trial.ranks
            self.smallest = min(self.smallest, trial.ranks)

    def trials_for(self, workers: int) -> int:
        """Return how many trials, as they are on the average, so many workers can train; rounded up."""
        # What is expected counts as one more trial: so trials of one size are all that there is, exactly.
        mean = (self._expected + self._ranks) / (1 + self._trials)
        return math.ceil(workers / mean)
