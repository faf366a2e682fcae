"""The best value so far."""

from __future__ import annotations

from collections.abc import Iterable

from deephpo.problem import Direction


class Incumbent:
    """Takes the value of one settled trial after the other, in the user's own direction."""

    def __init__(self, direction: Direction, value: float | None = None, since: Iterable[int] = ()) -> None:
        self._direction: Direction = direction
        self.value = value
        """None before the first."""
        self.since = set(since)
        """The trials that were settled after it: one that went on and ended again is one of them."""

    def take(self, trial_id: int, value: float | None) -> None:
        """Take note of a trial; value: None if it has none."""
        self.since.add(trial_id)
        if value is not None and (self.value is None or (value != self.value and not self.reaches(value))):
            self.value, self.since = value, set()

    def reopen(self, trial_id: int) -> None:
        """Take note that a trial goes on; the value that it had stands."""
        self.since.discard(trial_id)

    def reaches(self, mark: float) -> bool:
        """Return whether the best is as good as this."""
        if self.value is None:
            return False
        return self.value <= mark if self._direction == "minimize" else self.value >= mark
