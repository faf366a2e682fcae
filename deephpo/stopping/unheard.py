"""Further metrics that trials do not report, so that no rule can judge by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deephpo.trial import Outcome, Report, TrialState


class Unheard:
    """Says of the first trial that completes what none of its reports held beside the objective.

    also: the names of the further metrics; a report can be judged if it holds all of them.
    """

    def __init__(self, objective: str, also: Sequence[str]) -> None:
        self._objective = objective
        self._also = also
        self._heard: set[int] = set()
        """The running trials of which a report could be judged."""
        self._said = not also

    def hear(self, report: Report) -> None:
        """Take a report that holds the objective."""
        if not self._said and report.metrics.keys() >= {*self._also}:
            self._heard.add(report.trial_id)

    def close(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a trial that has reported the objective; the first one has the sentence."""
        could_be_judged = outcome.trial_id in self._heard
        self._heard.discard(outcome.trial_id)
        if self._said or could_be_judged or outcome.state is not TrialState.COMPLETED:
            return outcome
        self._said = True
        return replace(outcome, reason="; ".join(filter(None, [outcome.reason, self._sentence()])))

    def _sentence(self) -> str:
        names = " and ".join(map(repr, self._also))
        arguments = ", ".join(f"{name}=..." for name in (self._objective, *self._also))
        return (
            f"none of its reports held {names} beside {self._objective!r}, so it was not judged by that: "
            f"ctx.report(step, {arguments}), or another metric in also="
        )
