"""The best value so far."""

from __future__ import annotations

from deephpo.problem import Direction


class Incumbent:
    """Takes the value of one settled trial after the other, in the user's own direction."""

    def __init__(self, direction: Direction, value: float | None = None, since: int = 0) -> None:
        self._direction: Direction = direction
        self.value = value
        """None before the first."""
        self.since = since
        """How many trials were settled after it."""

    def take(self, value: float | None) -> None:
        """Take note of a trial; value: None if it has none."""
        self.since += 1
        if value is not None and (self.value is None or (value != self.value and not self.reaches(value))):
            self.value, self.since = value, 0

    def reaches(self, mark: float) -> bool:
        """Return whether the best is as good as this."""
        if self.value is None:
            return False
        return self.value <= mark if self._direction == "minimize" else self.value >= mark
