"""What every surrogate is to the searches.

Letters: ``n`` observations, ``d`` dimensions, ``c`` candidates.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deephpo.space.arrays import Rows, Vector


class Posterior(Protocol):
    """What a surrogate believes of a fixed set of candidates, and how it takes news of some of them."""

    @property
    def mean(self) -> Vector:
        """The expected target of each candidate, shape (c,)."""

    @property
    def std(self) -> Vector:
        """The standard deviation of each candidate's target, shape (c,)."""

    def condition(self, indices: NDArray[np.int64], values: Vector) -> None:
        """Take ``values`` as the targets of the candidates ``indices``, both of shape (k,); no refit."""


class Surrogate(Protocol):
    """A model of the target over encoded configurations; lower targets are better."""

    def fit(self, X: Rows, y: Vector) -> None:
        """Learn from all n observations.

        X, y: shapes (n, d) and (n,).  Between calls rows are only ever appended to X, so that what was
        learnt of the earlier ones may be kept; their targets in y may all have changed, as ranks do.
        """

    def posterior(self, candidates: Rows) -> Posterior:
        """Return the belief about the candidates, shape (c, d)."""
