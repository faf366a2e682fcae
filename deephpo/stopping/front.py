"""A rung for several objectives: who can still come into the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from deephpo.stopping.curve import Curve, Subject


class FrontRung:
    """What trials had when they came to a step: the best of the objective, and their other metrics of then.

    Trials are ranked by dominance: a trial's rank is how many of the others are at least as good in
    everything and better in something.  That is never more than the number of trials in better fronts, so
    whom sorting into fronts keeps is kept here, and whole fronts with it; unlike sorting it costs one
    comparison with each member.  With the objective alone it is the rank of ``Rung``.
    """

    def __init__(self, subject: Subject, also: Sequence[Subject]) -> None:
        self._subject = subject
        self._also = also
        self._members = np.empty((1 + len(also), 16))
        """A row for each metric, a column for each of the ``_count`` members; those after them are room."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, curve: Curve) -> int | None:
        """Take in a trial; returns how many of those here dominate it.

        Returns None for a trial whose last report lacks one of the metrics; nothing is taken in then.
        """
        others = [metric.loss(curve.metrics.get(metric.metric, math.nan)) for metric in self._also]
        if any(math.isnan(loss) for loss in others):
            return None
        losses = np.array([[curve.best], *([loss] for loss in others)])
        members = self._members[:, : self._count]
        dominate = (members <= losses).all(axis=0) & (members < losses).any(axis=0)
        self._append(losses)
        return int(np.count_nonzero(dominate))

    def _append(self, losses: np.ndarray) -> None:
        if self._count == self._members.shape[1]:
            self._members = np.concatenate([self._members, np.empty_like(self._members)], axis=1)
        self._members[:, self._count] = losses[:, 0]
        self._count += 1

    def reason(self, curve: Curve, kept: int) -> str:
        """Return the sentence for the trial that came last, and that ``kept`` trials or more dominate."""
        metrics = " and ".join([self._subject.metric, *(metric.metric for metric in self._also)])
        return (
            f"{kept} of {len(self)} trials or more are at least as good in "
            f"{metrics} and better in one of them"
        )
