"""A Gaussian process that is conditioned by one row at a time, for searches of some hundred results.

Targets are normal scores, so its prior mean is zero and its scale is about one.  With ``K`` the covariances
of the k rows that it knows, ``K = L L^T`` and ``z = L^-1 y``; of c candidates it keeps ``V = L^-1 K(rows,
candidates)``, so that::

    mean = V^T z        var = s^2 - (column sums of V^2)

One more row is one more line of L, z and V, which costs O(k c); that is how a lie is told.  A candidate that
becomes a row brings its line of L along: it is its column of V.

Few results say little about length scales.  So several sets of hyperparameters are drawn from what is
believed of them, and take turns: each posterior is that of one set.  To average over all of them for each
point costs as many times more, and the workers that run side by side would all be sent where the average is
lowest; taking turns, they are sent where one or the other set sees something.

C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1; J. Snoek,
H. Larochelle, R. P. Adams, Practical Bayesian optimization of machine learning algorithms, NIPS 2012, section
3.2, for more than one set.

Letters: ``k`` rows that are known, ``n`` observations, ``d`` parameters, ``f`` features, ``c`` candidates.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from deephpo.seeds import rng_below
from deephpo.space.arrays import Rows, Vector
from deephpo.space.encoding import Encoding
from deephpo.surrogates.hyperparameters import Hyperparameters
from deephpo.surrogates.matern import Features, Matrix, matern, squared_distances
from deephpo.surrogates.protocol import ALL, Moment, Places, Which
from deephpo.surrogates.targets import normal_scores

GROWTH = 1 / 8
"""Hyperparameters are learned anew when the observations have grown by this share of their number."""
SETS = 4
"""So many sets of them take turns: the most probable one, and drawn ones."""

_LEAST_VARIANCE = 1e-10


class GaussianProcess:
    """Matern 5/2 with a length scale for each parameter, and noise; over numbers, categories and branches.

    seed: of the sets of hyperparameters that are drawn.  The most probable ones are looked for from those
    before on.  All sets that are learned at n depend on the first n observations and their order alone, so a
    resumed search comes to the same.
    """

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        self._features = Features(encoding)
        self._seed = seed
        self._learned_at = 0
        self._due: list[Moment] = []
        self.sets = [Hyperparameters.prior(encoding.d)]
        self._turn = 0
        self._X: Rows = np.empty((0, encoding.d), dtype=np.float32)
        self._known: Matrix = np.empty((0, 0))  # features, (k, f)
        self._y: Vector = np.empty(0)
        self._line_of: dict[int, int] = {}  # from places to lines of the two above

    def renew(self, now: Moment, q: int) -> None:
        """Settle whether the next fit learns hyperparameters, from what is known now."""
        del q
        if now.n >= self._learned_at * (1.0 + GROWTH):
            self._learned_at = now.n
            self._due.append(now)

    def fit(self, X: Rows, places: Places, y: Vector) -> None:
        """Learn the hyperparameters that are due, and know the observations alone."""
        self._X = X
        self._known = self._features(X[places])
        self._y = y.copy()
        self._line_of = {place: line for line, place in enumerate(places.tolist())}
        self._turn = len(places)
        for moment in self._due:
            self._learn_sets(moment)
        self._due = []

    def forget(self, place: int) -> None:
        """Do nothing: what is believed of pending rows is forgotten with every fit."""

    def expect(self, places: Places) -> Vector:
        """Return the mean at the rows, by the most probable hyperparameters, shape (k,)."""
        return self._posterior(self.sets[0], self._X[places]).belief()[0]

    def learn(self, X: Rows, places: Places, y: Vector) -> None:
        """Take the targets of rows, in place of what was believed of them."""
        for place, row, target in zip(places.tolist(), self._features(X[places]), y.tolist(), strict=True):
            if not self.retarget(place, target):
                self.append(place, row, target)

    def posterior(self, candidates: Rows) -> GaussianPosterior:
        """Return the belief about the candidates, shape (c, d), by the set whose turn it is."""
        self._turn += 1
        return self._posterior(self.sets[self._turn % len(self.sets)], candidates)

    # What a posterior tells it.

    def features(self, rows: Rows) -> Matrix:
        """Return the features of rows, shape (n, f)."""
        return self._features(rows)

    def retarget(self, place: int, y: float) -> bool:
        """Set the target of a row; returns False if the row is not known."""
        line = self._line_of.get(place)
        if line is None:
            return False
        self._y[line] = y
        return True

    def append(self, place: int, features: Vector, y: float) -> None:
        """Know one more row by its features, shape (f,), and its target."""
        self._line_of[place] = len(self._y)
        self._known = np.concatenate([self._known, features[None]])
        self._y = np.append(self._y, y)

    @property
    def targets(self) -> Vector:
        """The targets of the rows that are known, shape (k,)."""
        return self._y

    def _learn_sets(self, moment: Moment) -> None:
        rng = rng_below(self._seed, moment.n)
        features, y = self._known[: moment.n], normal_scores(moment.values())
        self.sets = self.sets[0].learned(features, y, self._features.parameter, SETS, rng)

    def _posterior(self, hyperparameters: Hyperparameters, candidates: Rows) -> GaussianPosterior:
        kernel = _Kernel(hyperparameters, self._features.parameter)
        return GaussianPosterior(self, kernel, self._known, self._features(candidates))


class _Kernel:
    """Covariances under one set of hyperparameters; parameter: which one each feature belongs to, (f,)."""

    def __init__(self, hyperparameters: Hyperparameters, parameter: NDArray[np.int64]) -> None:
        self.scale, self.noise = hyperparameters.scale, hyperparameters.noise
        self._per_length = np.sqrt(hyperparameters.relevance)[parameter]

    def points(self, features: Matrix) -> Matrix:
        """Return features in units of the length scales."""
        return np.asarray(features * self._per_length)

    def __call__(self, one: Matrix, other: Matrix) -> Matrix:
        """Return the prior covariances of two sets of points, shape (k, c)."""
        return self.scale * matern(squared_distances(one, other))


class GaussianPosterior:
    """Mean and standard deviation of c candidates, kept up while the process learns rows.

    A row that is learned changes all of them.

    known, candidates: the features of the rows that are known and of the candidates, shape (k, f) and (c, f).
    """

    def __init__(self, process: GaussianProcess, kernel: _Kernel, known: Matrix, candidates: Matrix) -> None:
        self._process = process
        self._kernel = kernel
        self._features = candidates
        self._rows, self._candidates = kernel.points(known), kernel.points(candidates)
        K = kernel(self._rows, self._rows)
        K.flat[:: len(K) + 1] += kernel.noise
        self._L = cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        self._z: Vector = self._solve(process.targets)
        self._V = self._solve(kernel(self._rows, self._candidates))
        self._mean: Vector = self._V.T @ self._z
        self._variance: Vector = kernel.scale - np.einsum("kc,kc->c", self._V, self._V)

    def belief(self, which: Which = ALL) -> tuple[Vector, Vector]:
        """Return the mean and the standard deviation of the noise-free target, shape (k,) each."""
        return self._mean[which], np.sqrt(np.maximum(self._variance[which], _LEAST_VARIANCE))

    def take(self, index: int, place: int, y: float) -> Which:
        """Condition on a candidate's target; NaN changes nothing."""
        if math.isnan(y):
            return np.empty(0, dtype=np.int64)
        self._process.append(place, self._features[index], y)
        self._extend(self._candidates[[index]], self._V[:, index], y)
        return ALL

    def learn(self, X: Rows, places: Places, y: Vector) -> Which:
        """Condition on the targets of rows, in place of what was believed of them."""
        known = np.array(
            [self._process.retarget(p, t) for p, t in zip(places.tolist(), y, strict=True)], bool
        )
        if known.any():
            self._z = self._solve(self._process.targets)
            self._mean = self._V.T @ self._z
        features = self._process.features(X[places[~known]])
        for place, row, target in zip(places[~known].tolist(), features, y[~known].tolist(), strict=True):
            self._process.append(place, row, target)
            point = self._kernel.points(row[None])
            self._extend(point, self._solve(self._kernel(self._rows, point)[:, 0]), target)
        return ALL if len(places) else np.empty(0, dtype=np.int64)

    def _extend(self, point: Matrix, line: Vector, y: float) -> None:
        """Condition on one more point, shape (1, f), whose line of L is known but for the pivot."""
        kernel, k = self._kernel, len(line)
        pivot = math.sqrt(max(kernel.scale + kernel.noise - float(line @ line), kernel.noise))
        new = (kernel(point, self._candidates)[0] - line @ self._V) / pivot
        self._L = np.pad(self._L, (0, 1))
        self._L[k, :k], self._L[k, k] = line, pivot
        self._rows = np.concatenate([self._rows, point])
        self._z = np.append(self._z, (y - line @ self._z) / pivot)
        self._V = np.concatenate([self._V, new[None]])
        self._mean = self._mean + new * self._z[-1]
        self._variance -= new * new

    def _solve(self, right: Matrix) -> Matrix:
        """Return ``L^-1 right``, where right has the shape (k,) or (k, c)."""
        return np.asarray(solve_triangular(self._L, right, lower=True, check_finite=False))
