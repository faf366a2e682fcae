"""How the reasons of rules speak of values: in the user's own direction, with four digits."""

from __future__ import annotations

import math

from deephpo.stopping.curve import Subject


def worded(subject: Subject, loss: float) -> str:
    """Return a loss as the value that the user knows, such as "0.4123"."""
    if not math.isfinite(loss):
        return "no number"
    return f"{subject.loss(loss) + 0.0:.4g}"  # adding 0 makes -0 the 0 that it is for the user
