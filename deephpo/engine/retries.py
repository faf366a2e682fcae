"""How often a trial may be cut off before it is itself taken for the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

MOST_INTERRUPTIONS = 2
"""A trial whose process was told to end goes out again, at most so often while one master lives: a batch
system that ends a job says so to every process of it, to this one perhaps before the master; but a trial may
also do so to itself, every time."""


class Retries:
    """Counts what cut trials off: workers that they lost, in all jobs, and words to end, under this master.

    So however many jobs a long trial outlasts, their ends do not add up to a failure.

    most: a trial may lose so many workers.  losses: how many each has lost to earlier processes.
    """

    def __init__(self, most: int, losses: Mapping[int, int]) -> None:
        self._most = most
        self._losses = Counter(losses)
        self._interruptions: Counter[int] = Counter()

    def lose(self, trial_id: int, reason: str) -> str | None:
        """Count a lost worker; returns why the trial is given up, None if it may go out again."""
        self._losses[trial_id] += 1
        if (lost := self._losses[trial_id]) <= self._most:
            return None
        return f"given up: it lost {lost} workers, the last one because: {reason}"

    def interrupt(self, trial_id: int, reason: str) -> str | None:
        """Count that it was told to end; returns why it is given up, None if it may go out again."""
        self._interruptions[trial_id] += 1
        if (times := self._interruptions[trial_id]) <= MOST_INTERRUPTIONS:
            return None
        return f"given up: it was told to end {times} times while the search went on, the last time: {reason}"

    def forget(self, trial_id: int) -> None:
        """Take note that a trial is settled: one that goes on after all may be cut off as often again."""
        del self._losses[trial_id], self._interruptions[trial_id]
