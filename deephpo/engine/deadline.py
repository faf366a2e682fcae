"""The end of the time: when it is, and whether a trial that started now would see it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

NOTICE_S = 30.0
"""So long before the end running trials are told to stop by themselves, or a twentieth of the time if that is
less."""

_REMEMBERED = 256
_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the search must be over, in seconds since it began."""

    time_s: float
    asked_for: bool = True
    """Whether it is the user's own time limit rather than the scheduler's end."""


class Durations:
    """The durations of the last trials that completed, and what they say of the next one."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, duration_s: float) -> None:
        """Take one more."""
        if len(self._recent) == _REMEMBERED:
            oldest = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._recent.append(duration_s)
        insort(self._sorted, duration_s)

    @property
    def typical_s(self) -> float:
        """The median; 0 while there are too few to say."""
        if len(self._sorted) < _ENOUGH:
            return 0.0
        return self._sorted[len(self._sorted) // 2]


def notice_s(time_s: float) -> float:
    """Return how long before the end of so much time running trials are to stop by themselves."""
    return min(NOTICE_S, time_s / 20)
