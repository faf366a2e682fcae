"""The median rule: after a third of the steps, who is worse than the others were on average stops."""

from __future__ import annotations

from bisect import insort

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.percentiles import percentile
from deephpo.stopping.window import Window
from deephpo.stopping.wording import worded


class Median:
    """One checkpoint at a share of the last step: DEEP-BO's form of Vizier's rule (Golovin et al. 2017).

    A trial stops there if its value is worse than the median of the means that the trials before it had from
    step 1 to there.  Of each trial one mean is kept, no curve.  A value that is no number is worse.

    at: the share of the last step; the checkpoint is at step 1 at least.
    """

    def __init__(self, subject: Subject, *, at: float = 1 / 3) -> None:
        self._subject = subject
        self._window = Window(1, max(1, int(round(at * last_step_of(subject, "median"), 9))))
        self._means: list[float] = []

    @property
    def first_step(self) -> float:
        """The checkpoint."""
        return self._window.high

    def judge(self, curve: Curve) -> str | None:
        """Return why the trial fails at the checkpoint."""
        if not self._window.ends(curve):
            return None
        reason = self._compare(curve) if self._means else None
        mean = self._window.mean(curve)
        if mean is not None:
            insort(self._means, mean)
        return reason

    def _compare(self, curve: Curve) -> str | None:
        loss, bound = curve.losses[-1], percentile(self._means, 0.5)
        if loss <= bound:
            return None
        return (
            f"{worded(self._subject, loss)} is worse than "
            f"{worded(self._subject, bound)}, the median of what earlier trials had on average until then"
        )

    def close(self, curve: Curve, completed: bool) -> None:
        """Nothing is kept of a curve."""
