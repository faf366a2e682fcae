"""Stops a trial as soon as a value lies where none of a sound training does."""

from __future__ import annotations

from deephpo.errors import OptionError
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.wording import worded

LOW, HIGH = 0.0, 0.2
"""Between them an accuracy is at chance, says DEEP-BO."""


class Interval:
    """A trial stops at the first report with low < value < high; by default that of DEEP-BO, stuck at chance.

    A sound training must not pass through the interval: of 100 classes, DEEP-BO's stops every trial.

    low, high: in the user's own direction; None stands for ``LOW`` and ``HIGH``, between which an accuracy is
        bad and a loss is good, so what is minimized must be told both.
    """

    def __init__(self, subject: Subject, *, low: float | None = None, high: float | None = None) -> None:
        if subject.direction == "minimize" and (low is None or high is None):
            raise OptionError(
                f"The stopping rule 'interval' is made for accuracies, which are bad between {LOW:g} and "
                f"{HIGH:g}; {subject.metric!r} is minimized, and may be good there: say between which values "
                "a trial is hopeless, interval:low=...,high=...."
            )
        low, high = LOW if low is None else low, HIGH if high is None else high
        if low >= high:
            raise OptionError(
                f"The stopping rule 'interval': high must be above low, which is {low:g}, not {high:g}."
            )
        self._subject = subject
        self._low = low
        self._high = high

    @property
    def first_step(self) -> float:
        """The first report of all can lie in the interval."""
        return 0

    def judge(self, curve: Curve) -> str | None:
        """Return that the last value lies in the interval."""
        loss = curve.losses[-1]
        if not self._low < self._subject.loss(loss) < self._high:
            return None
        value = worded(self._subject, loss)
        return f"{value} is between {self._low:g} and {self._high:g}"

    def close(self, curve: Curve, completed: bool) -> None:
        """Nothing is kept of a curve."""
