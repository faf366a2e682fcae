"""Stops a trial that has not reached a given value at a given step."""

from __future__ import annotations

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.wording import worded


class Threshold:
    """A trial stops at step ``at`` if the best that it has reached is worse than ``value``.

    value: in the user's own direction.
    """

    def __init__(self, subject: Subject, *, at: int, value: float) -> None:
        self._subject = subject
        self._at = at
        self._value = value

    @property
    def first_step(self) -> float:
        """The step at which trials are judged."""
        return self._at

    def judge(self, curve: Curve) -> str | None:
        """Return that the trial is worse than the value, at the first report at the step or beyond."""
        if not curve.passed(self._at) or curve.best <= self._subject.loss(self._value):
            return None
        best = worded(self._subject, curve.best)
        return f"its best, {best}, is worse than {self._value:g}"

    def close(self, curve: Curve, completed: bool) -> None:
        """Nothing is kept of a curve."""
