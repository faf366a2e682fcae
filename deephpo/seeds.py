"""Random numbers that depend on a seed and on counters, and not on what was drawn before."""

from __future__ import annotations

import numpy as np


def rng_below(seed: np.random.SeedSequence, *key: int) -> np.random.Generator:
    """Return the generator below a seed that belongs to these counters, always as if it were new.

    Unlike ``seed.spawn`` it keeps no count, so a resumed search finds it again whatever it did before.
    """
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key)))
