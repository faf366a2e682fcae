"""Several rules at once: a trial stops as soon as one of them says so."""

from __future__ import annotations

from collections.abc import Sequence

from deephpo.stopping.curve import Curve
from deephpo.stopping.rule import StoppingRule


class AnyOf:
    """Every rule sees every report; where several would stop a trial, the first one gives the reason."""

    def __init__(self, rules: Sequence[StoppingRule]) -> None:
        self._rules = tuple(rules)

    def judge(self, curve: Curve) -> str | None:
        """Return the first reason of a rule to stop the trial."""
        reasons = [rule.judge(curve) for rule in self._rules]
        return next((reason for reason in reasons if reason is not None), None)

    def close(self, curve: Curve, completed: bool) -> None:
        """Tell every rule that a trial is over."""
        for rule in self._rules:
            rule.close(curve, completed)
