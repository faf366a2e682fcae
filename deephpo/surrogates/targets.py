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
_TAIL = 10.0
_TRACE = 1e-6


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
    if name == "raw":
        return lambda values: Standardised(values, lambda v: v)
    if name == "log":
        return lambda values: Standardised(values, logarithm)
    if name == "le":
        return lambda values: Standardised(values, _of_errors(values, log_error))
    return lambda values: Standardised(values, _of_errors(values, partial(hybrid_log_error, tau=tau)))


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
        return np.asarray(ndtri(self.shares(values)))

    def shares(self, values: Vector) -> Vector:
        """Return the share of the n that is below each value, those equal to it counted half, shape (k,)."""
        n = len(self._sorted)
        order = np.argsort(values)
        ordered = values[order]  # looked up in their order, they are found five times as fast
        below = np.searchsorted(self._sorted, ordered, "left")
        not_above = np.searchsorted(self._sorted, ordered, "right")
        shares = np.empty(len(values))
        shares[order] = np.clip((below + not_above) / 2, 1 / 4, n - 1 / 4) / n
        return shares


def normal_scores(values: Vector) -> Vector:
    """Return the normal scores of ``values`` among themselves, shape (n,)."""
    return Ranking(values).scores(values)


Transform = Callable[[Vector], Vector]
"""From finite values to finite ones, in the same order; shape (k,)."""


class Standardised:
    """Transformed values less their mean, in units of their standard deviation.

    A heavy tail is cut off: what lies above the upper quartile by more than ten times what that lies above
    the lowest counts as if it lay there.  A failure counts as one unit above the worst, and a value that was
    not among the given ones as no more than that, and no less than one unit below the best.

    A trace of the ranks is added, so that the order of the values can be read off their targets whatever else
    they are: a model that learns at some n and is asked to do it again later sees the same order then.
    """

    def __init__(self, values: Vector, transform: Transform) -> None:
        self._transform = transform
        self._ranking = Ranking(values)
        succeeded = values[np.isfinite(values)]
        transformed = transform(succeeded) if len(succeeded) else np.zeros(1)
        # Scaled first, squares of the largest numbers do not overflow.
        self._unit = float(np.abs(transformed).max()) or 1.0
        transformed = transformed / self._unit
        lowest, upper = transformed.min(), np.quantile(transformed, 0.75)
        self._cap = float(upper + _TAIL * (upper - lowest)) if upper > lowest else np.inf
        transformed = np.minimum(transformed, self._cap)
        self._mean = float(transformed.mean())
        self._spread = float(transformed.std()) or 1.0
        scores = (transformed - self._mean) / self._spread
        self._least, self._most = float(scores.min()) - 1.0, float(scores.max()) + 1.0

    def scores(self, values: Vector) -> Vector:
        """Return the target of each value, shape (k,)."""
        succeeded = np.isfinite(values)
        with np.errstate(over="ignore"):  # a newcomer may be too large for the unit of the given ones
            units = np.minimum(self._transform(values[succeeded]) / self._unit, self._cap)
        scores = np.full(len(values), self._most)
        scores[succeeded] = np.clip((units - self._mean) / self._spread, self._least, self._most)
        return scores + _TRACE * self._ranking.scores(values)


def logarithm(values: Vector) -> Vector:
    """Return the logarithm of positive values, and of negative ones that of what they are less than nothing.

    ``sign(v) log(1 + |v| / 1e-5)``: a logarithm from some 1e-4 on, linear below, for values of either sign.
    """
    return np.asarray(np.sign(values) * np.log1p(np.minimum(np.abs(values), _HUGE) / _LEAST_ERROR))


def log_error(errors: Vector) -> Vector:
    """Return ``(log10(e) + 5) / 5`` of errors e, at least 1e-5: 0 to 1 for errors from 1e-5 to 1."""
    return np.asarray((np.log10(np.maximum(errors, _LEAST_ERROR)) + 5.0) / 5.0)


def hybrid_log_error(errors: Vector, tau: float = TAU) -> Vector:
    """Return e for errors above tau, and ``log10(e) + tau - log10(tau)`` below, which joins them.

    Poor configurations keep their distances, good ones are told apart by orders of magnitude.
    """
    errors = np.maximum(errors, _LEAST_ERROR)
    return np.where(errors > tau, errors, np.log10(errors) + tau - np.log10(tau))


def _of_errors(values: Vector, transform: Transform) -> Transform:
    """Return a transform of errors as one of values: of what kind these are is settled for all of them.

    From 0 to 1 they are errors, from -1 to 0 accuracies that are maximised, which stand here with the
    opposite sign.  Anything else is as wrong as the share of the values that are better.
    """
    succeeded = values[np.isfinite(values)]
    lowest, highest = (succeeded.min(), succeeded.max()) if len(succeeded) else (0.0, 1.0)
    if lowest >= 0.0 and highest <= 1.0:
        return transform
    if lowest >= -1.0 and highest <= 0.0:
        return lambda v: transform(1.0 + v)
    ranking = Ranking(succeeded)
    return lambda v: transform(ranking.shares(v))
