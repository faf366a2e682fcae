"""The default search: what the evidence says is best, for few results and for many.

With up to some hundred results it asks a Gaussian process on ranks to whose belief that of some trees is
added, with a lower confidence bound, and pending points that are not asked again but have no lie.  The
process finds good configurations faster than all else that we measured; the trees help it where it fails (see
docs/search-quality.md).  When results are many they take over alone: they cost the same however many there
are.
"""

from __future__ import annotations

import numpy as np

from deephpo.search.arm import Arm, search_of
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.space.encoding import Encoding


def auto(encoding: Encoding, seed: np.random.SeedSequence, *, initial: int = INITIAL) -> AfterDesign:
    """Return the strategy.  initial: how many successes the models need first."""
    design, own = seed.spawn(2)
    return AfterDesign(encoding, design, search_of(Arm("blend"), encoding, own), initial)
