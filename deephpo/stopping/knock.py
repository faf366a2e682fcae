"""DEEP-BO's knock rule: a good first third, and after it no value below all that is usual."""

from __future__ import annotations

import math
from bisect import insort

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.percentiles import percentile
from deephpo.stopping.wording import worded

_IDLE = 4
"""So many trials come to the end of the first third before one is judged."""
_FADE = 50
"""After so many more the margin is gone."""


class Knock:
    """Counts how often a trial is ahead in the first third of the steps, and sets a limit after it.

    Ahead is a report better than the best quarter (the 75th percentile of accuracies) of what other trials
    reported at the same step before.  At step M // 3 a trial stops that was ahead in no more than M / 4
    steps, or, if not every step is reported, in that share of its reports; all of them are enough.  After it
    a trial stops when a value is worse than the worst that any trial which trained to its end ever had, by
    more than a margin that falls from ``margin`` to 0 over 50 trials.  While fewer than four trials came to
    M // 3, nobody stops.  If M is 2, all of that is at step 1, as an untrained network says nothing.

    Kept are the values at the steps of the first third; of a running trial, two counts.

    margin: in units of the objective; DEEP-BO's is for accuracies from 0 to 1.
    """

    def __init__(self, subject: Subject, *, margin: float = 0.05) -> None:
        self._subject = subject
        last = last_step_of(subject, "knock")
        self._third = max(1, last // 3)
        self._needed = (last / 4) / self._third
        """In more than this share of its reports a trial must be ahead."""
        self._margin = margin
        self._losses: dict[int, list[float]] = {}
        """What was reported at each step of the first third, in order."""
        self._reports: dict[int, tuple[int, int]] = {}
        """Of each running trial, in how many reports of the first third it was ahead, and of how many."""
        self._came = 0
        self._worst = -math.inf

    @property
    def first_step(self) -> float:
        """The end of the first third."""
        return self._third

    def judge(self, curve: Curve) -> str | None:
        """Return that the trial was ahead too rarely, or what it has fallen below."""
        step = curve.steps[-1]
        if step <= self._third:
            self._count(curve)
        if curve.passed(self._third):
            reason = self._knock_in(curve)
            self._came += 1
            return reason
        return self._knock_out(curve) if step > self._third else None

    def _count(self, curve: Curve) -> None:
        losses, loss = self._losses.setdefault(curve.steps[-1], []), curve.losses[-1]
        is_ahead = not losses or loss < percentile(losses, 0.25)
        if not math.isnan(loss):
            insort(losses, loss)
        ahead, reports = self._reports.get(curve.trial_id, (0, 0))
        self._reports[curve.trial_id] = ahead + is_ahead, reports + 1

    def _knock_in(self, curve: Curve) -> str | None:
        ahead, reports = self._reports.get(curve.trial_id, (0, 0))
        if self._came < _IDLE or not reports or ahead > min(self._needed * reports, reports - 1):
            return None
        return (
            f"it was ahead of three quarters of the trials in {ahead} of "
            f"{reports} reports, which is not more than {self._needed:.0%}"
        )

    def _knock_out(self, curve: Curve) -> str | None:
        margin = self._margin * max(0.0, 1 - (self._came - _IDLE) / _FADE)
        loss = curve.losses[-1]
        if self._came < _IDLE or self._worst == -math.inf or loss <= self._worst + margin:
            return None
        value, worst = worded(self._subject, loss), worded(self._subject, self._worst)
        return (
            f"{value} is worse than {worst}, the worst that a completed trial "
            f"ever had, by more than {margin:.3g}"
        )

    def close(self, curve: Curve, completed: bool) -> None:
        """Forget the trial's counts; if it trained to its end, its worst value may be the limit."""
        self._reports.pop(curve.trial_id, None)
        if completed:
            self._worst = max([self._worst, *(loss for loss in curve.losses if math.isfinite(loss))])
