"""The kernels of a Parzen estimator in one parameter: truncated normals, or smoothed categories.

A kernel has its centre at the code of an observation.  Where the observation does not have the parameter, its
code is ``INACTIVE``, and the kernel is the prior: over an order the normal in the middle of the range and as
wide as it (J. Bergstra et al., Algorithms for hyper-parameter optimization, NIPS 2011, section 4.2), else the
same for all categories.

Letters: ``n`` kernels, ``c`` codes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from deephpo.space.arrays import Vector
from deephpo.space.columns import Codes, Column, LevelColumn
from deephpo.space.encoding import INACTIVE, Encoding
from deephpo.space.parameters import Categorical, Ordinal
from deephpo.surrogates.bandwidths import Bandwidths

_COUNTED = 1000
"""A parameter with more levels is taken for a real number; the share of one is next to nothing."""


class Kernels(Protocol):
    """What the estimator asks of n kernels in one parameter."""

    def log_mass(self, codes: Codes) -> NDArray[np.float64]:
        """Return the log mass, or log density, of each code under each kernel, shape (c, n)."""

    def draw(self, which: NDArray[np.int64], rng: np.random.Generator) -> Vector:
        """Return one point of the unit interval from each of the kernels named, shape (len(which),)."""


def kernels_of(encoding: Encoding, j: int, codes: Codes, bandwidths: Bandwidths) -> Kernels:
    """Return the kernels of parameter ``j`` at the codes, shape (n,), which may be INACTIVE."""
    column, parameter = encoding.columns[j], encoding.space.parameters[j]
    active = codes != INACTIVE
    if isinstance(parameter, Categorical) and not isinstance(parameter, Ordinal):
        levels = int(column.levels or 1)
        return CategoryKernels(levels, codes, bandwidths.of_categories(int(active.sum()), levels, encoding.d))
    widths = np.ones(len(codes))
    widths[active] = bandwidths.of_numbers(codes[active], encoding.d)
    return NormalKernels(column, np.where(active, codes, 0.5).astype(np.float64), widths)


class NormalKernels:
    """Normal densities, truncated to the unit interval; of levels, their masses over the levels' shares.

    centres, widths: means and standard deviations before the truncation, shape (n,).
    """

    def __init__(self, column: Column, centres: Vector, widths: Vector) -> None:
        self._column = column
        self._centres = centres
        self._widths = widths
        self._below = ndtr(-centres / widths)
        self._inside = ndtr((1.0 - centres) / widths) - self._below

    def log_mass(self, codes: Codes) -> NDArray[np.float64]:
        """Return log masses, shape (c, n); of a real number, log densities in the unit interval."""
        if not isinstance(self._column, LevelColumn) or self._column.levels > _COUNTED:
            z = self._standard(codes)
            scale = self._widths * self._inside * np.sqrt(2.0 * np.pi)
            return np.asarray(-0.5 * z * z - np.log(scale))
        low, high = map(self._standard, self._column.shares(codes))
        # Above the centre both are mirrored: a small mass is no difference of two numbers near one.
        above = low > 0.0
        low, high = np.where(above, -high, low), np.where(above, -low, high)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((ndtr(high) - ndtr(low)) / self._inside))

    def _standard(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray((points[:, None] - self._centres) / self._widths)

    def draw(self, which: NDArray[np.int64], rng: np.random.Generator) -> Vector:
        """Return points by the inverse of the distribution."""
        shares = self._below[which] + rng.random(len(which)) * self._inside[which]
        points = self._centres[which] + self._widths[which] * ndtri(shares)
        return np.asarray(np.clip(points, 0.0, 1.0))


class CategoryKernels:
    """Kernels that leave their own category with the probability ``off``, for all others alike.

    J. Aitchison, C. Aitken, Multivariate binary discrimination by the kernel method, Biometrika 63, 1976.
    """

    def __init__(self, levels: int, codes: Codes, off: float) -> None:
        self._levels = levels
        self._own = np.where(codes != INACTIVE, self._level_of(codes), -1)
        other = off / max(levels - 1, 1)
        table = np.full((len(codes), levels), other)
        table[np.arange(len(codes)), self._own] = 1.0 - off
        table[self._own < 0] = 1.0 / levels
        self._table = table
        """The probability of each category under each kernel, shape (n, levels)."""

    def _level_of(self, codes: Codes) -> NDArray[np.int64]:
        return np.asarray((codes * self._levels).astype(np.int64))

    def log_mass(self, codes: Codes) -> NDArray[np.float64]:
        """Return log probabilities, shape (c, n)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._table.T[self._level_of(codes)]))

    def draw(self, which: NDArray[np.int64], rng: np.random.Generator) -> Vector:
        """Return the middles of the categories' shares."""
        shares = self._table.cumsum(axis=1)[which]
        levels = (rng.random((len(which), 1)) * shares[:, -1:] >= shares).sum(axis=1)
        return np.asarray((levels + 0.5) / self._levels)
