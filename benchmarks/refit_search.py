"""The reference for the online forest: all trees are grown anew for every single suggestion.

Everything else is as in the model-based search: normal scores of ranks, 32 trees on bootstraps with half of
the features at each split, leaves that hold all observations, 2,000 candidates half of which are neighbours
of the best, a lower confidence bound with 1.96.  For each suggestion one forest is grown on the observations,
gives every pending point its mean as a lie, and a second one is grown on the observations and the lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from deephpo.acquisition import lower_confidence_bound
from deephpo.space.encoding import Encoding
from deephpo.surrogates.targets import normal_scores
from deephpo.trial import Config, Trial

Numbers = NDArray[np.float64]
Rows = NDArray[np.float32]

TREES = 32
CANDIDATES = 2000
PARENTS = 20
_LEAST_VARIANCE = 1e-6


class RefitSearch:
    """Asks one point at a time; ``start`` comes first, and is as long as the model may not speak."""

    def __init__(self, encoding: Encoding, seed: int, start: Sequence[Config]) -> None:
        self._encoding = encoding
        self._rng = np.random.default_rng([seed, 1])
        self._start = list(start)
        self._asked = 0
        self._pending: dict[int, Rows] = {}
        self._rows: list[Rows] = []
        self._values: list[float] = []
        self._tried: set[bytes] = set()

    def ask(self) -> Trial:
        """Return one new trial."""
        row = self._encoding.encode([self._start.pop(0)])[0] if self._start else self._suggest()
        trial = Trial(self._asked, self._encoding.decode(row[None])[0], 0)
        self._asked += 1
        self._pending[trial.id] = row
        self._tried.add(row.tobytes())
        return trial

    def tell(self, trial: Trial, value: float) -> None:
        """Take a result."""
        self._rows.append(self._pending.pop(trial.id))
        self._values.append(value)

    def _suggest(self) -> Rows:
        X, y = np.array(self._rows), normal_scores(np.array(self._values))
        if self._pending:
            pending = np.array(list(self._pending.values()))
            lies, _ = grow_and_predict(X, y, pending, self._rng)
            X, y = np.concatenate([X, pending]), np.concatenate([y, lies])
        candidates = self._candidates()
        bound = lower_confidence_bound(*grow_and_predict(X, y, candidates, self._rng))
        return next((candidates[i] for i in np.argsort(bound) if self._is_new(candidates[i])), candidates[0])

    def _candidates(self) -> Rows:
        best = np.argsort(self._values, kind="stable")[: min(PARENTS, max(1, len(self._values) // 8))]
        parents = np.array(self._rows)[best[np.arange(CANDIDATES // 2) % len(best)]]
        drawn = self._encoding.sample(CANDIDATES - len(parents), self._rng)
        return np.concatenate([self._encoding.mutate(parents, self._rng), drawn])

    def _is_new(self, row: Rows) -> bool:
        return row.tobytes() not in self._tried


def grow_and_predict(X: Rows, y: Numbers, at: Rows, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """Grow a forest on (n, d) and (n,), and return mean and standard deviation at the rows (c, d)."""
    first, second = np.zeros(len(at)), np.zeros(len(at))
    for _ in range(TREES):
        chosen = rng.integers(len(X), size=len(X))
        model = DecisionTreeRegressor(max_features=1 / 2, random_state=int(rng.integers(2**31)))
        tree = model.fit(X[chosen], y[chosen], check_input=False).tree_
        own, theirs = tree.apply(X), tree.apply(at)
        count = np.maximum(np.bincount(own, minlength=tree.node_count), 1)
        first += (np.bincount(own, y, tree.node_count) / count)[theirs]
        second += (np.bincount(own, y * y, tree.node_count) / count)[theirs]
    mean = first / TREES
    return mean, np.sqrt(np.maximum(second / TREES - mean**2, _LEAST_VARIANCE))
