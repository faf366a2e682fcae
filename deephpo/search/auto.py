"""The default search: a Gaussian process while results are few, a forest when they are many.

With up to some hundred results nothing finds good configurations as fast as a Gaussian process on ranks, but
what it costs grows with their number; a forest costs the same however many there are.
"""

from __future__ import annotations

import numpy as np

from deephpo.search.arm import Arm
from deephpo.search.hand_over import HandOver
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.space.encoding import Encoding

HAND_OVER = 500
"""From so many results on the forest takes over."""


def auto(encoding: Encoding, seed: np.random.SeedSequence, *, initial: int = INITIAL) -> AfterDesign:
    """Return the strategy.  initial: how many successes the models need first."""
    design, few, many = seed.spawn(3)
    process = Arm("gp").search(encoding, few)
    forest = Arm("extra-trees").search(encoding, many)
    return AfterDesign(encoding, design, HandOver(process, forest, HAND_OVER), initial)
