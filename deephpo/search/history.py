"""What a search knows: every configuration that it ever gave out, and what those that were told are worth."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from deephpo.search.revisions import Revisions
from deephpo.space.arrays import Rows, Vector, key
from deephpo.surrogates.protocol import Moment, Places


class History:
    """Configurations in the order in which they were asked, observations in that in which they were told.

    The *place* of a configuration is its number in the order of asking, the *number* of an observation that
    in the order of telling; neither ever changes, also where a trial is told again.  Values are in
    minimisation scale; a failed trial has +inf.  ``d`` is the number of parameters.
    """

    def __init__(self, d: int) -> None:
        self._rows = np.empty((64, d), dtype=np.float32)
        self._places = np.empty(64, dtype=np.int64)
        self._values = np.empty(64, dtype=np.float64)
        self._numbers = array("q")
        """The numbers of the trials' observations by the trials' ids; -1 for one that was not told."""
        self.m = 0
        """How many configurations were asked."""
        self.n = 0
        """How many of them were told, failed ones included."""
        self.learned = 0
        """How many of those were observed elsewhere."""
        self.supposed = 0
        """How many of those that were asked are only supposed to be, for the moment."""
        self.succeeded = 0
        """How many of them have a value."""
        self.best = math.inf
        """The lowest value."""
        self.pending: dict[int, int] = {}
        """The places of the trials that were asked and not yet told, by their ids."""
        self.interim: dict[int, float] = {}
        """What some of the pending trials, by their ids, are worth so far."""
        self.revisions = Revisions()
        """What was told again."""
        self.tried: set[bytes] = set()
        """The keys of all configurations that were ever asked."""

    @property
    def rows(self) -> Rows:
        """The configurations by their places, shape (m, d)."""
        return self._rows[: self.m]

    @property
    def told_places(self) -> Places:
        """The places of the observations in the order in which they were told, shape (n,)."""
        return self._places[: self.n]

    @property
    def values(self) -> Vector:
        """What they were told to be worth, and last where they were told again, shape (n,)."""
        return self._values[: self.n]

    @property
    def pending_places(self) -> Places:
        """The places of the pending trials in the order in which they were asked, shape (k,)."""
        return np.fromiter(self.pending.values(), dtype=np.int64, count=len(self.pending))

    def asked(self, trial_id: int, row: Rows) -> None:
        """Note that a trial is out; row has the shape (d,)."""
        if self.m == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self.m] = row
        self.pending[trial_id] = self.m
        self._numbers.extend([-1] * (trial_id + 1 - len(self._numbers)))
        self.m += 1
        self.tried.add(key(row))

    def told(self, trial_id: int, value: float) -> None:
        """Give a pending trial its value; +inf if it failed."""
        if self.n == len(self._values):
            self._places = np.concatenate([self._places, np.empty_like(self._places)])
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._places[self.n] = self.pending.pop(trial_id)
        self.interim.pop(trial_id, None)
        self._values[self.n] = value
        if trial_id >= 0:
            self._numbers[trial_id] = self.n
        self.n += 1
        self.succeeded += math.isfinite(value)
        self.best = min(self.best, value)

    def told_again(self, trial_id: int, value: float) -> None:
        """Give a trial that was told before another value; +inf if it failed."""
        number = self._numbers[trial_id]
        before = float(self._values[number])
        self.revisions.note(number, before)
        self._values[number] = value
        self.succeeded += math.isfinite(value) - math.isfinite(before)
        self.best = min(self.best, value)
        if before == self.best < value:
            self.best = float(self.values.min())

    def learnt(self, row: Rows, value: float) -> None:
        """Take an observation that was never asked here; row has the shape (d,)."""
        self.asked(-1, row)
        self.told(-1, value)
        self.learned += 1

    @contextmanager
    def supposing(self) -> Iterator[Callable[[Rows], None]]:
        """Yield what notes rows as if they were asked, shape (k, d); after the block they are forgotten.

        For an answer in parts, each of which is to keep away from those before it.
        """

        def suppose(rows: Rows) -> None:
            for row in rows:
                self.asked(~self.m, row)
                self.supposed += 1

        try:
            yield suppose
        finally:
            for row in self._rows[self.m - self.supposed : self.m]:
                self.m -= 1
                self.tried.discard(key(row))
                del self.pending[~self.m]
            self.supposed = 0

    def best_trial(self) -> tuple[int, float] | None:
        """Return the id and the value of the best trial, of equal ones the first that was told.

        What was observed elsewhere is no trial.  None if no trial has succeeded.
        """
        numbers = np.array(self._numbers, dtype=np.int64)
        told = np.flatnonzero(numbers >= 0)
        values = self.values[numbers[told]]
        least = float(values.min(initial=math.inf))
        if not math.isfinite(least):
            return None
        best = told[values == least]
        return int(best[numbers[best].argmin()]), least

    def moment(self) -> Moment:
        """Return the present moment, of which the values are known later too."""
        return Moment(self.n, partial(self._values_at, self.n, len(self.revisions)))

    def _values_at(self, n: int, revisions: int) -> Vector:
        return self.revisions.undone(self._values[:n], revisions)

    def news(self, told: int, revisions: int) -> Places:
        """Return the numbers of what came since so many observations and so many revisions were known.

        First those that were told again, then those that were told; each once, in the order of numbers.
        """
        again = self.revisions.since(revisions)
        return np.concatenate([again[again < told], np.arange(told, self.n)])

    def new(self, rows: Rows) -> Rows:
        """Return the rows that were never asked, each configuration once, in their order."""
        seen: set[bytes] = set()
        keep = []
        for i, row in enumerate(map(key, rows)):
            if row not in self.tried and row not in seen:
                seen.add(row)
                keep.append(i)
        return rows[keep]
