"""A Gaussian process that is conditioned by one row at a time, for searches of some hundred results.

Targets are normal scores, so its prior mean is zero and its scale is about one.  With ``K`` the covariances
of the k rows that it knows, ``K = L L^T`` and ``z = L^-1 y``; of c candidates it keeps ``V = L^-1 K(rows,
candidates)``, so that::

    mean = V^T z        var = s^2 - (column sums of V^2)

One more row is one more line of L, z and V, which costs O(k c); that is how a lie is told.  A candidate that
becomes a row brings its line of L along: it is its column of V.

C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1.

Letters: ``k`` rows that are known, ``m`` rows asked, ``n`` observations, ``d`` parameters, ``c`` candidates.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from deephpo.space.arrays import Rows, Vector
from deephpo.space.encoding import Encoding
from deephpo.surrogates.hyperparameters import Hyperparameters
from deephpo.surrogates.matern import Features, Matrix, matern, squared_distances
from deephpo.surrogates.protocol import ALL, Places, Which
from deephpo.surrogates.targets import normal_scores

GROWTH = 1 / 8
"""Hyperparameters are learned anew when the observations have grown by this share of their number."""

_LEAST_VARIANCE = 1e-10


class GaussianProcess:
    """Matern 5/2 with a length scale for each parameter, and noise; over numbers, categories and branches.

    Hyperparameters begin with those from before.  Those learned at n depend on the first n observations and
    their order alone, so a resumed search comes to the same.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._features = Features(encoding)
        self._learned_at = 0
        self._due: list[int] = []
        self.hyperparameters = Hyperparameters.prior(encoding.d)
        self._X: Rows = np.empty((0, encoding.d), dtype=np.float32)
        self._line_of: dict[int, int] = {}  # from places to lines
        self._points: Matrix = np.empty((0, 0))  # (k, f)
        self._y: Vector = np.empty(0)
        self.z: Vector = np.empty(0)
        self._L: Matrix = np.empty((0, 0))

    def renew(self, n: int, q: int) -> None:
        """Settle whether the next fit learns hyperparameters, from its n observations."""
        del q
        if n >= self._learned_at * (1.0 + GROWTH):
            self._learned_at = n
            self._due.append(n)

    def fit(self, X: Rows, places: Places, y: Vector) -> None:
        """Learn the hyperparameters that are due, and condition on the observations alone."""
        features = self._features(X[places])
        for n in self._due:
            scores = normal_scores(y[:n])
            self.hyperparameters = self.hyperparameters.learned(
                features[:n], scores, self._features.parameter
            )
        self._due = []
        self._X = X
        self._points = self._in_length_scales(features)
        self._line_of = {place: line for line, place in enumerate(places.tolist())}
        self._y = y.copy()
        K = self.covariances(self._points)
        K.flat[:: len(K) + 1] += self.hyperparameters.noise
        self._L = cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        self.z = self.solve(self._y)

    def forget(self, place: int) -> None:
        """Do nothing: what is believed of pending rows is forgotten with every fit."""

    def expect(self, places: Places) -> Vector:
        """Return the mean at the rows, shape (k,)."""
        return self.posterior(self._X[places]).belief()[0]

    def learn(self, X: Rows, places: Places, y: Vector) -> None:
        """Condition on the targets of rows, in place of what was believed of them."""
        self.posterior(X[:0]).learn(X, places, y)

    def posterior(self, candidates: Rows) -> GaussianPosterior:
        """Return the belief about the candidates, shape (c, d)."""
        return GaussianPosterior(self, self.points(candidates))

    # What the posterior needs.

    def points(self, rows: Rows) -> Matrix:
        """Return the rows' features in units of the length scales, shape (n, f)."""
        return self._in_length_scales(self._features(rows))

    def covariances(self, points: Matrix) -> Matrix:
        """Return the prior covariances of the rows that are known with some points, shape (k, c)."""
        return self.hyperparameters.scale * matern(squared_distances(self._points, points))

    def solve(self, right: Matrix) -> Matrix:
        """Return ``L^-1 right``, where right has the shape (k,) or (k, c)."""
        return np.asarray(solve_triangular(self._L, right, lower=True, check_finite=False))

    def retarget(self, place: int, y: float) -> bool:
        """Set the target of a row; returns False if the row is not known."""
        line = self._line_of.get(place)
        if line is None:
            return False
        self._y[line] = y
        return True

    def append(self, place: int, point: Matrix, line: Vector, y: float) -> float:
        """Condition on one more row, whose line of L is known but for the pivot, which is returned."""
        rest = self.hyperparameters.scale + self.hyperparameters.noise - float(line @ line)
        pivot = math.sqrt(max(rest, self.hyperparameters.noise))
        k = len(line)
        self._line_of[place] = k
        self._points = np.concatenate([self._points, point])
        self._L = np.pad(self._L, (0, 1))
        self._L[k, :k], self._L[k, k] = line, pivot
        self._y = np.append(self._y, y)
        self.z = np.append(self.z, (y - line @ self.z) / pivot)
        return pivot

    def solve_again(self) -> None:
        """Bring z up to date after targets were set."""
        self.z = self.solve(self._y)

    def _in_length_scales(self, features: Matrix) -> Matrix:
        return np.asarray(features * np.sqrt(self.hyperparameters.relevance)[self._features.parameter])


class GaussianPosterior:
    """Mean and standard deviation of c candidates, kept up while the process learns rows.

    points: those of the candidates, shape (c, f).
    """

    def __init__(self, process: GaussianProcess, points: Matrix) -> None:
        self._process = process
        self._points = points
        self._V = process.solve(process.covariances(points))
        self._mean: Vector = self._V.T @ process.z
        self._variance: Vector = process.hyperparameters.scale - np.einsum("kc,kc->c", self._V, self._V)

    def belief(self, which: Which = ALL) -> tuple[Vector, Vector]:
        """Return the mean and the standard deviation of the noise-free target, shape (k,) each."""
        return self._mean[which], np.sqrt(np.maximum(self._variance[which], _LEAST_VARIANCE))

    def take(self, index: int, place: int, y: float) -> Which:
        """Condition on a candidate's target; NaN changes nothing."""
        if math.isnan(y):
            return np.empty(0, dtype=np.int64)
        self._append(place, self._points[[index]], self._V[:, index], y)
        return ALL

    def learn(self, X: Rows, places: Places, y: Vector) -> Which:
        """Condition on the targets of rows, in place of what was believed of them."""
        known = [
            self._process.retarget(place, target) for place, target in zip(places.tolist(), y, strict=True)
        ]
        if any(known):
            self._process.solve_again()
            self._mean = self._V.T @ self._process.z
        new = ~np.array(known, dtype=np.bool_)
        points = self._process.points(X[places[new]])
        for place, point, target in zip(places[new].tolist(), points, y[new].tolist(), strict=True):
            line = self._process.solve(self._process.covariances(point[None])[:, 0])
            self._append(place, point[None], line, target)
        return ALL if len(places) else np.empty(0, dtype=np.int64)

    def _append(self, place: int, point: Matrix, line: Vector, y: float) -> None:
        scale = self._process.hyperparameters.scale
        own = scale * matern(squared_distances(point, self._points))[0]
        pivot = self._process.append(place, point, line, y)
        row = (own - line @ self._V) / pivot
        self._V = np.concatenate([self._V, row[None]])
        self._mean += row * self._process.z[-1]
        self._variance -= row * row
