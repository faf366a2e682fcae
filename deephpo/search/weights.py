"""How an acquisition function's weight changes from point to point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from deephpo.seeds import rng_below

Schedule = Literal["constant", "drawn", "falling"]

FALLS_FROM = 32
"""A falling weight is whole until so many points were asked, and half with 16 times as many."""


def weights(weight: float, schedule: Schedule, seed: np.random.SeedSequence) -> Callable[[int], float]:
    """Return the weight for when m points were asked.

    "drawn": from an exponential distribution with this mean, for every point anew, so that workers that run
    side by side trust the model differently.  "falling": with the fourth root of m.
    """
    if schedule == "drawn":
        return lambda m: weight * float(rng_below(seed, m).exponential())
    if schedule == "falling":
        return lambda m: weight * (max(m, FALLS_FROM) / FALLS_FROM) ** -0.25
    return lambda m: weight
