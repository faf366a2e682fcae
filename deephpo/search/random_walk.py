"""Random walk: normal steps around the incumbent, the model-free search of HyperPower."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.search.steps import step_away
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding


class RandomWalk:
    """Draws at random until a trial succeeds; then every configuration is a step away from the best one.

    D. Stamoulis et al., HyperPower: power- and memory-constrained hyper-parameter optimization for neural
    networks, DATE 2018.  A step is one of the encoding's: one or two parameters move, by one of its scales.
    """

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        self._encoding = encoding
        self._rng = np.random.default_rng(seed)
        self._untried = Untried(encoding, self._rng.spawn(1)[0])
        self._best: int | None = None
        """The number of the best observation."""

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        if not history.succeeded:
            return self._untried.draw(q, history, lambda n: self._encoding.sample(n, self._rng))
        if self._best is None or history.values[self._best] > history.best:
            self._best = int(history.values.argmin())
        incumbent = history.rows[history.told_places[self._best]]
        return self._untried.draw(
            q, history, lambda n: step_away(np.tile(incumbent, (n, 1)), history, self._encoding, self._rng)
        )
