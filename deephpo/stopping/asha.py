"""Asynchronous successive halving that stops: at every rung the best share of the trials goes on."""

from __future__ import annotations

import math
from typing import Protocol

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.front import FrontRung
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.metrics import further_metrics
from deephpo.stopping.rung import Rung


class _Rung(Protocol):
    """What trials are compared in: a ``Rung``, or a ``FrontRung`` for several objectives."""

    def __len__(self) -> int: ...

    def enter(self, curve: Curve) -> int | None: ...

    def reason(self, curve: Curve, kept: int) -> str: ...


class SuccessiveHalving:
    """Rungs at the steps first * eta ** k below the last step; the stopping form of ASHA (Li et al. 2020).

    A trial that comes to a rung is compared, by the best that it has reached, with all that came there
    before: it goes on if fewer than n / eta of the n trials, itself included, are better.  The first eta -
    1 that come to a rung go on.  A trial whose reports skip a rung comes to it with the first report beyond.

    eta: one in eta goes on.
    first: the step of the first rung; 0 stands for the last step // eta ** 3, and at least 1.
    also: further metrics to judge by at the same time, see ``further_metrics``; then a trial goes on if it is
        dominated by fewer than n / eta trials, so one that could still come into the Pareto front does.  A
        report that lacks one of them is not judged.

    Of each trial one number a rung is kept, no curve; of one that is stopped its number too, as it may be
    promoted: then this is the form of ASHA that pauses trials.
    """

    def __init__(self, subject: Subject, *, eta: float = 2.0, first: int = 0, also: str = "") -> None:
        self._subject = subject
        self._eta = eta
        self._also = further_metrics(also)
        self._last = math.inf if subject.last_step is None else subject.last_step
        self._steps: list[int] = []
        """The steps of the rungs so far; the next one, at ``_next``, is built when a trial comes to it."""
        self._rungs: list[_Rung] = []
        self._next = self._first = first or first_rung(subject, eta)

    @property
    def first_step(self) -> float:
        """The first rung."""
        return self._first

    def judge(self, curve: Curve) -> str | None:
        """Return why the trial does not go on at a rung that the last report comes to."""
        for rung in self._reached(curve):
            better = rung.enter(curve)
            kept = math.ceil(len(rung) / self._eta)
            if better is not None and better >= kept and len(rung) >= self._eta:
                if isinstance(rung, Rung):
                    rung.pause(curve)
                return rung.reason(curve, kept)
        return None

    @property
    def promotes(self) -> bool:
        """Whether stopped trials can go on: not with several objectives, among which there is no order."""
        return not self._also

    def promote(self) -> int | None:
        """Return a trial that is in the best 1 / eta of the rung where it stopped, the highest rung first."""
        rungs = [rung for rung in reversed(self._rungs) if isinstance(rung, Rung)]
        promoted = (rung.promote(math.floor(len(rung) / self._eta)) for rung in rungs)
        return next((trial_id for trial_id in promoted if trial_id is not None), None)

    def _reached(self, curve: Curve) -> list[_Rung]:
        """Return the rungs at the steps from after the last report but one up to the last one."""
        while self._next <= curve.steps[-1] and self._next < self._last:
            self._steps.append(self._next)
            self._rungs.append(FrontRung(self._subject, self._also) if self._also else Rung(self._subject))
            self._next = max(math.floor(self._first * self._eta ** len(self._steps)), self._next + 1)
        return [self._rungs[place] for place in curve.crossed(self._steps)]

    def close(self, curve: Curve, completed: bool) -> None:
        """Nothing is kept of a curve."""


def first_rung(subject: Subject, eta: float) -> int:
    """Return the step of the first rung unless one is said: three rungs below the last step."""
    last = last_step_of(subject, "asha", ", or say first, the step at which trials are compared first")
    return max(1, math.floor(last / eta**3))
