"""Trainings that are lost by themselves: values that are no numbers, and values stuck where they began."""

from __future__ import annotations

import math
from bisect import bisect_right, insort

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.percentiles import percentile
from deephpo.stopping.wording import worded

_WAY = 0.1
"""Who has come no further than this share of the way is stuck."""
_FEWEST_REPORTS = 3
"""So many reports of late there must be to say that none of them is better."""
_FEWEST_OTHERS = 4
"""So many others there must be to speak of three quarters of them."""


class Diverged:
    """Stops a trial whose values are no numbers, or that is stuck where it began while others are not.

    No numbers: the objective is NaN or infinite; or another metric that was a number is none in two reports
    one after the other (once is common in healthy trainings: a gradient that overflows in mixed precision, a
    precision with nothing to divide by).

    Stuck, as a classifier at chance: at the multiples of ``by`` times the last step, a trial is asked how
    far it has come of late (the best of the second half of the steps since the multiple before) on the way
    from its own first value to what three quarters of the other trials had reached at this step; less than
    a tenth of it, and it is stuck.  Nobody is stuck before there are four others, with fewer than three
    reports of late, if a quarter of the others have not come further, or with a first value that is as good
    as theirs.  This needs the last step; where the problem does not say it, only what is no number is seen.

    Of each trial one number for each of these steps is kept, no curve.
    """

    def __init__(self, subject: Subject, *, by: float = 0.25) -> None:
        self._subject = subject
        last = subject.last_step or 0
        marks = [max(1, math.floor(round(by * k * last, 9))) for k in range(1, math.ceil(1 / by))]
        self._checkpoints = [
            _Checkpoint(subject, (before + mark) // 2, mark)
            for before, mark in zip([0, *marks], marks, strict=False)
            if last and mark > before
        ]
        self._numbers: dict[int, dict[str, bool]] = {}
        """Of each running trial, the metrics that were numbers, and whether they were in its last report."""

    @property
    def first_step(self) -> float:
        """The first report of all can be no number."""
        return 0

    def judge(self, curve: Curve) -> str | None:
        """Return what is no number, or that the trial is stuck."""
        reason = self._no_number(curve)
        for checkpoint in self._checkpoints:
            if curve.passed(checkpoint.high):
                reason = reason or checkpoint.judge(curve)
        return reason

    def _no_number(self, curve: Curve) -> str | None:
        loss = curve.losses[-1]
        if not math.isfinite(loss):
            return f"{self._subject.metric} is {_name(loss)}"
        before = self._numbers.get(curve.trial_id, {})
        after = self._numbers[curve.trial_id] = {}
        reason = None
        for name, value in curve.metrics.items():
            number = math.isfinite(value)
            if number or name in before:
                after[name] = number
            if not number and before.get(name) is False:
                reason = reason or f"{name} is {_name(value)} again, and it was a number"
        return reason

    def close(self, curve: Curve, completed: bool) -> None:
        """Forget which metrics of the trial were numbers."""
        self._numbers.pop(curve.trial_id, None)


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"


class _Checkpoint:
    """One of the steps at which trials may be found stuck, with the best losses of all that came there."""

    def __init__(self, subject: Subject, low: int, high: int) -> None:
        self._subject = subject
        self._low = low
        self.high = high
        self._losses: list[float] = []

    def judge(self, curve: Curve) -> str | None:
        """Return that the trial is stuck, if so; its last report is the checkpoint."""
        reason = self._compare(curve) if len(self._losses) >= _FEWEST_OTHERS else None
        insort(self._losses, curve.best)
        return reason

    def _compare(self, curve: Curve) -> str | None:
        late = [
            loss for loss in curve.losses[max(1, bisect_right(curve.steps, self._low)) :] if loss < math.inf
        ]
        first, reached = curve.losses[0], percentile(self._losses, 0.75)
        if len(late) < _FEWEST_REPORTS or not reached < first < math.inf:
            return None
        best = min(late)
        if best < first + _WAY * (reached - first):
            return None
        return (
            f"its best of late, {worded(self._subject, best)}, is where it began "
            f"({worded(self._subject, first)}); three quarters of {len(self._losses)} others had reached "
            f"{worded(self._subject, reached)}"
        )
