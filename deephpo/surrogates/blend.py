"""A Gaussian process and extremely randomised trees, of whose beliefs the mean is taken.

They are wrong in different ways.  The process is smooth, has the same length scales everywhere, and goes back
to the average away from what it knows; the trees are rough, look more closely where more is known, and go on
with a trend.  What both hold to be good is more often good.  Means and standard deviations are averaged, so
that a lower confidence bound is the average of the two bounds.
"""

from __future__ import annotations

import numpy as np

from deephpo.space.arrays import Rows, Vector
from deephpo.surrogates.forest import ForestPosterior, ForestSurrogate
from deephpo.surrogates.gaussian_process import GaussianPosterior, GaussianProcess
from deephpo.surrogates.protocol import ALL, Moment, Places, Which

PROCESS_SHARE = 0.85
"""The weight of the process; with half of the weight the trees bring nothing (docs/search-quality.md)."""


class Blend:
    """Both of them, each of which learns everything."""

    def __init__(self, process: GaussianProcess, forest: ForestSurrogate) -> None:
        self._process, self._forest = process, forest

    def renew(self, now: Moment, q: int) -> None:
        """Settle what the next fit of each is to do anew."""
        self._process.renew(now, q)
        self._forest.renew(now, q)

    def fit(self, X: Rows, places: Places, y: Vector) -> None:
        """Let both learn the observations, and forget all else that was believed."""
        self._process.fit(X, places, y)
        self._forest.fit(X, places, y)

    def forget(self, place: int) -> None:
        """Forget the rows from a place on."""
        self._process.forget(place)
        self._forest.forget(place)

    def expect(self, places: Places) -> Vector:
        """Return the average of what they expect where the rows are, shape (k,)."""
        return _average(self._process.expect(places), self._forest.expect(places))

    def learn(self, X: Rows, places: Places, y: Vector) -> None:
        """Take the targets of rows, in place of what was believed of them."""
        self._process.learn(X, places, y)
        self._forest.learn(X, places, y)

    def posterior(self, candidates: Rows) -> BlendPosterior:
        """Return the belief about the candidates, shape (c, d)."""
        return BlendPosterior(self._process.posterior(candidates), self._forest.posterior(candidates))


class BlendPosterior:
    """The average of two beliefs about the same candidates.

    That of the process changes for all of them or for none, so what it says of a change holds for both.
    """

    def __init__(self, process: GaussianPosterior, forest: ForestPosterior) -> None:
        self._process, self._forest = process, forest

    def belief(self, which: Which = ALL) -> tuple[Vector, Vector]:
        """Return the averages of their means and of their standard deviations, shape (k,) each."""
        process, forest = self._process.belief(which), self._forest.belief(which)
        return _average(process[0], forest[0]), _average(process[1], forest[1])

    def take(self, index: int, place: int, y: float) -> Which:
        """Let a candidate be the row at ``place``, of which both believe ``y``."""
        self._forest.take(index, place, y)
        return self._process.take(index, place, y)

    def learn(self, X: Rows, places: Places, y: Vector) -> Which:
        """Let both take ``y`` as the targets of the rows."""
        self._forest.learn(X, places, y)
        return self._process.learn(X, places, y)


def _average(process: Vector, forest: Vector) -> Vector:
    return np.asarray(PROCESS_SHARE * process + (1.0 - PROCESS_SHARE) * forest)
