"""Rows that were never asked: by drawing while that is easy, by counting through what is left at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from deephpo.search.history import History
from deephpo.space.encoding import Encoding, Rows

Draw = Callable[[int], Rows]
"""From a number n to n rows; repeats are possible."""

_FUTILE = 128
"""After so many drawn rows in succession, none of them new, what is left is counted through."""


class Untried:
    """Finds configurations that the history does not hold, as long as there are any."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._left: Iterator[Rows] | None = None
        self._pool: Rows = np.empty((0, encoding.d), dtype=np.float32)

    def draw(self, q: int, history: History, draw: Draw) -> Rows:
        """Return q new rows from ``draw``; fewer only when nothing untried is left.  Shape (q, d)."""
        found: Rows = np.empty((0, self._encoding.d), dtype=np.float32)
        futile = 0
        while len(found) < q and futile < _FUTILE:
            # No more than are missing, or a design would lose its even spread with what is thrown away.
            rows = draw(max(q - len(found), futile))
            fresh = history.new(np.concatenate([found, rows]))
            futile = futile + len(rows) if len(fresh) == len(found) else 0
            found = fresh[:q]
        if len(found) == q:
            return found
        return history.new(np.concatenate([found, self.remaining(q + len(found), history)]))[:q]

    def remaining(self, most: int, history: History) -> Rows:
        """Return up to ``most`` new rows by counting through a finite space; shape (k, d).

        In an infinite space there is always another draw, so nothing is counted and k is 0.
        """
        if not self._encoding.finite:
            return self._pool
        if self._left is None:
            self._left = self._encoding.grid()
        pool = [history.new(self._pool)]
        missing = most - len(pool[0])
        while missing > 0 and (row := next(self._left, None)) is not None:
            fresh = history.new(row)
            pool.append(fresh)
            missing -= len(fresh)
        self._pool = np.concatenate(pool)
        return self._pool[:most]
