"""The default: stops a trial that is behind, does not catch up, and would not come to the best."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.metrics import further_metrics, last_losses
from deephpo.stopping.ranks import Dominance, Front, Least, Point, Ranks, Sorted
from deephpo.stopping.wording import worded

_CHECKPOINTS = 10
_LEAST_AHEAD = 2.0
"""So many must be better at the least: of two or three trials the worst may still be the best of all."""
_BOLD, _CAUTIOUS = 0.5, 2.0
"""The exponents for few trials and for many (docs/early-stopping.md has the evidence)."""
_MANY = 400
"""So many trials are many; the exponent is in proportion to them until then."""


class Pace:
    """Successive halving that asks a trial where it goes before it stops it, and is strict by degrees.

    Checkpoints are at the last step over the powers of the root of 2, from 1 / 32 on.  At a share x of the
    training a trial is behind if 1 - sqrt(x) of all that came there are better, and no fewer than two: the
    worst quarter after a sixteenth, the worse half after a quarter, all but the best 16 % at 70 %.  It is
    stopped if it is behind

    - by the best that it has reached,
    - by what it would have if the gain since half of its steps came once more (a steep curve crosses others),
    - and if that gain, on and on with every doubling of its steps and shrinking as it has shrunk since a
      quarter of them, would not bring it to the best that any trial has reached by now.

    None of this has a unit, so losses, accuracies and their logarithms need no settings.  Between two
    checkpoints every report judges a trial anew, where it stood at the last one, among all that have come
    there since: of trials that run side by side the first has none to be compared with.  A trial comes to a
    checkpoint with its first report there or beyond; if it said nothing by half of its steps it has no pace,
    and goes on.

    The square root is for up to 100 trials.  From there to 400 its exponent grows from 0.5 to 2: of so many
    the best are much alike, above all in a search that learns, and to stop one of them costs more than it
    saves.

    caution: the exponent, from 0.3, bold, to 2, cautious, for any number of trials; 0: it grows.
    also: further metrics to judge by at the same time, see ``further_metrics``, taken to stay as they are.
        Then better is who dominates, and a trial goes on if its prospect would come into the Pareto front.  A
        report that lacks one of them is not judged.

    Of each trial two numbers a checkpoint are kept.  The first two conditions are successive halving (Li et
    al. 2020) by ranks that the doubling of steps may change, the third is the optimism of DEEP-BO's gradient
    rule with a curve in place of its line.
    """

    def __init__(self, subject: Subject, *, caution: float = 0.0, also: str = "") -> None:
        self._subject = subject
        self._said_caution = caution
        self._also = further_metrics(also)
        self._last = last_step_of(subject, "pace")
        steps = {math.ceil(self._last * 2 ** (-k / 2)) for k in range(1, _CHECKPOINTS + 1)}
        self._steps = sorted(step for step in steps if 2 <= step < self._last)
        metrics = 1 + len(self._also)
        self._checkpoints = [_Checkpoint(step / self._last, metrics) for step in self._steps]
        self._standings: dict[int, _Standing] = {}
        self._reached: Front | Least = Front(metrics) if self._also else Least()
        self._best = math.inf

    @property
    def first_step(self) -> float:
        """The first checkpoint: there is none in a training of one or two steps."""
        return self._steps[0] if self._steps else math.inf

    def judge(self, curve: Curve) -> str | None:
        """Return that the trial is behind, with its value and where its pace would bring it."""
        self._best = min(self._best, curve.best)
        others = last_losses(self._also, curve)
        if others is None:
            return None
        self._reached.add((curve.best, *others))
        standing = self._standing(curve, others)
        if standing is None or not self._reached.reaches(standing.prospect):
            return None
        behind = standing.checkpoint.is_behind(standing, self._caution())
        return self._reason(curve, standing) if behind else None

    def _caution(self) -> float:
        trials = max(map(len, self._checkpoints))
        return self._said_caution or min(max(_BOLD, _CAUTIOUS * trials / _MANY), _CAUTIOUS)

    def _standing(self, curve: Curve, others: Point) -> _Standing | None:
        """Return where the trial stood at its last checkpoint, which it may come to with this report."""
        crossed = curve.crossed(self._steps)
        if crossed:
            standing = self._arrive(curve, others, self._checkpoints[crossed[-1]])
            if standing is None:
                self._standings.pop(curve.trial_id, None)
            else:
                self._standings[curve.trial_id] = standing
        return self._standings.get(curve.trial_id)

    def _arrive(self, curve: Curve, others: Point, checkpoint: _Checkpoint) -> _Standing | None:
        outlook = extrapolate(curve, self._last)
        if outlook is None:
            return None
        now, next_, prospect = ((loss, *others) for loss in (curve.best, *outlook))
        standing = _Standing(checkpoint, curve.steps[-1], now, next_, prospect)
        checkpoint.enter(standing)
        return standing

    def _reason(self, curve: Curve, standing: _Standing) -> str:
        better, all_here = standing.checkpoint.ahead_of(standing), len(standing.checkpoint)
        had, comes_to = worded(self._subject, standing.now[0]), worded(self._subject, standing.prospect[0])
        earlier = standing.step < curve.steps[-1]
        when, then = (f" at {self._subject.unit} {standing.step}", " then") if earlier else ("", "")
        what, bound = f"its best{then}, {had}", f"no better than {worded(self._subject, self._best)}"
        if self._also:
            metrics = " and ".join(metric.metric for metric in self._also)
            what, bound = f"it in {metrics} and its best{then}, {had}", "which is not in the Pareto front"
        return (
            f"{better} of {all_here - 1} others were better{when} than {what}, and its pace would bring "
            f"it to {comes_to}, {bound}"
        )

    def close(self, curve: Curve, completed: bool) -> None:
        """What the trial had at its checkpoints stays, to compare others with."""
        self._standings.pop(curve.trial_id, None)


class _Checkpoint:
    """What all trials that came to a share of the last step had there, in order."""

    def __init__(self, share: float, metrics: int) -> None:
        self._share = share
        self._now: Ranks = Sorted() if metrics == 1 else Dominance(metrics)
        self._next: Ranks = Sorted() if metrics == 1 else Dominance(metrics)

    def __len__(self) -> int:
        return len(self._now)

    def enter(self, standing: _Standing) -> None:
        self._now.enter(standing.now)
        self._next.enter(standing.next)

    def ahead_of(self, standing: _Standing) -> int:
        """Return how many were better."""
        return self._now.better_than(standing.now)

    def is_behind(self, standing: _Standing, caution: float) -> bool:
        """Return whether too many are better, by what they had and by what they would have next."""
        enough = max(_LEAST_AHEAD, (1 - math.pow(self._share, caution)) * len(self))
        return self.ahead_of(standing) >= enough and self._next.better_than(standing.next) >= enough


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a trial stood at a checkpoint: its best loss, and its ``Outlook``, each with its other losses."""

    checkpoint: _Checkpoint
    step: int
    now: Point
    next: Point
    prospect: Point


class Outlook(NamedTuple):
    """What a trial's pace promises."""

    next: float
    """Its loss at twice the steps, if the gain of the last doubling came once more."""
    prospect: float
    """Its loss at the last step, if the gains of doublings shrink as the last one shrank, or stay."""


def extrapolate(curve: Curve, last_step: int) -> Outlook | None:
    """Return what the pace of a trial promises, None if it has said nothing by half of its steps."""
    step, now = curve.steps[-1], curve.best
    half, quarter = _best_by(curve, step / 2), _best_by(curve, step / 4)
    if half is None:
        return None
    gain = _gain(half, now)
    before = math.inf if quarter is None else _gain(quarter, half)
    shrinks = min(1.0, gain / before) if 0 < before < math.inf else 1.0
    doublings = max(0.0, math.log2(last_step / step))  # who reports rarely may come beyond the last step
    # The geometric series of the gains to come, for a number of doublings that is not whole.
    gains = doublings if shrinks == 1 else shrinks * (1 - shrinks**doublings) / (1 - shrinks)
    return Outlook(now - gain, now - gain * gains)


def _gain(earlier: float, later: float) -> float:
    """Return by how much a loss fell; none at all from infinity to infinity."""
    return 0.0 if earlier == later else earlier - later


def _best_by(curve: Curve, step: float) -> float | None:
    """Return the smallest loss up to a step, infinity if there was no number, None if there was no report."""
    reports = bisect_right(curve.steps, step)
    if reports == 0:
        return None
    return min((loss for loss in curve.losses[:reports] if not math.isnan(loss)), default=math.inf)
