"""Rows that were never asked: by drawing while that is easy, by counting through what is left at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from deephpo.search.history import History
from deephpo.space.arrays import Rows, key
from deephpo.space.encoding import INACTIVE, Encoding

Draw = Callable[[int], Rows]
"""From a number n to n rows; repeats are possible."""

_FUTILE = 128
"""After so many drawn rows in succession, none of them new, what is left of a finite space is counted."""
_FUTILE_ENDLESS = 4096
"""So many in a space with real numbers, where a rare branch may hold all that is new."""
_IDLE_PASSES = 256
"""After so many passes in succession, none of which met an active real number, a space has no more."""


class Untried:
    """Finds configurations that the history does not hold, as long as there are any.

    rng draws the real numbers of what is counted through.
    """

    def __init__(self, encoding: Encoding, rng: np.random.Generator) -> None:
        self._encoding = encoding
        self._rng = rng
        self._left = self._count()
        self._pool: Rows = np.empty((0, encoding.d), dtype=np.float32)

    def draw(self, q: int, history: History, draw: Draw) -> Rows:
        """Return q new rows from ``draw``; fewer only when nothing untried is left.  Shape (q, d)."""
        found: Rows = np.empty((0, self._encoding.d), dtype=np.float32)
        futile, most = 0, _FUTILE if self._encoding.finite else _FUTILE_ENDLESS
        while len(found) < q and futile < most:
            # No more than are missing, or a design would lose its even spread with what is thrown away.
            rows = draw(max(q - len(found), futile))
            fresh = history.new(np.concatenate([found, rows]))
            futile = futile + len(rows) if len(fresh) == len(found) else 0
            found = fresh[:q]
        if len(found) == q:
            return found
        return history.new(np.concatenate([found, self.remaining(q + len(found), history)]))[:q]

    def fill_up(self, rows: Rows, q: int, history: History, draw: Draw) -> Rows:
        """Return the rows, which are new and all different, and behind them others from ``draw``.

        Shape (q, d); fewer only when nothing untried is left.
        """
        known = set(map(key, rows))
        others = self.draw(q, history, draw)  # among them may be all of the rows
        return np.concatenate([rows, others[[key(row) not in known for row in others]]])[:q]

    def remaining(self, most: int, history: History) -> Rows:
        """Return up to ``most`` new rows, all different, by counting through the space; shape (k, d).

        k is less than ``most`` only when nothing untried is left.
        """
        pool = list(history.new(self._pool))
        pooled = set(map(key, pool))
        while len(pool) < most and (row := next(self._left, None)) is not None:
            if key(row) not in history.tried and key(row) not in pooled:
                pool.append(row[0])
                pooled.add(key(row))
        self._pool = np.array(pool, dtype=np.float32).reshape(-1, self._encoding.d)
        return self._pool[:most]

    def _count(self) -> Iterator[Rows]:
        """Yield all rows of a finite space; of any other, pass by pass, each branch with new real numbers.

        Where conditions and forbidden combinations keep every real number out, such a space is finite
        after all, and this ends; so it does where they leave less than one in some hundred of them.
        """
        real = np.array([column.levels is None for column in self._encoding.columns])
        idle, patience = 0, 1 if self._encoding.finite else _IDLE_PASSES
        while idle < patience:
            idle += 1
            for row in self._encoding.grid(rng=self._rng):
                if (row[0, real] != INACTIVE).any():
                    idle = 0
                yield row
