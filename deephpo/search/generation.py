"""A generation of candidates: scored once, from which many points are picked."""

from __future__ import annotations

import numpy as np

from deephpo.acquisition import lower_confidence_bound
from deephpo.space.arrays import Rows, Vector, key
from deephpo.surrogates.protocol import ALL, Places, Posterior, Which

WORN_OUT = 1 / 8
"""The share of the candidates after which the best of them are used up."""


class Generation:
    """Candidates and the surrogate's belief about them, kept up to date while it learns.

    kappa: the weight of the uncertainty in their lower confidence bounds.
    """

    def __init__(self, candidates: Rows, posterior: Posterior, kappa: float) -> None:
        self._candidates = candidates
        self._posterior = posterior
        self._kappa = kappa
        self._barred = np.zeros(len(candidates), dtype=np.bool_)
        self._bound: Vector = np.empty(len(candidates))
        self._mean: Vector = np.empty(len(candidates))
        self._picks = 0
        self._look_again(ALL)

    @property
    def worn_out(self) -> bool:
        """Whether so many points were picked that fresh candidates are due."""
        return self._picks >= WORN_OUT * len(self._candidates)

    def pick(self, tried: set[bytes], taken: set[bytes]) -> int | None:
        """Return the most promising candidate that is neither tried nor taken; None if all are."""
        while np.isfinite(self._bound[index := int(self._bound.argmin())]):
            self._barred[index] = True
            self._bound[index] = np.inf
            row = key(self._candidates[index])
            if row not in tried and row not in taken:
                self._picks += 1
                return index
        return None

    def row(self, index: int) -> Rows:
        """Return a candidate, shape (d,)."""
        row: Rows = self._candidates[index]
        return row

    def mean(self, index: int) -> float:
        """Return what the surrogate expects of a candidate."""
        return float(self._mean[index])

    def take(self, index: int, place: int, y: float) -> None:
        """Let a candidate be the row at ``place``, of which ``y`` is believed; NaN if nothing is."""
        self._look_again(self._posterior.take(index, place, y))

    def learn(self, X: Rows, places: Places, y: Vector) -> None:
        """Take ``y`` as the targets of the rows ``X[places]``."""
        self._look_again(self._posterior.learn(X, places, y))

    def _look_again(self, which: Which) -> None:
        mean, std = self._posterior.belief(which)
        bound = lower_confidence_bound(mean, std, self._kappa)
        bound[self._barred[which]] = np.inf
        self._mean[which], self._bound[which] = mean, bound
