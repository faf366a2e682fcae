"""Grid search: every combination of ten values of each number and all categories, in lexicographic order."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding

LEVELS = 10
"""A number or ordinal with more values than this is thinned out to so many, evenly spread, bounds included.

A categorical, whose values have no order, keeps all of them."""


class GridSearch:
    """Counts through the grid once; the last parameter moves fastest."""

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        del seed  # nothing is drawn
        self._d = encoding.d
        self._cells = encoding.grid(LEVELS)

    def propose(self, q: int, history: History) -> Rows:
        """Return the next q cells, shape (q, d); fewer at the end of the grid."""
        found: Rows = np.empty((0, self._d), dtype=np.float32)
        while len(found) < q and (cell := next(self._cells, None)) is not None:
            found = np.concatenate([found, history.new(cell)])
        return found
