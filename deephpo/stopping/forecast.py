"""The last value of a learning curve from its beginning, with its uncertainty: Bayesian linear regression."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from deephpo.stopping.curve import Curve

_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Rates p of t ** -p, 0 standing for -log t."""
_RATES = (1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 20.0)
"""Rates k of exp(-k t)."""

_WINDOW = 8.0
"""A curve is fitted from its last step / 8 on, so that how it began, maybe far off, has no weight."""
_POINTS = 12
LEAST_POINTS = 3
"""So many numbers a curve must have reported, at steps above 0, to be extrapolated."""

_NOISE = 0.03
"""The prior's guess of the noise, in units of how much the curve moved, worth two points."""
_BEND = 0.25
"""How far a curve may leave the shapes in a doubling to come, in units of what it moved in the last one."""
_SPREAD = 1.0
"""The prior's spread of the last value, in the same unit, if nothing is known of complete curves."""
_SMALLEST = 1e-100
"""What moves by less than this does not move: its square is to be a number above 0."""


@dataclass(frozen=True)
class Forecast:
    """What the last loss of a trial will be: a mixture of Student's t distributions, one for each shape."""

    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    degrees: float

    @property
    def mean(self) -> float:
        """The expected last loss."""
        return float(self.weights @ self.means)

    @property
    def deviation(self) -> float:
        """The standard deviation of the last loss."""
        own = self.scales**2 * (self.degrees / (self.degrees - 2))
        return math.sqrt(float(self.weights @ (own + (self.means - self.mean) ** 2)))

    def chance_below(self, loss: float) -> float:
        """Return the probability that the last loss is smaller than this."""
        return float(self.weights @ stdtr(self.degrees, (loss - self.means) / self.scales))

    def widened(self, factor: float) -> Forecast:
        """Return the forecast with all deviations from its mean times a factor."""
        means = self.mean + factor * (self.means - self.mean)
        return Forecast(self.weights, means, factor * self.scales, self.degrees)


def forecast(curve: Curve, last_step: int, gains: Collection[float] = ()) -> Forecast | None:
    """Return what a curve's loss at the last step will be; None before it has reported three numbers.

    gains: by how much the losses of complete curves still fell from the same step on; they are what is
        expected as long as the curve itself says little.  One that is flat and without noise says much: it is
        taken to stay flat.

    A loss is a + b phi(t) + noise, t the share of the last step, with a falling phi that is 0 at its end: a
    power of t, its logarithm, an exponential, or a line.  Given phi, the posterior of a, b and the noise is
    known in closed form, normal and inverse gamma, and a, the last value, is Student's t; the shapes of phi,
    with their rates, are weighed by their evidence.  The families are among those of Domhan et al. (IJCAI
    2015), whose Markov chain over the rates becomes a sum over a grid.
    """
    window = _window(curve)
    if window is None:
        return None
    steps, loss = _thinned(*window)
    t, now = steps / last_step, float(loss[-1])
    moved = float(loss.max() - loss.min())
    fallen = np.array([*gains]) if gains else np.zeros(1)
    fall = float(np.median(fallen))
    # A curve that has not moved yet may do so as complete ones did.
    spread = math.sqrt((_SPREAD * moved) ** 2 + float(np.mean(fallen**2)))
    unit = next((size for size in (max(moved, spread), abs(now)) if size > _SMALLEST), 1.0)
    shape = _shapes(t)
    y = (loss - now) / unit
    prior_mean = np.array([-fall / unit, 0.0])
    prior_precision = np.diag([(_NOISE * unit / max(spread, 1e-9 * unit)) ** 2, (_NOISE / 2) ** 2])
    wander = _noise(window[1]) ** 2 + (_BEND * _last_fall(steps, loss) * math.log2(1 / t[-1])) ** 2
    return _posterior(shape, y, prior_mean, prior_precision, now, unit, wander)


def _posterior(
    phi: np.ndarray,
    y: np.ndarray,
    mean: np.ndarray,
    precision: np.ndarray,
    origin: float,
    unit: float,
    wander: float,
) -> Forecast:
    """Return the mixture over shapes; phi: (shapes, points), y: (points,), in units from the origin on.

    wander: the variance by which the last value may differ from a.
    """
    shapes, points = phi.shape
    sums = np.empty((shapes, 2, 2))
    sums[:, 0, 0] = points
    sums[:, 0, 1] = sums[:, 1, 0] = phi.sum(axis=1)
    sums[:, 1, 1] = np.einsum("sp,sp->s", phi, phi)
    precisions = sums + precision
    right = np.stack([np.full(shapes, y.sum()), phi @ y], axis=1) + precision @ mean
    determinants = precisions[:, 0, 0] * precisions[:, 1, 1] - precisions[:, 0, 1] ** 2
    a = (precisions[:, 1, 1] * right[:, 0] - precisions[:, 0, 1] * right[:, 1]) / determinants
    b = (precisions[:, 0, 0] * right[:, 1] - precisions[:, 0, 1] * right[:, 0]) / determinants
    misfit = y @ y + mean @ precision @ mean - a * right[:, 0] - b * right[:, 1]
    freedom = 2.0 + points
    # The noise's inverse gamma prior has the weight of two points.
    rates = np.maximum(_NOISE**2 + misfit / 2, 1e-12)
    evidences = -0.5 * np.log(determinants) - freedom / 2 * np.log(rates)
    weights = np.exp(evidences - evidences.max())
    variances = 2 * rates / freedom * precisions[:, 1, 1] / determinants
    scales = np.sqrt(unit**2 * variances + wander)
    return Forecast(weights / weights.sum(), origin + unit * a, scales, freedom)


def _shapes(t: np.ndarray) -> np.ndarray:
    """Return phi of all shapes at the points, 1 at the first of them and 0 at the end: (shapes, points)."""
    rows: list[np.ndarray] = [t**-p - 1 if p else -np.log(t) for p in _POWERS]
    rows += [np.exp(-k * t) - math.exp(-k) for k in _RATES]
    rows.append(1 - t)
    return np.array([row / row[0] for row in rows])


def _window(curve: Curve) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the steps and losses that a curve is fitted to; None if they are too few."""
    steps = np.array(curve.steps, dtype=float)
    losses = np.array(curve.losses)
    known = np.isfinite(losses) & (steps * _WINDOW >= steps[-1]) & (steps > 0)
    return (steps[known], losses[known]) if np.count_nonzero(known) >= LEAST_POINTS else None


def _thinned(steps: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means of those whose steps have nearly one logarithm: late reports are many, and alike."""
    if len(steps) <= _POINTS:
        return steps, losses
    at = np.log(steps)
    places = ((at - at[0]) / (at[-1] - at[0]) * (_POINTS - 1) + 0.5).astype(int)
    counts = np.bincount(places)
    filled = counts > 0
    return (
        np.exp(np.bincount(places, at)[filled] / counts[filled]),
        np.bincount(places, losses)[filled] / counts[filled],
    )


def _noise(losses: np.ndarray) -> float:
    """Return the standard deviation of a report about its curve, from how the later half jumps."""
    late = losses[len(losses) // 2 :]
    # A line has no second differences; those of noise have six times its variance.
    jumps = np.diff(losses[-max(len(late), LEAST_POINTS) :], 2)
    return float(np.sqrt(np.mean(jumps**2) / 6))


def _last_fall(steps: np.ndarray, losses: np.ndarray) -> float:
    """Return by how much the loss moved since half of the steps."""
    return float(np.ptp(losses[steps >= steps[-1] / 2.1]))
