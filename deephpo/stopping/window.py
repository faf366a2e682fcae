"""A stretch of a learning curve that ends in a checkpoint, as DEEP-BO's rules look at it."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from statistics import fmean

from deephpo.stopping.curve import Curve


@dataclass(frozen=True)
class Window:
    """The reports from one step on to the first one at another step or beyond it, which is the checkpoint."""

    low: int
    high: int

    def ends(self, curve: Curve) -> bool:
        """Return whether the last report is the checkpoint."""
        return curve.passed(self.high)

    def mean(self, curve: Curve) -> float | None:
        """Return the mean of the losses in the window that are numbers, None without any.

        The last report is the checkpoint.
        """
        start = bisect_left(curve.steps, self.low)
        losses = [loss for loss in curve.losses[start:] if math.isfinite(loss)]
        return fmean(losses) if losses else None
