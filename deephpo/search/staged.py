"""Staged random search: after so many results the box to draw from shrinks around the best ever."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.search.steps import step_away
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows, key
from deephpo.space.encoding import INACTIVE, Encoding
from deephpo.space.parameters import Categorical

ELITE = 5
"""A categorical keeps the choices of so many of the best configurations."""
MOST_DRAWS = 16
"""After so many draws in succession that were tried already a box counts as empty."""


class StagedSearch:
    """Draws at random from a box that shrinks from stage to stage, after NHOP's three stages.

    Its box is [p - p/2, p + p/2], which for a number drawn from [0, h] is half as wide as what was before.
    We deviate: half as wide is what the next box is in any range, logarithms for parameters with log=True;
    it lies around the best configuration ever, also where that came late from an earlier and larger box;
    a stage ends after a stated number of results and never sooner; what the best one leaves inactive is not
    narrowed.  What is told again counts when a box is drawn the next time.

    stage: so many results make one.  shrink: a box's width as a share of the one before.
    """

    def __init__(
        self, encoding: Encoding, seed: np.random.SeedSequence, *, stage: int = 50, shrink: float = 0.5
    ) -> None:
        self._encoding = encoding
        self._stage = stage
        self._shrink = shrink
        self._rng = np.random.default_rng(seed)
        self._untried = Untried(encoding, self._rng.spawn(1)[0])
        self._ends = stage
        """At so many results the stage ends."""
        self._low, self._high = np.zeros(encoding.d), np.ones(encoding.d)
        self._choices = {
            j: encoding.columns[j].axis(None)
            for j, parameter in enumerate(encoding.space.parameters)
            if type(parameter) is Categorical  # an Ordinal shrinks as a number does
        }
        """The codes that are left, by the categorical's column."""

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        if history.n >= self._ends:
            self._ends = history.n + self._stage
            if history.succeeded:
                self._narrow(history)
        return self._untried.draw(q, history, lambda n: self._draw(n, history))

    def _narrow(self, history: History) -> None:
        best = np.argsort(history.values, kind="stable")[: min(ELITE, history.succeeded)]
        elite = history.rows[history.told_places[best]]
        self._narrow_numbers(elite[0])
        for j in self._choices:
            kept = np.unique(elite[:, j])
            kept = kept[kept != INACTIVE]
            if len(kept):
                self._choices[j] = kept

    def _narrow_numbers(self, incumbent: Rows) -> None:
        half = self._shrink * (self._high - self._low) / 2
        inside = (self._low <= incumbent) & (incumbent <= self._high)
        low = np.maximum(incumbent - half, np.where(inside, self._low, 0.0))
        high = np.minimum(incumbent + half, np.where(inside, self._high, 1.0))
        active = incumbent != INACTIVE
        self._low, self._high = np.where(active, low, self._low), np.where(active, high, self._high)

    def _draw(self, n: int, history: History) -> Rows:
        """Return n allowed rows of the box, or of its surroundings where it holds nothing new."""
        rows = self._sample(n)
        for _ in range(MOST_DRAWS):
            tried = np.array([key(row) in history.tried for row in rows])
            if not tried.any():
                return rows
            rows[tried] = self._sample(int(tried.sum()))
        return step_away(rows, history, self._encoding, self._rng)

    def _sample(self, n: int) -> Rows:
        """Return n allowed rows of the box, or of the space where all of the box is forbidden."""
        points = self._low + (self._high - self._low) * self._rng.random((n, self._encoding.d))
        for j, kept in self._choices.items():
            points[:, j] = self._rng.choice(kept, size=n)
        rows = self._encoding.from_unit(points)
        forbidden = ~self._encoding.allowed(rows)
        if forbidden.any():
            rows[forbidden] = self._encoding.sample(int(forbidden.sum()), self._rng)
        return rows
