"""Steps away from configurations that are known, to ones that are not."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.space.arrays import Rows, key
from deephpo.space.encoding import Encoding

MOST_STEPS = 32
"""Where everything around was tried, a walk is so many steps long at most."""


def step_away(rows: Rows, history: History, encoding: Encoding, rng: np.random.Generator) -> Rows:
    """Return a neighbour of each row, shape (n, d), new unless MOST_STEPS do not lead to anything new.

    A step to what was tried already is followed by another one from there, so that a walk gets out of
    surroundings that hold nothing new; two walks may meet.
    """
    rows = encoding.mutate(rows, rng)
    for _ in range(MOST_STEPS - 1):
        stuck = np.array([key(row) in history.tried for row in rows])
        if not stuck.any():
            break
        rows[stuck] = encoding.mutate(rows[stuck], rng)
    return rows
