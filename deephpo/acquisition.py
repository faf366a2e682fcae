"""How much a candidate is worth trying: pure functions of mean and standard deviation; lower is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

KAPPA = 1.96
"""The weight of the uncertainty in the lower confidence bound: a two-sided 95 % interval."""


def lower_confidence_bound(mean: Vector, std: Vector, kappa: float = KAPPA) -> Vector:
    """Return ``mean - kappa * std``, the most that may be hoped for from each candidate, shape (c,)."""
    return mean - kappa * std
