"""What a search knows: the observations, the pending trials, and everything that was ever tried."""

from __future__ import annotations

import math

import numpy as np

from deephpo.space.arrays import Rows, Vector, key


class History:
    """Observations in the order in which they were told, and the trials that are still out.

    Values are in minimisation scale; a failed trial has +inf.  ``d`` is the number of parameters.
    """

    def __init__(self, d: int) -> None:
        self._rows = np.empty((64, d), dtype=np.float32)
        self._values = np.empty(64, dtype=np.float64)
        self.n = 0
        """How many trials were told, failed ones included."""
        self.succeeded = 0
        """How many of them have a value."""
        self.pending: dict[int, Rows] = {}
        """Trials that were asked and not yet told, by id; each row has the shape (d,)."""
        self.tried: set[bytes] = set()
        """The keys of all configurations that were ever asked."""

    @property
    def rows(self) -> Rows:
        """The told configurations, shape (n, d)."""
        return self._rows[: self.n]

    @property
    def values(self) -> Vector:
        """What they were told to be worth, shape (n,)."""
        return self._values[: self.n]

    @property
    def pending_rows(self) -> Rows:
        """The pending configurations in the order in which they were asked, shape (k, d)."""
        d = self._rows.shape[1]
        return np.array(list(self.pending.values()), dtype=np.float32).reshape(-1, d)

    def asked(self, trial_id: int, row: Rows) -> None:
        """Note that a trial is out; row has the shape (d,)."""
        self.pending[trial_id] = row
        self.tried.add(key(row))

    def told(self, trial_id: int, value: float) -> None:
        """Replace a pending trial by its value; +inf if it failed."""
        if self.n == len(self._values):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._rows[self.n] = self.pending.pop(trial_id)
        self._values[self.n] = value
        self.n += 1
        self.succeeded += math.isfinite(value)

    def learnt(self, row: Rows, value: float) -> None:
        """Take an observation that was never asked here; row has the shape (d,)."""
        self.asked(-1, row)
        self.told(-1, value)

    def new(self, rows: Rows) -> Rows:
        """Return the rows that were never asked, each configuration once, in their order."""
        seen: set[bytes] = set()
        keep = []
        for i, row in enumerate(map(key, rows)):
            if row not in self.tried and row not in seen:
                seen.add(row)
                keep.append(i)
        return rows[keep]
