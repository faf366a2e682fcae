"""The Matern kernel with smoothness 5/2 over encoded configurations, one length scale a parameter.

Two configurations are the farther apart the more their parameters differ, each in units of its own length
scale: numbers by the distance of their codes, categories by being the same or not.  A number that is switched
off counts as one in the middle of its range, for its parent tells the two apart already.

C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, section 4.2.1.

Letters: ``n``, ``c`` rows, ``d`` parameters, ``f`` features.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deephpo.space.arrays import Rows
from deephpo.space.encoding import INACTIVE, Encoding
from deephpo.space.parameters import Categorical, Ordinal

Matrix = NDArray[np.float64]

_MIDDLE = 0.5
_APART = math.sqrt(0.5)
"""So large are the features of categories that two of them are at distance 1."""


class Features:
    """Rows as points of a Euclidean space: a column for each number, and for each category."""

    def __init__(self, encoding: Encoding) -> None:
        parameters: list[int] = []
        self._categories: list[np.float32 | None] = []
        for j, (column, parameter) in enumerate(
            zip(encoding.columns, encoding.space.parameters, strict=True)
        ):
            codes: list[np.float32 | None] = [None]
            if isinstance(parameter, Categorical) and not isinstance(parameter, Ordinal):
                codes = list(column.axis(None))
                codes += [INACTIVE] if parameter.alternatives else []
            self._categories += codes
            parameters += [j] * len(codes)
        self.parameter = np.array(parameters)
        """The parameter that each feature belongs to, shape (f,)."""
        self.numbers = np.flatnonzero([category is None for category in self._categories])
        """Which features are numbers; the others are 0 but for rows of their category."""

    def __call__(self, rows: Rows) -> Matrix:
        """Return the features of rows, shape (n, f)."""
        codes = rows[:, self.parameter]
        features = np.where(codes == INACTIVE, _MIDDLE, codes).astype(np.float64)
        for f, category in enumerate(self._categories):
            if category is not None:
                features[:, f] = _APART * (codes[:, f] == category)
        return features


def squared_distances(A: Matrix, B: Matrix) -> Matrix:
    """Return the squared Euclidean distances of two sets of points, shape (n, c)."""
    squares = np.einsum("ij,ij->i", A, A)[:, None] + np.einsum("ij,ij->i", B, B)
    squares -= 2.0 * (A @ B.T)
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def matern(squares: Matrix) -> Matrix:
    """Return the kernel, 1 at distance 0, of squared distances in units of the length scale."""
    r = np.sqrt(5.0 * squares)
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def matern_slope(squares: Matrix) -> Matrix:
    """Return the kernel's derivative by the squared distance, same shape."""
    r = np.sqrt(5.0 * squares)
    return np.asarray((-5.0 / 6.0) * (1.0 + r) * np.exp(-r))
