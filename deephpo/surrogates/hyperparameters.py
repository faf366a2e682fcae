"""What a Gaussian process learns about its kernel: length scales, scale and noise.

The most probable ones given the targets maximise the marginal likelihood times a prior; they are found with
exact gradients, by L-BFGS.

C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, sections 5.2 and 5.4.1.

Letters: ``n`` observations, ``d`` parameters, ``f`` features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, lapack
from scipy.optimize import minimize

from deephpo.space.arrays import Vector
from deephpo.surrogates.matern import Matrix, matern, matern_slope, squared_distances

MOST_OBSERVATIONS = 200
"""Of more observations than this, the best half of so many and others evenly in between are looked at."""
_MOST_STEPS = 20
_LEAST_NOISE, _MOST_NOISE = 1e-6, np.e
_RANGE = 8.0
_STEPS_APART = 8
_STRIDES = (0.15, 0.5, 1.0)
"""Standard deviations of the random walk's steps, in logarithms."""
_UNLIKELY = 1e10


@dataclass(frozen=True)
class Hyperparameters:
    """The kernel's hyperparameters.

    relevance: length scales to the power -2, shape (d,).  scale: the variance of the function.
    noise: the variance of what is observed about it.
    """

    relevance: Vector
    scale: float
    noise: float

    @classmethod
    def prior(cls, d: int) -> Hyperparameters:
        """Return what to begin with, for d parameters."""
        return cls(np.full(d, 4.0 / d), 1.0, np.exp(-5.0))

    def learned(
        self,
        features: Matrix,
        y: Vector,
        parameter: NDArray[np.int64],
        count: int,
        rng: np.random.Generator,
    ) -> list[Hyperparameters]:
        """Return the most probable ones given targets y, shape (n,), and others that are nearly as probable.

        features: shape (n, f).  parameter: to which parameter each feature belongs, shape (f,).  The most
        probable ones are looked for from these here on; the rest of ``count`` are states of a random walk
        that begins there, by Metropolis' rule.
        """
        chosen = _chosen(y)
        features, y = features[chosen], y[chosen]
        d = len(self.relevance)
        own = (features[:, parameter == j] for j in range(d))
        squares = np.stack([squared_distances(points, points) for points in own])
        found = minimize(
            _improbability,
            np.log([*self.relevance, self.scale, self.noise]),
            (squares, y),
            method="L-BFGS-B",
            jac=True,
            bounds=[(-_RANGE, _RANGE)] * d + [(-3.0, 3.0), (np.log(_LEAST_NOISE), np.log(_MOST_NOISE))],
            options={"maxiter": _MOST_STEPS},
        )
        walk = _walk(found.x, float(found.fun), squares, y, rng)
        return [_from(theta) for theta in [found.x, *islice(walk, count - 1)]]


def _from(theta: Vector) -> Hyperparameters:
    values = np.exp(theta)
    return Hyperparameters(values[:-2], float(values[-2]), float(values[-1]) + _LEAST_NOISE)


def _walk(
    theta: Vector, improbability: float, squares: Matrix, y: Vector, rng: np.random.Generator
) -> Iterator[Vector]:
    """Yield every few states of a random walk whose states are as frequent as they are probable."""
    while True:
        for scale in rng.choice(_STRIDES, size=_STEPS_APART):
            there = theta + scale * rng.normal(size=len(theta))
            value = _Likelihood(there, squares, y).value + _prior(there)[0]
            if np.log(rng.random()) < improbability - value:
                theta, improbability = there, value
        yield theta


def _chosen(y: Vector) -> NDArray[np.int64]:
    order = np.argsort(y, kind="stable")
    half = MOST_OBSERVATIONS // 2
    if len(y) <= MOST_OBSERVATIONS:
        return np.arange(len(y))
    rest = order[half:]
    return np.sort(np.concatenate([order[:half], rest[np.linspace(0, len(rest) - 1, half).astype(np.int64)]]))


def _improbability(theta: Vector, squares: Matrix, y: Vector) -> tuple[float, Vector]:
    """Return minus the logarithm of the posterior density, and its gradient; all as in _Likelihood."""
    likelihood = _Likelihood(theta, squares, y)
    prior, prior_gradient = _prior(theta)
    return likelihood.value + prior, likelihood.gradient() + prior_gradient


class _Likelihood:
    """Minus the logarithm of the marginal likelihood.

    theta: logarithms of relevance, scale and noise, shape (d + 2,).  squares: of the distances in each
    parameter, shape (d, n, n).  y: targets, shape (n,).
    """

    def __init__(self, theta: Vector, squares: Matrix, y: Vector) -> None:
        self._theta, self._squares = theta, squares
        self._relevance, self._scale = np.exp(theta[:-2]), np.exp(theta[-2])
        self._distances = np.tensordot(self._relevance, squares, 1)
        self._K = self._scale * matern(self._distances)
        noisy = self._K.copy()
        noisy.flat[:: len(y) + 1] += np.exp(theta[-1]) + _LEAST_NOISE
        self.value, self._L = _UNLIKELY, None
        with suppress(LinAlgError):
            self._L = cholesky(noisy, lower=True, overwrite_a=True, check_finite=False)
            self._alpha = cho_solve((self._L, True), y, check_finite=False)
            self.value = float(y @ self._alpha / 2.0 + np.log(self._L.diagonal()).sum())

    def gradient(self) -> Vector:
        """Return the derivatives by theta, shape (d + 2,)."""
        if self._L is None:
            return np.zeros_like(self._theta)
        inverse = lapack.dpotri(self._L, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        outer = (inverse - np.outer(self._alpha, self._alpha)) / 2.0
        slope = self._scale * outer * matern_slope(self._distances)
        by_relevance = self._relevance * (self._squares.reshape(len(self._squares), -1) @ slope.ravel())
        by_noise = np.exp(self._theta[-1]) * np.trace(outer)
        return np.concatenate([by_relevance, [(outer * self._K).sum()], [by_noise]])


def _prior(theta: Vector) -> tuple[float, Vector]:
    """Return minus the logarithm of the prior density, and its gradient.

    Relevances are kept from both ends, where they no longer say anything about the target; the scale is
    about that of the targets, and there is little noise.
    """
    relevance, scale, noise = np.exp(theta[:-2]), theta[-2], (theta[-1] + 6.0) / 2.0
    value = (0.1 / relevance + 0.1 * relevance).sum() + scale * scale / 2.0 + noise * noise / 2.0
    return float(value), np.concatenate([0.1 * (relevance - 1.0 / relevance), [scale, noise / 2.0]])
