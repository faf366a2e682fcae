"""Rungs of successive halving: the values of all trials that came to a step, to be compared with."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.wording import worded


class Rung:
    """The best losses that trials had when they came to a step, in order."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._losses: list[float] = []
        self._paused: list[tuple[float, int]] = []
        """The trials that were stopped here, with their losses; a heap."""

    def __len__(self) -> int:
        return len(self._losses)

    def enter(self, curve: Curve) -> int | None:
        """Take in a trial; returns how many of those here are better than it."""
        better = bisect_left(self._losses, curve.best)
        insort(self._losses, curve.best)
        return better

    def pause(self, curve: Curve) -> None:
        """Note that a trial is stopped here."""
        heappush(self._paused, (curve.best, curve.trial_id))

    def promote(self, kept: int) -> int | None:
        """Return a stopped trial that by now is among the ``kept`` best, and forget that it was stopped."""
        if not self._paused or bisect_left(self._losses, self._paused[0][0]) >= kept:
            return None
        return heappop(self._paused)[1]

    def reason(self, curve: Curve, kept: int) -> str:
        """Return the sentence for the trial that came last and is not among the ``kept`` best."""
        best, bound = worded(self._subject, curve.best), worded(self._subject, self._losses[kept - 1])
        return f"its best, {best}, is not among the best {kept} of {len(self)} trials ({bound})"
