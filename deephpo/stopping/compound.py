"""DEEP-BO's compound rule: the worst are dropped half way, only the best are trained to the end."""

from __future__ import annotations

import math
from bisect import insort

from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.last_step import last_step_of
from deephpo.stopping.percentiles import percentile
from deephpo.stopping.window import Window
from deephpo.stopping.wording import worded


class Compound:
    """Two checkpoints, after Cho et al. (2020), as it runs on real trainings; M is the last step.

    Early drop, at step M // 2: the trial's value is to reach the worst ``beta`` of the means that the
    trials so far, itself included, had over the steps 1 to M // 2.  Late survival, at step (1 - beta) M: it
    is to be among the best ``beta`` of their means over the steps from M // 2 to there.  A value beside means
    of a rising curve makes both tests cautious.  beta is 0.10 in DEEP-BO's DecaTercet, 0.20 in PentaTercet,
    0.25 in TetraTercet.

    Neither is before step 1: what a network is before its training says nothing, so a training of one step is
    not judged.  Of each trial two means are kept, no curve.  A value that is no number fails both tests.
    """

    def __init__(self, subject: Subject, *, beta: float = 0.2) -> None:
        last = last_step_of(subject, "compound")
        half = max(1, last // 2)
        late = max(half, math.floor(round((1 - beta) * last, 9)))  # rounded, so that 0.7 of 10 is 7, not 6.99
        self._checkpoints = (
            _Checkpoint(subject, Window(1, half), 1 - beta),
            _Checkpoint(subject, Window(half, late), beta),
        )

    @property
    def first_step(self) -> float:
        """The first of the two checkpoints."""
        return self._checkpoints[0].window.high

    def judge(self, curve: Curve) -> str | None:
        """Return why the trial fails at a checkpoint; a report that skips one of the two takes both tests."""
        for checkpoint in self._checkpoints:
            reason = checkpoint.judge(curve) if checkpoint.window.ends(curve) else None
            if reason is not None:
                return reason
        return None

    def close(self, curve: Curve, completed: bool) -> None:
        """Nothing is kept of a curve."""


class _Checkpoint:
    """One of the two tests, with the means of all trials that came so far, this one included."""

    def __init__(self, subject: Subject, window: Window, kept: float) -> None:
        self.window = window
        self._subject = subject
        self._kept = kept
        self._means: list[float] = []

    def judge(self, curve: Curve) -> str | None:
        """Return why the trial fails; its last report is the checkpoint."""
        mean = self.window.mean(curve)
        if mean is not None:
            insort(self._means, mean)
        if not self._means:
            return None
        bound = percentile(self._means, self._kept)
        if curve.losses[-1] <= bound:
            return None
        value, limit = worded(self._subject, curve.losses[-1]), worded(self._subject, bound)
        trials = "1 trial" if len(self._means) == 1 else f"{len(self._means)} trials"
        had = f"what {trials} had on average until then ({limit})"
        return f"{value} is not in the best {self._kept:.0%} of {had}"
