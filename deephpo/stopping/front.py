"""A rung for several objectives: who can still come into the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.metrics import last_losses
from deephpo.stopping.ranks import Dominance


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
        self._members = Dominance(1 + len(also))

    def __len__(self) -> int:
        return len(self._members)

    def enter(self, curve: Curve) -> int | None:
        """Take in a trial; returns how many of those here dominate it.

        Returns None for a trial whose last report lacks one of the metrics; nothing is taken in then.
        """
        others = last_losses(self._also, curve)
        if others is None:
            return None
        point = (curve.best, *others)
        dominate = self._members.better_than(point)
        self._members.enter(point)
        return dominate

    def reason(self, curve: Curve, kept: int) -> str:
        """Return the sentence for the trial that came last, and that ``kept`` trials or more dominate."""
        metrics = " and ".join([self._subject.metric, *(metric.metric for metric in self._also)])
        return (
            f"{kept} of {len(self)} trials or more are at least as good in "
            f"{metrics} and better in one of them"
        )
