"""CMA-ES: a normal distribution, and one over the categories, that move to where results are good."""

from __future__ import annotations

from typing import Any

import numpy as np

from deephpo.errors import MissingPackageError
from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows, Vector, key
from deephpo.space.encoding import INACTIVE, Encoding
from deephpo.space.parameters import Categorical

SIGMA = 0.35
"""Standard deviation at the start, as a share of each parameter's range: nearly everywhere."""
MOST_LEVELS = 64
"""A number with more levels than this is a real number to the distribution."""
MOST_DRAWS = 50
"""A distribution of which so many draws in succession are nothing new has said all that it can."""


class CovarianceMatrixAdaptation:
    """Samples the distribution as it is, whenever asked; moves it with every generation of results.

    R. Hamano et al., CatCMA with margin: stochastic optimization for continuous, integer, and categorical
    variables, GECCO 2025, as the package ``cmaes`` has it; with all real numbers it is the CMA-ES of
    N. Hansen.  Asynchronously: a generation is the next so many results, whichever distribution they were
    drawn from.  To count only those of the newest one would waste what the workers were at in the meantime.

    It learns from ranks, a failure being the last.  What a trial is told again counts until its generation is
    full, and no more afterwards.  A parameter that is switched off keeps the coordinate that was drawn for
    it.  Until its first generation is full the distribution begins anew around the best result, if that is
    one it did not draw itself: an earlier run's, or a starting point's.  Where it has collapsed, or has
    nothing new any more, another one begins in the middle.

    Raises MissingPackageError without ``cmaes``.
    """

    def __init__(self, encoding: Encoding, seed: np.random.SeedSequence) -> None:
        self._encoding = encoding
        self._axes = Axes(encoding)
        self._rng = np.random.default_rng(seed)
        self._untried = Untried(encoding, self._rng.spawn(1)[0])
        self._told = 0
        """How many observations were looked at."""
        self._drawn: dict[bytes, Any] = {}
        """What was drawn for each pending configuration, by its key."""
        self._fresh: dict[bytes, Any] = {}
        """The same for configurations of which it is still to be seen whether they are asked."""
        self._generation: list[tuple[Any, int]] = []
        """What was drawn, and the number of its observation."""
        self._moved = False
        """Whether the distribution has learned from a generation, or is not the first one."""
        self._distribution = self._new_distribution()

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        self._begin_at_the_best(history)
        for i in range(self._told, history.n):
            drawn = self._drawn.pop(key(history.rows[history.told_places[i]]), None)
            if drawn is not None:
                self._learn(drawn, i, history)
        self._told = history.n
        rows = self._untried.draw(q, history, lambda n: self._draw(n, history))
        self._drawn |= {key(row): self._fresh[key(row)] for row in rows if key(row) in self._fresh}
        self._fresh.clear()
        return rows

    def _begin_at_the_best(self, history: History) -> None:
        """Let the first distribution begin around the best result, if that is new and from elsewhere."""
        new = history.values[self._told :]
        if self._moved or not new.min(initial=np.inf) <= history.best < np.inf:
            return
        row = history.rows[history.told_places[self._told + int(new.argmin())]]
        if key(row) not in self._drawn:
            self._distribution = self._new_distribution(row)

    def _learn(self, drawn: Any, number: int, history: History) -> None:
        self._generation.append((drawn, number))
        if len(self._generation) < self._distribution.population_size:
            return
        results = [(drawn, history.values[number]) for drawn, number in self._generation]
        ranked = sorted(results, key=lambda result: result[1])
        self._generation = []
        if ranked[0][1] == ranked[-1][1]:
            return  # one is as good as the other
        self._moved = True
        try:
            # Its last words are a division by nothing.
            with np.errstate(divide="raise", invalid="raise"):
                self._distribution.tell([(drawn, float(rank)) for rank, (drawn, _) in enumerate(ranked)])
            collapsed = self._axes.numbers > 0 and self._distribution.should_stop()
        except (FloatingPointError, np.linalg.LinAlgError):
            collapsed = True
        if collapsed:
            self._restart()

    def _draw(self, n: int, history: History) -> Rows:
        """Return n allowed rows; random ones when even a fresh distribution gives nothing new."""
        rows: list[Rows] = []
        futile = 0
        while len(rows) < n and futile < 2 * MOST_DRAWS:
            drawn = self._distribution.ask()
            row = self._axes.row(drawn)
            if key(row) not in history.tried and self._encoding.allowed(row)[0]:
                self._fresh[key(row)] = drawn
                rows.append(row)
                futile = 0
            elif (futile := futile + 1) == MOST_DRAWS:
                self._restart()
        return np.concatenate([*rows, self._encoding.sample(n - len(rows), self._rng)])

    def _restart(self) -> None:
        self._moved = True
        self._distribution = self._new_distribution()
        self._generation.clear()
        # Results of a distribution that collapsed would only draw the next one there.
        self._drawn.clear()
        self._fresh.clear()

    def _new_distribution(self, mean: Rows | None = None) -> Any:
        return self._axes.distribution(int(self._rng.integers(2**31)), mean)


class Axes:
    """Which parameter is what to the distribution: a real number, one of few numbers, or a category."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        levels = {j: column.levels or MOST_LEVELS + 1 for j, column in enumerate(encoding.columns)}
        parameters = encoding.space.parameters
        # What has two values has no order that would help.
        unordered = {j for j, p in enumerate(parameters) if type(p) is Categorical or levels[j] == 2}
        self._categories = sorted(unordered)
        self._steps = [j for j in levels if j not in unordered and levels[j] <= MOST_LEVELS]
        self._reals = [j for j in levels if j not in unordered and levels[j] > MOST_LEVELS]
        self._levels = [levels[j] for j in self._categories]
        self.numbers = len(self._reals) + len(self._steps)
        """How many dimensions the normal distribution has."""

    def distribution(self, seed: int, mean: Rows | None) -> Any:
        """Return a new distribution around a row, or around the middle."""
        try:
            from cmaes import CatCMAwM
        except ImportError:
            raise MissingPackageError("cmaes", "The search cma-es", "cmaes") from None
        spaces: dict[str, Any] = {}
        if self._reals:
            spaces["x_space"] = [[0.0, 1.0]] * len(self._reals)
        if self._steps:
            spaces["z_space"] = [self._encoding.columns[j].axis(None).tolist() for j in self._steps]
        if self._categories:
            spaces["c_space"] = self._levels
        if self.numbers:
            spaces |= {"mean": self._center(mean), "sigma": SIGMA, "cov": np.eye(self.numbers)}
        return CatCMAwM(**spaces, seed=seed)

    def _center(self, row: Rows | None) -> Vector:
        if row is None:
            return np.full(self.numbers, 0.5)
        codes = row[self._reals + self._steps].astype(np.float64)
        return np.where(codes == INACTIVE, 0.5, codes)

    def row(self, drawn: Any) -> Rows:
        """Return the row that stands for a draw, shape (1, d)."""
        point = np.empty((1, self._encoding.d))
        if self._reals:
            point[0, self._reals] = drawn.x
        if self._steps:
            point[0, self._steps] = drawn.z
        for j, levels, chosen in zip(self._categories, self._levels, _chosen(drawn), strict=True):
            point[0, j] = (chosen + 0.5) / levels
        return self._encoding.from_unit(point)


def _chosen(drawn: Any) -> list[int]:
    return [] if drawn.c is None else drawn.c.argmax(axis=1).tolist()
