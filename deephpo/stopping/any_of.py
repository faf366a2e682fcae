"""Several rules at once: a trial stops as soon as one of them says so."""

from __future__ import annotations

from collections.abc import Sequence

from deephpo.stopping.curve import Curve
from deephpo.stopping.rule import PromotingRule, StoppingRule


class AnyOf:
    """Every rule sees every report; where several would stop a trial, the first one gives the reason.

    A rule takes back its own verdicts alone: what another one stopped too, such as a trial that reported NaN
    when it came to its rung, is never promoted.
    """

    def __init__(self, rules: Sequence[StoppingRule]) -> None:
        self._rules = tuple(rules)
        self._promoting = [rule for rule in rules if isinstance(rule, PromotingRule) and rule.promotes]
        self._stopped: dict[int, tuple[StoppingRule, ...]] = {}
        """By which rules each trial was stopped, if any rule can take a verdict back."""

    @property
    def first_step(self) -> float:
        """That of the rule which can stop a trial first."""
        return min(rule.first_step for rule in self._rules)

    def judge(self, curve: Curve) -> str | None:
        """Return the first reason of a rule to stop the trial."""
        judged = [(rule, rule.judge(curve)) for rule in self._rules]
        reasons = {rule: reason for rule, reason in judged if reason is not None}
        if reasons and self._promoting:
            self._stopped[curve.trial_id] = tuple(reasons)
        return next(iter(reasons.values()), None)

    @property
    def promotes(self) -> bool:
        """Whether one of the rules can take a verdict back."""
        return bool(self._promoting)

    def promote(self) -> int | None:
        """Return a trial that one of the rules alone stopped, and that goes on after all."""
        for rule in self._promoting:
            while (trial_id := rule.promote()) is not None:
                if self._stopped.get(trial_id) == (rule,):
                    return trial_id
        return None

    def close(self, curve: Curve, completed: bool) -> None:
        """Tell every rule that a trial is over."""
        for rule in self._rules:
            rule.close(curve, completed)
