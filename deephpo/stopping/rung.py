"""Rungs of successive halving: the values of all trials that came to a step, to be compared with."""

from __future__ import annotations

from bisect import bisect_left, insort

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.wording import figure


class Rung:
    """The best losses that trials had when they came to a step, in order."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._losses: list[float] = []

    def __len__(self) -> int:
        return len(self._losses)

    def enter(self, curve: Curve) -> int | None:
        """Take in a trial; returns how many of those here are better than it."""
        better = bisect_left(self._losses, curve.best)
        insort(self._losses, curve.best)
        return better

    def reason(self, curve: Curve, kept: int) -> str:
        """Return the sentence for the trial that came last and is not among the ``kept`` best."""
        best, bound = figure(self._subject, curve.best), figure(self._subject, self._losses[kept - 1])
        return f"its best, {best}, is not among the best {kept} of {len(self)} trials ({bound})"
