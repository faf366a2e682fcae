"""Space-filling designs: scrambled Sobol points and Latin hypercubes, as endless streams of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats.qmc import LatinHypercube, Sobol

from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding

BLOCK = 64
"""Points are made in blocks of this size: a power of two for Sobol, the strata of one Latin hypercube."""


class SobolSearch:
    """Scrambled Sobol points: any first 2^k of them are spread evenly (A. Owen, 1998)."""

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        rng = np.random.default_rng(seed)
        sampler = Sobol(encoding.d, scramble=True, rng=rng)
        self._stream = _Stream(encoding, rng, lambda: sampler.random(BLOCK))

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        return self._stream.next(q, history)


class LatinHypercubeSearch:
    """One Latin hypercube of 64 points after the other (M. McKay et al., Technometrics 21, 1979)."""

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        rng = np.random.default_rng(seed)
        sampler = LatinHypercube(encoding.d, rng=rng)
        self._stream = _Stream(encoding, rng, lambda: sampler.random(BLOCK))

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        return self._stream.next(q, history)


class _Stream:
    """Hands out blocks of unit points row by row, without the forbidden and the already tried."""

    def __init__(
        self, encoding: Encoding, rng: np.random.Generator, block: Callable[[], NDArray[np.float64]]
    ) -> None:
        self._encoding = encoding
        self._block = block
        self._rows: Rows = np.empty((0, encoding.d), dtype=np.float32)
        self._untried = Untried(encoding, rng.spawn(1)[0])

    def next(self, q: int, history: History) -> Rows:
        return self._untried.draw(q, history, self._draw)

    def _draw(self, n: int) -> Rows:
        while len(self._rows) < n:
            rows = self._encoding.from_unit(self._block())
            self._rows = np.concatenate([self._rows, rows[self._encoding.allowed(rows)]])
        rows, self._rows = self._rows[:n], self._rows[n:]
        return rows
