"""What a rule sees: the reports of one trial so far, as losses."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deephpo.problem import Direction

_LARGEST = 1e100
"""A loss beyond it counts as infinite: what rules make of losses, such as squares, is to be a number."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the trials of a search are judged by."""

    metric: str
    """The name of the objective, under which trials report it."""
    direction: Direction = "minimize"
    last_step: int | None = None
    """The step with which a training is complete; None if the problem does not say."""
    unit: str = "step"
    """What a step is, such as an epoch."""

    def loss(self, value: float) -> float:
        """Return a value of the metric as a loss, the smaller the better, and back again."""
        return value if self.direction == "minimize" else -value


class Curve:
    """The learning curve of one trial: its steps rise, its losses are the smaller the better."""

    def __init__(self, trial_id: int) -> None:
        self.trial_id = trial_id
        self.steps: list[int] = []
        self.losses: list[float] = []
        """One for each step; NaN and infinity are possible."""
        self.best = math.inf
        """The smallest finite loss so far; infinity before the first."""
        self.metrics: Mapping[str, float] = {}
        """All that the last report said, in the user's own terms."""

    def add(self, step: int, loss: float, metrics: Mapping[str, float]) -> None:
        """Take the next report, whose step is above the last one's."""
        if abs(loss) > _LARGEST:
            loss = math.copysign(math.inf, loss)
        self.steps.append(step)
        self.losses.append(loss)
        self.metrics = metrics
        if -math.inf < loss < self.best:
            self.best = loss

    def passed(self, step: int) -> bool:
        """Return whether the last report is the first one at this step or beyond."""
        steps = self.steps
        return steps[-1] >= step and (len(steps) == 1 or steps[-2] < step)

    def crossed(self, checkpoints: Sequence[int]) -> range:
        """Return the places of the checkpoints, in rising order, that the last report has just ``passed``."""
        before = bisect_right(checkpoints, self.steps[-2]) if len(self.steps) > 1 else 0
        return range(before, bisect_right(checkpoints, self.steps[-1]))
