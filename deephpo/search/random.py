"""Random search: independent draws, the yardstick of all others."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding


class RandomSearch:
    """Draws every configuration independently (J. Bergstra, Y. Bengio, JMLR 13, 2012)."""

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        self._encoding = encoding
        self._rng = np.random.default_rng(seed)
        self._untried = Untried(encoding, self._rng.spawn(1)[0])

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        return self._untried.draw(q, history, lambda n: self._encoding.sample(n, self._rng))
