"""From told values to a surrogate's targets: the one place that knows failures and heavy tails.

Targets have a mean of about 0 and a standard deviation of about 1, and none of them is NaN or infinite,
whatever the values are.  What is lower stays lower, and a failure, told as +inf, is above all that succeeded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

import numpy as np
from scipy.special import ndtri

from deephpo.space.arrays import Vector

TargetName = Literal["rank", "raw", "log", "le", "hle"]
TAU = 0.3
"""The error from which on the hybrid logarithm is linear."""
_LEAST_ERROR = 1e-5
_HUGE = 1e300


class Targets(Protocol):
    """Targets for told values, in the scale of the values that they were made from."""

    def scores(self, values: Vector) -> Vector:
        """Return the target of each value, shape (k,)."""


def targets_named(name: TargetName, tau: float = TAU) -> Callable[[Vector], Targets]:
    """Return what makes targets from all told values, shape (n,).

    name: "rank", normal scores of the ranks; "raw", the values; "log", their logarithms; "le" and "hle", the
    logarithm of an error, and the hybrid of it that is linear above tau (DEEP-BO).
    """
    if name == "rank":
        return Ranking
    transforms: dict[str, Transform] = {
        "raw": lambda values: values,
        "log": logarithm,
        "le": log_error,
        "hle": partial(hybrid_log_error, tau=tau),
    }
    return partial(Standardised, transform=transforms[name])


class Ranking:
    """The normal scores of values among n given ones; lower is better.

    A value that has ``k`` of the n below it and is equal to ``e`` of them has the score
    ``Phi^-1((k + e/2) / n)``: for one of the n themselves that is the score of its mean rank, for a value
    between two of them that of the place between.  What is lower than all of them is as far from the lowest
    as a quarter of a rank.

    A failed trial is told as +inf: all of them share the highest ranks, so the model learns to stay away
    from them without being bent by an invented number.
    """

    def __init__(self, values: Vector) -> None:
        self._sorted = np.sort(values)

    def scores(self, values: Vector) -> Vector:
        """Return the score of each value, shape (k,)."""
        n = len(self._sorted)
        order = np.argsort(values)
        ordered = values[order]  # looked up in their order, they are found five times as fast
        below = np.searchsorted(self._sorted, ordered, "left")
        not_above = np.searchsorted(self._sorted, ordered, "right")
        scores = np.empty(len(values))
        scores[order] = ndtri(np.clip((below + not_above) / 2, 1 / 4, n - 1 / 4) / n)
        return scores


def normal_scores(values: Vector) -> Vector:
    """Return the normal scores of ``values`` among themselves, shape (n,)."""
    return Ranking(values).scores(values)


Transform = Callable[[Vector], Vector]
"""From finite values to finite ones, in the same order; shape (k,)."""


class Standardised:
    """Transformed values less their mean, in units of their standard deviation.

    A failure counts as one such unit above the worst of the given values.
    """

    def __init__(self, values: Vector, transform: Transform) -> None:
        self._transform = transform
        succeeded = values[np.isfinite(values)]
        transformed = transform(succeeded) if len(succeeded) else np.zeros(1)
        # Scaled first, squares of the largest numbers do not overflow.
        self._unit = float(np.abs(transformed).max()) or 1.0
        transformed = transformed / self._unit
        self._mean = float(transformed.mean())
        self._spread = float(transformed.std()) or 1.0
        self._failed = float(transformed.max() - self._mean) / self._spread + 1.0

    def scores(self, values: Vector) -> Vector:
        """Return the target of each value, shape (k,)."""
        succeeded = np.isfinite(values)
        scores = np.full(len(values), self._failed)
        scores[succeeded] = (self._transform(values[succeeded]) / self._unit - self._mean) / self._spread
        return scores


def logarithm(values: Vector) -> Vector:
    """Return the logarithm of positive values, and of negative ones that of what they are less than nothing.

    ``sign(v) log(1 + |v| / 1e-5)``: a logarithm from some 1e-4 on, linear below, for values of either sign.
    """
    return np.asarray(np.sign(values) * np.log1p(np.minimum(np.abs(values), _HUGE) / _LEAST_ERROR))


def log_error(values: Vector) -> Vector:
    """Return ``(log10(e) + 5) / 5`` of errors e, at least 1e-5: 0 to 1 for errors from 1e-5 to 1.

    A negative value is an accuracy that is maximised, 1 - e.
    """
    return np.asarray((np.log10(_errors(values)) + 5.0) / 5.0)


def hybrid_log_error(values: Vector, tau: float = TAU) -> Vector:
    """Return e for errors above tau, and ``log10(e) + tau - log10(tau)`` below, which joins them.

    Poor configurations keep their distances, good ones are told apart by orders of magnitude.
    """
    errors = _errors(values)
    return np.where(errors > tau, errors, np.log10(errors) + tau - np.log10(tau))


def _errors(values: Vector) -> Vector:
    return np.maximum(np.where(values < 0.0, 1.0 + values, values), _LEAST_ERROR)
