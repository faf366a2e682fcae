"""How an acquisition function's weight changes from point to point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

Schedule = Literal["constant", "drawn", "falling"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)

FALLS_FROM = 32
"""A falling weight is whole until so many points were asked, and half with 16 times as many."""


def weights(weight: float, schedule: Schedule, seed: np.random.SeedSequence) -> Callable[[int], float]:
    """Return the weight for when m points were asked.

    "drawn": from an exponential distribution with this mean, for every point anew, so that workers that run
    side by side trust the model differently.  "falling": with the fourth root of m.
    """
    if schedule == "drawn":
        return lambda m: weight * float(np.random.default_rng(_below(seed, m)).exponential())
    if schedule == "falling":
        return lambda m: weight * (max(m, FALLS_FROM) / FALLS_FROM) ** -0.25
    return lambda m: weight


def _below(seed: np.random.SeedSequence, m: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, m))
