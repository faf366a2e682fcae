"""Parzen estimators over configurations, and the surrogate of TPE: how much likelier the good ones are there.

J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, Algorithms for hyper-parameter optimization, NIPS 2011, section
4; many parameters at once after S. Falkner, A. Klein, F. Hutter, BOHB, ICML 2018; the parts compared by
S. Watanabe, Tree-structured Parzen estimator, 2023.

A kernel is a way to write a configuration down, parents before children: every parameter that is active then
is drawn near the observation's value, and from the prior if the observation does not have it.  So a sample
has the activity pattern of its kernel until a parent of it changes, and the density of each activity pattern
is that of its active parameters alone: all of them together integrate to one.

Letters: ``n`` observations, ``c`` candidates, ``d`` parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deephpo.space.arrays import Rows, Vector
from deephpo.space.encoding import INACTIVE, Encoding
from deephpo.surrogates.bandwidths import Bandwidths, Scott
from deephpo.surrogates.parzen_kernels import kernels_of


class ParzenEstimator:
    """A density over configurations: a mixture of one kernel for each row, and of the prior.

    rows: shape (n, d).  weights: of their kernels, shape (n,).  prior_weight: of the prior, in the same
    unit.  multivariate: one mixture over configurations, a kernel in which is the product of those in its
    parameters; otherwise every parameter has a mixture of its own, over the rows in which it is active.

    Forbidden combinations are never drawn, but the density does not know of them.
    """

    def __init__(
        self,
        encoding: Encoding,
        rows: Rows,
        weights: Vector,
        *,
        prior_weight: float = 1.0,
        multivariate: bool = True,
        bandwidths: Bandwidths,
    ) -> None:
        self._encoding = encoding
        self._multivariate = multivariate
        # The prior is the kernel of a row that has no parameter at all.
        rows = np.concatenate([rows, np.full((1, encoding.d), INACTIVE)])
        weights = np.append(weights, prior_weight)
        speaks = rows != INACTIVE
        speaks[-1] = True
        shares = np.ones((encoding.d, 1)) * weights if multivariate else weights * speaks.T
        self._shares = shares / shares.sum(axis=1, keepdims=True)
        """Of each kernel in the mixture, for each parameter, shape (d, n + 1)."""
        self._kernels = [kernels_of(encoding, j, rows[:, j], bandwidths) for j in range(encoding.d)]

    def log_density(self, rows: Rows) -> Vector:
        """Return the logarithm of the density at each row, shape (c,).

        It is a mass in parameters with levels, a density in the codes of real numbers, and about the
        active ones only.
        """
        parts = (self._log_mass(rows[:, j], j) for j in range(self._encoding.d))
        if self._multivariate:
            return _log_mean(sum(parts, np.zeros(1)), self._shares[0])
        return sum((_log_mean(part, self._shares[j]) for j, part in enumerate(parts)), np.zeros(len(rows)))

    def _log_mass(self, codes: NDArray[np.float32], j: int) -> NDArray[np.float64]:
        """Return what a parameter says of each code under each kernel; nothing where it is inactive."""
        different, where = np.unique(codes, return_inverse=True)
        table = self._kernels[j].log_mass(different)
        table[different == INACTIVE] = 0.0
        return table[where]

    def draw(self, n: int, rng: np.random.Generator) -> Rows:
        """Return n samples, none of them forbidden; repeats are possible.  Shape (n, d)."""
        found: list[Rows] = []
        missing = n
        while missing:
            rows = self._encoding.from_unit(self._points(n, rng))
            found.append(rows[self._encoding.allowed(rows)][:missing])
            missing -= len(found[-1])
        return np.concatenate(found)

    def _points(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        points = np.empty((n, self._encoding.d))
        which = rng.choice(len(self._shares[0]), size=n, p=self._shares[0])
        for j, kernels in enumerate(self._kernels):
            if not self._multivariate:
                which = rng.choice(len(self._shares[j]), size=n, p=self._shares[j])
            points[:, j] = kernels.draw(which, rng)
        return points


def _log_mean(logs: NDArray[np.float64], shares: Vector) -> Vector:
    """Return the logarithm of the mean under the shares, row by row; shape (c,)."""
    highest = logs.max(axis=1, keepdims=True)
    return np.asarray(highest[:, 0] + np.log(np.exp(logs - highest) @ shares))


class ParzenSurrogate:
    """The density ``l`` of good configurations, that ``g`` of all others, and how they compare."""

    def __init__(self, encoding: Encoding, *, multivariate: bool = True) -> None:
        self._encoding = encoding
        self._multivariate = multivariate
        nothing = np.empty((0, encoding.d), dtype=np.float32)
        self.fit(nothing, nothing, np.empty(0))

    def fit(self, good: Rows, bad: Rows, weights: Vector) -> None:
        """Learn which configurations are good, the best first, shape (k, d), and which bad, shape (n, d).

        weights: of the bad ones, shape (n,).
        """
        self._good = self._estimator(good, rank_weights(len(good)))
        self._bad = self._estimator(bad, weights)

    def _estimator(self, rows: Rows, weights: Vector) -> ParzenEstimator:
        return ParzenEstimator(
            self._encoding, rows, weights, multivariate=self._multivariate, bandwidths=Scott()
        )

    def score(self, rows: Rows) -> Vector:
        """Return ``log g - log l``, shape (c,): the lower, the larger the expected improvement."""
        return self._bad.log_density(rows) - self._good.log_density(rows)

    def draw(self, n: int, rng: np.random.Generator) -> Rows:
        """Return n samples of the good density, shape (n, d); repeats are possible."""
        return self._good.draw(n, rng)


def rank_weights(k: int) -> Vector:
    """Return weights that fall with the logarithm of the rank, and are 1 in the mean, shape (k,).

    They are those of the recombination of CMA-ES (N. Hansen, The CMA evolution strategy: a tutorial, 2016),
    in which the best of k counts most; in TPE they stand for the improvement by which Watanabe weighs.
    """
    weights = np.log(k + 1.0) - np.log(np.arange(1.0, k + 1.0))
    return np.asarray(weights * k / weights.sum())
