"""Stops a trial that has not got better for a while."""

from __future__ import annotations

import math

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.wording import worded


class Plateau:
    """A trial stops if its best did not get better by more than ``least`` within ``patience`` steps.

    Trials are not compared with each other; this ends trainings that are done, good ones too.  Of each
    running trial one step and one loss are kept.
    """

    def __init__(self, subject: Subject, *, patience: int = 10, least: float = 0.0) -> None:
        self._subject = subject
        self._patience = patience
        self._least = least
        self._improved: dict[int, tuple[int, float]] = {}
        """The step at which each running trial last got better, and its loss there."""

    @property
    def first_step(self) -> float:
        """Where one stops that never got better than at step 0."""
        return self._patience

    def judge(self, curve: Curve) -> str | None:
        """Return since when the trial has not got better."""
        step, loss = curve.steps[-1], curve.losses[-1]
        since, reference = self._improved.setdefault(curve.trial_id, (step, math.inf))
        if loss < reference - self._least:
            self._improved[curve.trial_id] = step, loss
            return None
        if step - since < self._patience:
            return None
        more = f" by more than {self._least:g}" if self._least else ""
        return (
            f"it is no better{more} than at {self._subject.unit} {since} ({worded(self._subject, reference)})"
        )

    def close(self, curve: Curve, completed: bool) -> None:
        """Forget when the trial got better."""
        self._improved.pop(curve.trial_id, None)
