"""How many of some points are better than another one: by one loss, or by dominance in several."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import Protocol

import numpy as np

Point = tuple[float, ...]
"""The losses of a trial, one for each metric that it is judged by."""


class Ranks(Protocol):
    """Points that others are compared with."""

    def __len__(self) -> int: ...

    def enter(self, point: Point) -> None:
        """Take in a point."""

    def better_than(self, point: Point) -> int:
        """Return how many are better than a point."""


class Sorted:
    """Points of one loss, in order."""

    def __init__(self) -> None:
        self._points: list[Point] = []

    def __len__(self) -> int:
        return len(self._points)

    def enter(self, point: Point) -> None:
        """Take in a point."""
        insort(self._points, point)

    def better_than(self, point: Point) -> int:
        """Return how many are less than a point."""
        return bisect_left(self._points, point)


class Dominance:
    """Points of several losses; those are better that are no worse in any of them, and better in one."""

    def __init__(self, losses: int) -> None:
        self._points = np.empty((losses, 16))
        """A row for each loss, a column for each of the ``_count`` points; those after them are room."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, point: Point) -> None:
        """Take in a point."""
        if self._count == self._points.shape[1]:
            self._points = np.concatenate([self._points, np.empty_like(self._points)], axis=1)
        self._points[:, self._count] = point
        self._count += 1

    def better_than(self, point: Point) -> int:
        """Return how many dominate a point."""
        points, other = self._points[:, : self._count], np.array(point)[:, None]
        return int(np.count_nonzero((points <= other).all(axis=0) & (points < other).any(axis=0)))


class Least:
    """The smallest of points of one loss."""

    def __init__(self) -> None:
        self._point: Point = (math.inf,)

    def add(self, point: Point) -> None:
        """Take in a point."""
        self._point = min(self._point, point)

    def reaches(self, point: Point) -> bool:
        """Return whether the smallest is at least as good as a point."""
        return self._point <= point


class Front:
    """Of points of several losses those that no other one is at least as good as."""

    def __init__(self, losses: int) -> None:
        self._points = np.empty((losses, 0))

    def add(self, point: Point) -> None:
        """Take in a point, if it belongs here, in place of those that do not any more."""
        if not self.reaches(point):
            new = np.array(point)[:, None]
            stay = (self._points < new).any(axis=0)
            self._points = np.concatenate([self._points[:, stay], new], axis=1)

    def reaches(self, point: Point) -> bool:
        """Return whether one of the points is at least as good in every loss."""
        return bool((self._points <= np.array(point)[:, None]).all(axis=0).any())
