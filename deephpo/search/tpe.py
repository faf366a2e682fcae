"""TPE, the tree-structured Parzen estimator: near the good configurations, far from the bad ones.

J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, Algorithms for hyper-parameter optimization, NIPS 2011.  We
deviate in three points: good observations count by their rank, no configuration is ever asked twice, and
pending ones are no observations, neither good nor bad: to count them as bad keeps many workers away from the
region that is best.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from deephpo.search.history import History
from deephpo.search.initial import INITIAL, AfterDesign
from deephpo.search.untried import Untried
from deephpo.seeds import rng_below
from deephpo.space.arrays import Rows, key
from deephpo.space.encoding import Encoding
from deephpo.surrogates.parzen import ParzenSurrogate
from deephpo.surrogates.split import Split

CANDIDATES = 64
"""So many samples of the good density compete for each point; more of them would all look alike."""


def tpe(
    encoding: Encoding,
    seed: np.random.SeedSequence,
    *,
    density: Literal["multivariate", "univariate"] = "multivariate",
    initial: int = INITIAL,
) -> AfterDesign:
    """Return the strategy.

    density: one over all parameters, or one for each.  initial: how many successes it needs first.
    """
    design, own = seed.spawn(2)
    search = TreeParzenSearch(encoding, own, multivariate=density == "multivariate")
    return AfterDesign(encoding, design, search, initial)


class TreeParzenSearch:
    """Draws candidates from the density of the good configurations, and takes the one least like the bad.

    seed: of the candidates.  multivariate: one density over all parameters, not one for each.  It must not be
    asked before one trial has succeeded.

    What it asks for depends on the history alone, whatever it did before; so a resumed search need think
    about no ask again.
    """

    def __init__(
        self,
        encoding: Encoding,
        seed: np.random.SeedSequence,
        *,
        multivariate: bool = True,
    ) -> None:
        self._encoding = encoding
        untried, self._seed = seed.spawn(2)
        self._untried = Untried(encoding, np.random.default_rng(untried))
        self._surrogate = ParzenSurrogate(encoding, multivariate=multivariate)
        self._split = Split()
        self._told = 0
        """How many observations the surrogate knows."""
        self._revised = 0
        """And how many revisions of observations."""

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        self._catch_up(history)
        rows = self._pick(q, history)
        if len(rows) < q:
            # All candidates were asked before: of what has no real number, nearly everything was.
            sample = partial(self._encoding.sample, rng=rng_below(self._seed, 1, history.m + len(rows)))
            rows = self._untried.fill_up(rows, q, history, sample)
        return rows

    def frame_of(self, n: int, m: int) -> tuple[int, int]:
        """Return the frame of an ask that knows n results of m points: every ask has its own."""
        return n, m

    def pass_over(self, q: int, history: History) -> None:
        """Do nothing: no ask leaves a trace."""

    def _catch_up(self, history: History) -> None:
        """Learn what was told since the last time, or told again."""
        news = history.news(self._told, self._revised)
        if not len(news):
            return
        self._told, self._revised = history.n, len(history.revisions)
        self._split.learn(history.values, news, history.succeeded)
        good, bad = (history.rows[history.told_places[part]] for part in (self._split.good, self._split.bad))
        self._surrogate.fit(good, bad, np.full(len(bad), self._split.bad_weight))

    def _pick(self, q: int, history: History) -> Rows:
        """Return up to q new rows; fewer only if all candidates for one were asked before."""
        rows: list[Rows] = []
        taken: set[bytes] = set()
        while len(rows) < q:
            drawn = self._surrogate.draw(CANDIDATES, rng_below(self._seed, 0, history.m + len(rows)))
            candidates = history.new(drawn)
            candidates = candidates[[key(row) not in taken for row in candidates]]
            if not len(candidates):
                break
            rows.append(candidates[np.argmin(self._surrogate.score(candidates))])
            taken.add(key(rows[-1]))
        return np.array(rows, dtype=np.float32).reshape(-1, self._encoding.d)
