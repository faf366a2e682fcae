"""The Pareto front of a run whose trials were judged by several objectives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import le

from deephpo.errors import OptionError
from deephpo.stopping.create import NO_RULE, further_metrics_of
from deephpo.stopping.curve import Subject
from deephpo.storage.run_state import RunState, TrialEntry


@dataclass(frozen=True, slots=True)
class Point:
    """What a trial has in all objectives.

    It is compared here, not by ``stopping.ranks``, whose numpy ``deephpo status`` would wait for.
    """

    trial: TrialEntry
    others: Mapping[str, float]
    """Its further metrics, in the user's own terms."""
    losses: tuple[float, ...]
    """One for each objective."""

    def dominates(self, other: Point) -> bool:
        """Return whether it is no worse in any objective, and better in one."""
        return all(map(le, self.losses, other.losses)) and self.losses != other.losses


def objectives(state: RunState) -> list[Subject]:
    """Return what the trials of a run were judged by, the objective first; nothing if by that alone."""
    rule, declaration = state.options.get("stop", {}).get("value", NO_RULE), state.declaration
    if declaration is None or rule == NO_RULE:
        return []
    try:
        further = further_metrics_of(rule)
    except OptionError:  # a journal of another version may name a rule that there is not here
        return []
    if not further:
        return []
    return [Subject(declaration.objective, declaration.direction), *further]


def pareto_front(state: RunState) -> list[Point]:
    """Return the front of the trials that have a value, the best of the objective first."""
    front: list[Point] = []
    # No point is dominated by one that comes later in this order.
    for point in sorted(_points(state), key=lambda point: point.losses):
        # Of two losses the first rises along the front and the second falls: its end is the one to be beaten.
        rivals = front[-1:] if len(point.losses) == 2 else front
        if not any(rival.dominates(point) for rival in rivals):
            front.append(point)
    return front


def _points(state: RunState) -> Iterator[Point]:
    """Yield the trials that have a value and a finite number for each further metric, by their ranks."""
    if not (subjects := objectives(state)):
        return
    objective, *further = subjects
    for trial in state.ranked():
        others = beside_value(trial, objective.metric, [subject.metric for subject in further])
        if others is not None and trial.value is not None:
            losses = (subject.loss(others[subject.metric]) for subject in further)
            yield Point(trial, others, (objective.loss(trial.value), *losses))


def beside_value(trial: TrialEntry, objective: str, names: Sequence[str]) -> Mapping[str, float] | None:
    """Return the metrics that a trial has together with its value; None if it lacks one of them.

    They are what ``run`` returned; what that lacks, or holds as NaN, is from the last report of this very
    value, as that of an earlier or a later epoch belongs to another state of the training.  Where no report
    has both, it is from the last report that has the metrics.
    """
    returned = {name: value for name, value in trial.returned.items() if math.isfinite(value)}
    reports = [metrics for _, _, metrics in trial.curve]
    of_value = [metrics for metrics in reports if metrics.get(objective) == trial.value]
    for report in reversed([{}, *reports, *of_value]):
        told = {**report, **returned}
        others = {name: told.get(name, math.nan) for name in names}
        if all(map(math.isfinite, others.values())):
            return others
    return None
