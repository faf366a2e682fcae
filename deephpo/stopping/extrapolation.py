"""Stops a trial when its extrapolated curve has little chance to end better than the best complete one."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.forecast import LEAST_POINTS, Forecast, forecast
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.wording import worded

_CHECKPOINTS = 6
"""At the last step over the powers of the root of 2, from 1 / 8 on."""
_TRUST = 2.0
"""The forecasts of so many complete curves weigh as much as the model's own word on how sure it is."""
_MEMORY = 50
"""So many complete curves, the last ones, are learned from."""


class Extrapolation:
    """Judges by ``forecast``: the chance that the last value of a trial beats the best of the complete ones.

    From an eighth of the last step on, every factor of the root of 2, a trial's curve is extrapolated, and it
    stops if the chance is below ``chance``.  As long as no trial has trained to its end, nobody stops.

    Complete curves teach it twice: how far a curve still falls from a checkpoint on is where a forecast
    begins, and by how many of their standard deviations the forecasts at that checkpoint were wrong is the
    factor by which they are widened, never below 1.  A trial that ended before the last step by itself is
    complete, and may be the best; of the checkpoints that it has no reports beyond it says nothing.

    chance: the chance to beat the best below which a trial is stopped.
    """

    def __init__(self, subject: Subject, *, chance: float = 0.05) -> None:
        self._subject = subject
        self._last = last_step_of(subject, "curve")
        self._chance = chance
        steps = {math.ceil(self._last * 2 ** (-k / 2)) for k in range(1, _CHECKPOINTS + 1)}
        self._steps = sorted(step for step in steps if step < self._last)
        self._gains = {step: deque[float](maxlen=_MEMORY) for step in self._steps}
        """What complete curves still fell from a checkpoint on."""
        self._errors = {step: deque[float](maxlen=_MEMORY) for step in self._steps}
        """The errors of the forecasts of complete curves, in standard deviations, squared."""
        self._best = math.inf

    @property
    def first_step(self) -> float:
        """The first checkpoint by which there are reports enough to extrapolate."""
        return next((step for step in self._steps if step >= LEAST_POINTS), math.inf)

    def judge(self, curve: Curve) -> str | None:
        """Return that the trial has little chance, with what is expected of it."""
        step = curve.steps[-1]
        checkpoint = self._checkpoint(curve)
        if checkpoint is None or self._best == math.inf or step >= self._last:
            return None
        expected = self._forecast(curve, checkpoint)
        if expected is None:
            return None
        chance = expected.chance_below(self._best)
        if chance >= self._chance:
            return None
        comes_to = worded(self._subject, min(curve.best, expected.mean))
        best = worded(self._subject, self._best)
        return (
            f"it is expected to end with {comes_to}, and its chance to beat the best, "
            f"{best}, is {100 * chance:.1f} %"
        )

    def _checkpoint(self, curve: Curve) -> int | None:
        """Return the checkpoint that the last report is the first one at or beyond."""
        crossed = curve.crossed(self._steps)
        return self._steps[crossed[-1]] if crossed else None

    def _forecast(self, curve: Curve, checkpoint: int) -> Forecast | None:
        expected = forecast(curve, self._last, self._gains[checkpoint])
        errors = self._errors[checkpoint]
        wrong_by = math.sqrt((_TRUST + sum(errors)) / (_TRUST + len(errors)))
        return None if expected is None else expected.widened(max(1.0, wrong_by))

    def close(self, curve: Curve, completed: bool) -> None:
        """Learn from the curve of a trial that trained to its end, be it before the last step."""
        if not completed or not curve.steps or not math.isfinite(curve.losses[-1]):
            return
        for checkpoint in self._steps:
            self._learn(curve, checkpoint)
        self._best = min(self._best, curve.best)

    def _learn(self, curve: Curve, checkpoint: int) -> None:
        """Compare what came after a checkpoint, if anything did, with what had been expected there."""
        seen = Curve(curve.trial_id)
        for step, loss in zip(curve.steps, curve.losses, strict=True):
            seen.add(step, loss, {})
            if step >= checkpoint:
                break
        if seen.steps[-1] >= min(self._last, curve.steps[-1]):
            return
        expected = forecast(seen, self._last, self._gains[checkpoint])
        if expected is None:
            return
        last = curve.losses[-1]
        self._errors[checkpoint].append(((last - expected.mean) / expected.deviation) ** 2)
        if math.isfinite(seen.losses[-1]):
            self._gains[checkpoint].append(seen.losses[-1] - last)

    def final(self, curve: Curve) -> float:
        """Return the loss that a stopped trial is expected to have ended with, its best if that is less."""
        before = bisect_right(self._steps, curve.steps[-1])
        gains = self._gains[self._steps[max(0, before - 1)]] if self._steps else ()
        expected = forecast(curve, self._last, gains)
        return curve.best if expected is None else min(curve.best, expected.mean)
