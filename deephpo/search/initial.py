"""The initial design: Sobol points until the model has something to learn from."""

from __future__ import annotations

import numpy as np

from deephpo.search.designs import SobolSearch
from deephpo.search.history import History
from deephpo.search.search import Forgetful
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding

INITIAL = 5
"""So many trials must have succeeded before the model is asked."""


class AfterDesign:
    """A strategy that follows a Sobol design until ``initial`` trials have succeeded, then another one.

    A sequence, not a Latin hypercube of a fixed length: how many points are needed depends on how many
    workers there are and on how many trials fail.
    """

    def __init__(
        self, encoding: Encoding, seed: np.random.SeedSequence, then: Forgetful, initial: int = INITIAL
    ) -> None:
        self._design = SobolSearch(encoding, seed)
        self.then = then
        """What follows the design."""
        self._initial = initial

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        return self._now(history).propose(q, history)

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame in which the search is when n results are known of m points that were asked."""
        return self.then.frame_of(n, m)

    def pass_over(self, q: int, history: History) -> Rows | None:
        """Take note of an ask; the design, which goes on from where it was, is asked again."""
        if history.succeeded < self._initial:
            return self._design.propose(q, history)
        return self.then.pass_over(q, history)

    def _now(self, history: History) -> SobolSearch | Forgetful:
        return self._design if history.succeeded < self._initial else self.then
