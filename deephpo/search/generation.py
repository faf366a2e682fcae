"""A generation of candidates: scored once, from which many points are picked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deephpo.space.arrays import Rows, Vector, key
from deephpo.surrogates.protocol import ALL, Places, Posterior, Which

Score = Callable[[Vector, Vector], Vector]
"""From means and standard deviations to what candidates score, shape (k,) each; the lowest is the best."""


class Generation:
    """Candidates and the surrogate's belief about them, kept up to date while it learns."""

    def __init__(self, candidates: Rows, posterior: Posterior, score: Score) -> None:
        self._candidates = candidates
        self._posterior = posterior
        self._score = score
        self._barred = np.zeros(len(candidates), dtype=np.bool_)
        self._scores: Vector = np.empty(len(candidates))
        self._mean: Vector = np.empty(len(candidates))
        self.picks = 0
        """How many points were picked."""
        self._look_again(ALL)

    def weigh(self, score: Score) -> None:
        """Score all candidates anew, in another way."""
        self._score = score
        self._look_again(ALL)

    def pick(
        self, tried: set[bytes], taken: set[bytes], rng: np.random.Generator | None = None
    ) -> int | None:
        """Return the most promising candidate that is neither tried nor taken; None if all are.

        rng: if the most promising one of all is tried or taken, any other is drawn.
        """
        scores = self._scores
        while np.isfinite(scores[index := int(scores.argmin())]):
            self._barred[index] = True
            self._scores[index] = scores[index] = np.inf
            row = key(self._candidates[index])
            if row not in tried and row not in taken:
                self.picks += 1
                return index
            if rng is not None and scores is self._scores:
                scores = np.where(self._barred, np.inf, rng.random(len(scores)))
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
        scores = self._score(mean, std)
        scores[self._barred[which]] = np.inf
        self._mean[which], self._scores[which] = mean, scores
