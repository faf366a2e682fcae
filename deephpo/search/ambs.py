"""AMBS, asynchronous model-based search: a surrogate, a lower confidence bound, lies for what is pending.

P. Balaprakash, M. Salim, T. Uram, V. Vishwanath, S. Wild, DeepHyper: asynchronous hyperparameter search for
deep neural networks, HiPC 2018, algorithm 1; lies after D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is
well-suited to parallelize optimization, 2010.  We deviate in three points: the surrogate learns ranks rather
than raw values, half of the candidates are neighbours of the best configurations, and a lie is an update of
leaf statistics, not a refit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deephpo.acquisition import KAPPA, lower_confidence_bound
from deephpo.search.designs import SobolSearch
from deephpo.search.history import History
from deephpo.search.untried import Untried
from deephpo.space.arrays import Rows, Vector, key
from deephpo.space.encoding import Encoding
from deephpo.surrogates.protocol import Posterior, Surrogate
from deephpo.surrogates.targets import normal_scores

Lie = Literal["believer", "min", "mean", "max", "naive"]

INITIAL = 10
"""So many trials must have succeeded before the model is asked."""
CANDIDATES = 2000
"""How many candidates are scored at once, at the least."""
PER_PICK = 8
"""How many candidates there are for each point that is picked from them, at the least."""
PARENTS = 20
"""Half of the candidates are neighbours of the best eighth of the observations, of at most so many."""

_CONSTANT_LIES: dict[str, Callable[[Vector], np.float64]] = {"min": np.min, "mean": np.mean, "max": np.max}


class AsynchronousModelBasedSearch:
    """Picks the candidate with the lowest confidence bound, tells the model a lie for it, picks the next.

    surrogate: learns the told trials.  kappa: weight of the uncertainty.  initial: how many successes the
    model needs first; until then a Sobol design is followed.

    lie: what a pending point is taken for.  "believer" is the model's own mean; "min", "mean" and "max"
    are constants of the told targets; "naive" takes the best q of one model, with no lies at all.
    """

    def __init__(
        self,
        encoding: Encoding,
        rng: np.random.Generator,
        surrogate: Surrogate,
        *,
        kappa: float = KAPPA,
        lie: Lie = "believer",
        initial: int = INITIAL,
    ) -> None:
        self._encoding = encoding
        self._rng = rng
        self._surrogate = surrogate
        self._kappa = kappa
        self._lie = lie
        self._initial = initial
        self._design = SobolSearch(encoding, rng.spawn(1)[0])
        self._untried = Untried(encoding, rng.spawn(1)[0])
        self._generation: _Generation | None = None
        self._learnt = 0

    def propose(self, q: int, history: History) -> Rows:
        """Return q new rows, shape (q, d)."""
        if history.succeeded < self._initial:
            return self._design.propose(q, history)
        picked: list[Rows] = []
        taken: set[bytes] = set()
        while len(picked) < q:
            if self._generation is None or self._learnt != history.n or self._generation.worn_out:
                self._generation = self._renew(q - len(picked), history, picked)
            row = self._generation.pick(history.tried, taken)
            if row is None:
                # All candidates were asked before: of what has no real number, nearly everything was.
                picked.extend(self._last(q - len(picked), history, picked))
                break
            picked.append(row)
            taken.add(key(row))
        return np.array(picked, dtype=np.float32).reshape(-1, self._encoding.d)

    def _renew(self, q: int, history: History, picked: list[Rows]) -> _Generation:
        """Learn what was told since the last time, and score a new set of candidates."""
        targets = normal_scores(history.values)
        if self._learnt != history.n:
            self._surrogate.fit(history.rows, targets)
            self._learnt = history.n
        pending = np.concatenate([history.pending_rows, *(row[None] for row in picked)])
        candidates = self._candidates(max(CANDIDATES, PER_PICK * q), history)
        posterior = self._surrogate.posterior(np.concatenate([pending, candidates]))
        return _Generation(posterior, pending, candidates, targets, self._kappa, self._lie)

    def _candidates(self, c: int, history: History) -> Rows:
        best = np.argsort(history.values, kind="stable")[: min(PARENTS, max(1, history.succeeded // 8))]
        parents = history.rows[best[np.arange(c // 2) % len(best)]]
        rows = [self._encoding.mutate(parents, self._rng), self._encoding.sample(c - len(parents), self._rng)]
        return np.concatenate(rows)

    def _last(self, q: int, history: History, picked: list[Rows]) -> list[Rows]:
        done = set(map(key, picked))
        sample = partial(self._encoding.sample, rng=self._rng)
        left = self._untried.draw(q + len(picked), history, sample)
        return [row for row in left if key(row) not in done][:q]


class _Generation:
    """Candidates scored by one model, from which points are picked until the model has moved."""

    def __init__(
        self,
        posterior: Posterior,
        pending: Rows,
        candidates: Rows,
        targets: Vector,
        kappa: float,
        lie: Lie,
    ) -> None:
        self._posterior = posterior
        self._candidates = candidates
        self._first = len(pending)
        self._kappa = kappa
        self._constant = float(_CONSTANT_LIES[lie](targets)) if lie in _CONSTANT_LIES else None
        self._naive = lie == "naive"
        self._barred = np.zeros(len(pending) + len(candidates))
        self._barred[: self._first] = np.inf
        self._picks = 0
        self._tell_lies(np.arange(self._first))

    @property
    def worn_out(self) -> bool:
        """Whether so many points were picked that fresh candidates are due."""
        return self._picks * PER_PICK >= len(self._candidates)

    def pick(self, tried: set[bytes], taken: set[bytes]) -> Rows | None:
        """Return the most promising candidate that is neither tried nor taken, shape (d,)."""
        bound = lower_confidence_bound(self._posterior.mean, self._posterior.std, self._kappa) + self._barred
        while np.isfinite(bound[index := int(bound.argmin())]):
            self._barred[index] = bound[index] = np.inf
            row: Rows = self._candidates[index - self._first]
            if key(row) not in tried and key(row) not in taken:
                self._picks += 1
                self._tell_lies(np.array([index]))
                return row
        return None

    def _tell_lies(self, indices: NDArray[np.int64]) -> None:
        if self._naive or not len(indices):
            return
        if self._constant is None:
            lies = self._posterior.mean[indices]
        else:
            lies = np.full(len(indices), self._constant)
        self._posterior.condition(indices, lies)
