"""Percentiles of a list that is kept in order, so that no rule sorts what it has seen again and again."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of the ordered values lie, interpolated as ``numpy.percentile``.

    ordered: at least one value, the smallest first.
    share: 0 is the smallest value, 0.5 the median, 1 the largest.
    """
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    part = position - below
    if not part or low == high:
        return low
    if math.isinf(high - low):  # nothing lies between a number and infinity
        return high if math.isinf(high) else low
    # From the nearer end, so that percentiles of negated values are the negated percentiles.
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
