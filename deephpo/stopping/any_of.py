"""Several rules at once: a trial stops as soon as one of them says so."""

from __future__ import annotations

from collections.abc import Sequence

from deephpo.stopping.curve import Curve
from deephpo.stopping.rule import PromotingRule, StoppingRule


class AnyOf:
    """Every rule sees every report; where several would stop a trial, the first one gives the reason."""

    def __init__(self, rules: Sequence[StoppingRule]) -> None:
        self._rules = tuple(rules)
        self._promoting = [rule for rule in rules if isinstance(rule, PromotingRule)]

    def judge(self, curve: Curve) -> str | None:
        """Return the first reason of a rule to stop the trial."""
        reasons = [rule.judge(curve) for rule in self._rules]
        return next((reason for reason in reasons if reason is not None), None)

    @property
    def promotes(self) -> bool:
        """Whether one of the rules can take a verdict back."""
        return any(rule.promotes for rule in self._promoting)

    def promote(self) -> int | None:
        """Return a trial that one of the rules stopped, and that goes on after all."""
        promoted = (rule.promote() for rule in self._promoting)
        return next((trial_id for trial_id in promoted if trial_id is not None), None)

    def close(self, curve: Curve, completed: bool) -> None:
        """Tell every rule that a trial is over."""
        for rule in self._rules:
            rule.close(curve, completed)
