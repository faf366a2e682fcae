"""Random numbers that depend on a seed and on counters, and not on what was drawn before."""

from __future__ import annotations

import numpy as np


def below(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Return the seed below another one that belongs to these counters, always the same one.

    Unlike ``seed.spawn`` it keeps no count, so a resumed search finds it again whatever it did before.
    """
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))
