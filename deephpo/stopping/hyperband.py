"""Hyperband's brackets over successive halving, for searches that do not know how early curves tell."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

from deephpo.stopping.asha import SuccessiveHalving, first_rung
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.last_step import last_step_of

_GOLDEN = (math.sqrt(5) - 1) / 2


class Hyperband:
    """Brackets of trials that are halved among themselves, each from a later step on (Li et al. 2018).

    Of s_max + 1 brackets, bracket b has its first rung at step first * eta ** b; the last one has none and
    trains all its trials to the end.  With s = s_max - b halvings to come, a bracket gets a share of the
    trials proportional to Hyperband's n_s = ceil((s_max + 1) / (s + 1) * eta ** s).  The trials are dealt
    by their numbers, along the multiples of the golden ratio, so that at any time each bracket has close to
    its share.

    eta, first: as for ``SuccessiveHalving``.
    """

    def __init__(self, subject: Subject, *, eta: float = 3.0, first: int = 0) -> None:
        last = last_step_of(subject, "hyperband")
        first = first or first_rung(subject, eta)
        # Rounded, so that the logarithm of a power of eta is not a little less than the power.
        halvings = max(0, math.floor(round(math.log(last / first, eta), 9)))
        self._brackets = [
            SuccessiveHalving(subject, eta=eta, first=math.floor(first * eta**bracket))
            for bracket in range(halvings)
        ]
        sizes = [math.ceil(round((halvings + 1) / (s + 1) * eta**s, 9)) for s in range(halvings, -1, -1)]
        self._until = [size / sum(sizes) for size in accumulate(sizes)]
        """Where in [0, 1] the share of each bracket ends."""

    def bracket(self, trial_id: int) -> int:
        """Return the bracket of a trial; 0 is the one that halves first."""
        place = (trial_id + 1) * _GOLDEN % 1
        return bisect_right(self._until[:-1], place)

    @property
    def first_step(self) -> float:
        """The first rung of the first bracket that has one."""
        return self._brackets[0].first_step if self._brackets else math.inf

    def judge(self, curve: Curve) -> str | None:
        """Return why the trial does not go on at a rung of its bracket."""
        bracket = self.bracket(curve.trial_id)
        return self._brackets[bracket].judge(curve) if bracket < len(self._brackets) else None

    promotes = True

    def promote(self) -> int | None:
        """Return a stopped trial that is among the best of a rung by now."""
        promoted = (bracket.promote() for bracket in self._brackets)
        return next((trial_id for trial_id in promoted if trial_id is not None), None)

    def close(self, curve: Curve, completed: bool) -> None:
        """Nothing is kept of a curve."""
