"""The arrays that the rooms above hand to each other, named once.

Letters: ``n`` rows or targets, ``d`` parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
"""Encoded configurations, shape (n, d); one of them has the shape (d,)."""

Vector = NDArray[np.float64]
"""One number for each of n things, shape (n,)."""


def key(row: Rows) -> bytes:
    """Return a key of one encoded configuration; equal keys are equal configurations."""
    return row.tobytes()
