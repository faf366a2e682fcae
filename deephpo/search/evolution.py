"""Regularised evolution: the population is what was told last, and nobody grows old by being good."""

from __future__ import annotations

import numpy as np

from deephpo.search.history import History
from deephpo.search.steps import step_away
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows
from deephpo.space.encoding import Encoding


class RegularizedEvolution:
    """Mutates the winners of tournaments among the last results, asynchronously.

    E. Real, A. Aggarwal, Y. Huang, Q. Le, Regularized evolution for image classifier architecture search,
    AAAI 2019, algorithm 1: the oldest dies, not the worst, so that luck does not live for ever.

    population: so many results are alive.  tournament: so many of them, drawn with replacement, compete to be
    a parent, so it is no larger than the population; a result that failed loses to any that did not.  One
    that is told again competes with its last value, and is as old as before.  A child that exists already is
    mutated again.

    We deviate: configurations are drawn at random only until a tournament can be filled, not the population,
    since few searches have results by the thousand.
    """

    def __init__(
        self, encoding: Encoding, seed: np.random.SeedSequence, *, population: int = 50, tournament: int = 20
    ) -> None:
        self._encoding = encoding
        self._population = population
        self._tournament = tournament
        self._rng = np.random.default_rng(seed)
        self._untried = Untried(encoding, self._rng.spawn(1)[0])

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        return self._untried.draw(q, history, lambda n: self._draw(n, history))

    def _draw(self, n: int, history: History) -> Rows:
        values = history.values[-self._population :]
        if history.n < self._tournament or not np.isfinite(values).any():
            return self._encoding.sample(n, self._rng)
        contestants = self._rng.integers(len(values), size=(n, self._tournament))
        winners = contestants[np.arange(n), values[contestants].argmin(axis=1)]
        places = history.told_places[-self._population :][winners]
        return step_away(history.rows[places], history, self._encoding, self._rng)
