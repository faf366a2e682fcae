"""Where a search stands: what it has reached, what it has spent, and whether that is its end."""

from __future__ import annotations

from collections import Counter

from deephpo.engine.backlog import Backlog
from deephpo.engine.incumbent import Incumbent
from deephpo.engine.terms import Terms
from deephpo.trial import Outcome, TrialState

HOPELESS_AFTER = 20
"""If so many trials have ended and every one of them failed, something other than their values is wrong."""


class Standing:
    """Takes note of trials that are settled."""

    def __init__(self, terms: Terms, backlog: Backlog) -> None:
        self.settled = backlog.settled
        """How many trials are."""
        self.succeeded = backlog.succeeded
        """How many of them have a value."""
        self._terms = terms
        self._incumbent = Incumbent(terms.direction, backlog.best, backlog.since_best)
        self._failures: Counter[str] = Counter()
        self._unproven = backlog.settled < HOPELESS_AFTER and not backlog.succeeded
        """Whether it is still to be seen that a trial need not fail."""

    def take(self, outcome: Outcome) -> None:
        """Take note of how a trial ended."""
        self.settled += 1
        self.succeeded += outcome.value is not None
        self._incumbent.take(outcome.trial_id, outcome.value)
        self._unproven = self._unproven and outcome.state is TrialState.FAILED
        if self._unproven:
            self._failures[outcome.reason] += 1

    def reopen(self, trial_id: int) -> None:
        """Take note that a trial that was stopped, and has a value, is not settled after all."""
        self.settled -= 1
        self.succeeded -= 1
        self._incumbent.reopen(trial_id)

    def end(self, node_s: float) -> str | None:
        """Return why the search is at its end, None if it is not; node_s: for how long it had its hosts."""
        terms, incumbent = self._terms, self._incumbent
        if terms.goal is not None and incumbent.reaches(terms.goal):
            return f"the goal of {terms.goal:g} is reached, with {incumbent.value:g}"
        if terms.trials is not None and self.settled >= terms.trials:
            return f"all {terms.trials} trials are done"
        in_vain = len(incumbent.since)
        if terms.plateau is not None and incumbent.value is not None and in_vain >= terms.plateau:
            return f"{terms.plateau} trials in a row were no better than {incumbent.value:g}"
        if terms.node_hours is not None and node_s >= 3600 * terms.node_hours:
            return f"{terms.node_hours:g} node-hours are used"
        return None

    def despair(self) -> str | None:
        """Return that all trials failed, and of what, if so many did that there is no hope."""
        if not self._unproven or self.settled < HOPELESS_AFTER:
            return None
        reason = self._failures.most_common(1)[0][0]
        return f"all of the first {self.settled} trials failed, most often: {reason}"
