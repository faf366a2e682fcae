"""The trend under a forest: half of what a ridge regression says that each parameter does by itself.

Trees are constant beyond the outermost rows that they know, and over each leaf; so from few results they see
neither where it goes on getting better, nor what all rows together say about one parameter.  A line in each
number, and a constant for each category, does.  What it leaves is the forest's (H. Zhang, D. Nettleton,
Z. Zhu, Regression-enhanced random forests, 2019).

A search gathers its rows where it found good ones, and a regression on such rows errs: beside the bottom of a
valley it goes on downhill, and a category that was met in the valley alone gets the credit for it.  Forests
believe what they are told below them, and would not look elsewhere again.  So each number has a square in the
regression, which takes the valley's part and is left out of the trend; and of the rest half counts.

How stiff it is, is chosen by how well it foretells each row from the others; a linear smoother need not be
fitted again for that (T. Hastie, R. Tibshirani, J. Friedman, The elements of statistical learning, 2009, eq.
7.64).

Letters: ``n`` rows, ``f`` features, squares included, ``k`` of them, or of rows, that differ.
"""

from __future__ import annotations

import numpy as np

from deephpo.space.arrays import Rows, Vector
from deephpo.space.encoding import Encoding
from deephpo.surrogates.matern import Features, Matrix

SHARE = 1 / 2
"""So much of each effect is the trend's; the rest is left to the forest, which sees where effects differ."""
RIDGES = 10.0 ** np.arange(-1.5, 3.0, 0.5)
"""Among these it is chosen; of the last one hardly a trend is left."""
MOST_NUMBERS = 2**16
"""It is learned from no more numbers, rows times features: then from rows evenly spread among all."""

_NOTHING = 1e-9
_LEAST_LEFT = 1e-2


class Trend:
    """A function of rows: the mean of the targets plus a part for each feature.  At birth it is 0."""

    def __init__(self, encoding: Encoding) -> None:
        self._features = Features(encoding)
        effects = len(self._features.parameter)
        self._most_rows = max(1, MOST_NUMBERS // (effects + len(self._features.numbers)))
        self._effect = np.zeros(effects)
        self._base = 0.0

    def __call__(self, rows: Rows) -> Vector:
        """Return the trend at rows, shape (k,)."""
        return np.asarray(self._base + self._features(rows) @ self._effect)

    def fit(self, rows: Rows, y: Vector) -> None:
        """Learn the targets of rows, shape (n,)."""
        step = -(-len(y) // self._most_rows)
        features, y = self._features(rows[::step]), y[::step]
        middle, mean = features.mean(axis=0), float(y.mean())
        squares = 2.0 * np.square(features[:, self._features.numbers] - 0.5)
        A = np.concatenate([features - middle, squares - squares.mean(axis=0)], axis=1)
        self._effect = SHARE * ridge(A, y - mean)[: len(middle)]
        self._base = mean - float(middle @ self._effect)


def ridge(A: Matrix, y: Vector) -> Vector:
    """Return the slopes, shape (f,), of the best of the RIDGES; A, shape (n, f), and y have mean 0."""
    e, U = _spectrum(A)
    along = U.T @ y
    damped = 1.0 / (e[:, None] + RIDGES)  # (k, ridges)
    left = y[:, None] - U @ (e[:, None] * damped * along[:, None])
    own = np.square(U) @ (e[:, None] * damped) + 1.0 / len(y)
    errors = left / np.maximum(1.0 - own, _LEAST_LEFT)
    best = int(np.square(errors).sum(axis=0).argmin())
    return np.asarray(A.T @ (U @ (damped[:, best] * along)))


def _spectrum(A: Matrix) -> tuple[Vector, Matrix]:
    """Return the eigenvalues of A A^T above 0 and their eigenvectors, shapes (k,) and (n, k)."""
    wide = A.shape[1] > len(A)
    e, V = np.linalg.eigh(A @ A.T if wide else A.T @ A)
    kept = e > _NOTHING * max(float(e[-1]), 1.0)
    e, V = e[kept], V[:, kept]
    return e, V if wide else A @ V / np.sqrt(e)
