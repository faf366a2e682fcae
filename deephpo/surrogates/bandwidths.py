"""How wide the kernels of a Parzen estimator are, as a function of the observations alone.

S. Watanabe, Tree-structured Parzen estimator: understanding its algorithm components and their roles for
better empirical performance, 2023, compares such rules.

Letters: ``n`` kernels, ``k`` of them with the parameter active, ``d`` parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deephpo.space.arrays import Vector
from deephpo.space.columns import Codes


class Bandwidths(Protocol):
    """A rule for the widths of kernels."""

    def of_numbers(self, codes: Codes, d: int) -> Vector:
        """Return the standard deviation of the kernel at each code, as a share of the range, shape (k,)."""

    def of_categories(self, k: int, levels: int, d: int) -> float:
        """Return the probability with which a kernel leaves its category for any other one."""


@dataclass(frozen=True)
class Scott:
    """One width for all kernels, which shrinks with their number: ``number * k^(-1 / (d + 4))``.

    It is Scott's rule for densities of d parameters (Multivariate density estimation, 1992), with a constant
    in the place of the observations' own spread, which a few good ones say little about.  Of ``category``,
    times the same power, the share that is due to the other categories is the probability to leave one.
    """

    number: float = 0.2
    category: float = 0.5

    def of_numbers(self, codes: Codes, d: int) -> Vector:
        """Return the same width k times."""
        return np.full(len(codes), self.number * _shrinkage(len(codes), d))

    def of_categories(self, k: int, levels: int, d: int) -> float:
        """Return the bandwidth of J. Aitchison and C. Aitken, Biometrika 63, 1976, at most that of chance."""
        return (levels - 1) / levels * min(1.0, self.category * _shrinkage(k, d))


def _shrinkage(k: int, d: int) -> float:
    return float(max(k, 1) ** (-1.0 / (d + 4)))
