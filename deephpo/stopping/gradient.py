"""DEEP-BO's gradient rule: stops a trial that would have to rise more steeply than it has so far."""

from __future__ import annotations

import math

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.wording import worded


class Gradient:
    """A trial stops if the slope that it needs to a target by the last step exceeds its mean slope so far.

    DEEP-BO's target is what the surrogate predicts for the trial.  A rule sees no predictions here: the
    target is the best that a trial which trained to its end has reached, and before the first of them
    nobody stops.

    after: the report from which on a trial is judged; DEEP-BO has 4, for slow data sets 15 and 30.
    """

    def __init__(self, subject: Subject, *, after: int = 4) -> None:
        self._subject = subject
        self._last = last_step_of(subject, "gradient")
        self._after = after
        self._target = math.inf

    @property
    def first_step(self) -> float:
        """Where the report comes from which on a trial is judged, if they begin at step 0."""
        return self._after - 1

    def judge(self, curve: Curve) -> str | None:
        """Return that the trial would have to rise more steeply than it did."""
        step, loss = curve.steps[-1], curve.losses[-1]
        if len(curve.steps) < self._after or step >= self._last or loss <= self._target:
            return None
        needed = (loss - self._target) / (self._last - step)
        slope = (curve.losses[0] - loss) / (step - curve.steps[0])
        if not needed > slope:
            return None
        value, target = worded(self._subject, loss), worded(self._subject, self._target)
        return (
            f"from {value} to the best value, {target}, it would take {needed:.3g} a step; "
            f"it made {slope:.3g}"
        )

    def close(self, curve: Curve, completed: bool) -> None:
        """Take the best of a trial that trained to its end as the target, if none was better."""
        if completed:
            self._target = min(self._target, curve.best)
