"""How much a candidate is worth trying: pure functions of mean and standard deviation; lower is better."""

from __future__ import annotations

from deephpo.space.arrays import Vector

KAPPA = 1.96
"""The weight of the uncertainty in the lower confidence bound: a two-sided 95 % interval."""


def lower_confidence_bound(mean: Vector, std: Vector, kappa: float = KAPPA) -> Vector:
    """Return ``mean - kappa * std``, the most that may be hoped for from each candidate, shape (c,)."""
    return mean - kappa * std
