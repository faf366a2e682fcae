"""How much a candidate is worth trying: pure functions of mean and standard deviation; lower is better.

``best`` is the lowest target so far.  An improvement is by how much a candidate falls below ``best - xi``;
with ``u = (best - xi - mean) / std`` its probability is ``Phi(u)``, and what may be expected of it is
``std * (u Phi(u) + phi(u))``.  Both vanish where they matter most, far from the best, so they are taken as
logarithms that keep their order down to any depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from deephpo.space.arrays import Vector

KAPPA = 1.96
"""The weight of the uncertainty in the lower confidence bound: a two-sided 95 % interval."""

_HALF_LOG_2PI = math.log(2.0 * math.pi) / 2.0
_HALF_LOG_HALF_PI = math.log(math.pi / 2.0) / 2.0
_FAR = -1e5
"""Below this, ``u Phi(u) + phi(u)`` is ``phi(u) / u^2`` to the last digit."""


def lower_confidence_bound(mean: Vector, std: Vector, kappa: float = KAPPA) -> Vector:
    """Return ``mean - kappa * std``, the most that may be hoped for from each candidate, shape (c,)."""
    return mean - kappa * std


def expected_improvement(mean: Vector, std: Vector, best: float, xi: float = 0.0) -> Vector:
    """Return minus the logarithm of the expected improvement, shape (c,).

    The logarithm after S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy, Unexpected improvements to
    expected improvement for Bayesian optimization, NeurIPS 2023.
    """
    return -(np.log(std) + _log_h((best - xi - mean) / std))


def probability_of_improvement(mean: Vector, std: Vector, best: float, xi: float = 0.0) -> Vector:
    """Return minus the logarithm of the probability of an improvement, shape (c,)."""
    return np.asarray(-log_ndtr((best - xi - mean) / std))


def _log_h(u: Vector) -> Vector:
    """Return ``log(u Phi(u) + phi(u))``, which neither underflows nor cancels."""
    near = np.maximum(u, -1.0)
    log_near = np.log(near * ndtr(near) + np.exp(-near * near / 2.0 - _HALF_LOG_2PI))
    below = np.clip(u, _FAR, -1.0)
    # u Phi(u) / phi(u) = -|u| sqrt(pi / 2) erfcx(|u| / sqrt(2)), which tends to -1.
    ratio = np.log(-below * erfcx(-below / math.sqrt(2.0))) + _HALF_LOG_HALF_PI
    cancelling = np.where(u > _FAR, np.log(-np.expm1(np.minimum(ratio, -1e-300))), 0.0)
    far = np.minimum(u, -1.0)
    log_below = -far * far / 2.0 - _HALF_LOG_2PI + np.where(u > _FAR, cancelling, -2.0 * np.log(-far))
    return np.where(u > -1.0, log_near, log_below)


AcquisitionName = Literal["lcb", "ei", "pi"]


@dataclass(frozen=True)
class Acquisition:
    """An acquisition function by its name, with its weight.

    weight: kappa of the lower confidence bound, xi of the other two.
    """

    name: AcquisitionName
    weight: float

    def __call__(self, mean: Vector, std: Vector, best: float) -> Vector:
        """Return what each candidate scores, shape (c,); the lowest is to be tried."""
        if self.name == "lcb":
            return lower_confidence_bound(mean, std, self.weight)
        improvement = expected_improvement if self.name == "ei" else probability_of_improvement
        return improvement(mean, std, best, self.weight)
