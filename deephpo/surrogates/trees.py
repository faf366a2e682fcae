"""One regression tree of a forest: grown by scikit-learn on a bounded sample, and the same if grown again."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

from deephpo.space.arrays import Rows, Vector
from deephpo.surrogates.protocol import Places
from deephpo.surrogates.targets import normal_scores

Kind = Literal["forest", "extra-trees"]

MOST_PER_TREE = 2048
"""A tree is grown on at most so many observations, the best half of them always."""

MOST_NODES = 2 * MOST_PER_TREE
"""No tree has more nodes."""


class Tree:
    """A partition of the space into leaves, which are known by the numbers of their nodes.

    X: all rows.  places, y: the observations that it is grown on and their values, shape (n,); +inf for a
    failure.  Its shape depends on the order of the values alone, and on rng: so it can be grown again at any
    time.
    """

    def __init__(self, kind: Kind, X: Rows, places: Places, y: Vector, rng: np.random.Generator) -> None:
        if len(y) > MOST_PER_TREE:
            chosen = _bounded_sample(y, rng)
            places, y = places[chosen], y[chosen]
        y = normal_scores(y)
        if kind == "forest":
            chosen = rng.integers(len(y), size=len(y))
            places, y = places[chosen], y[chosen]
        seed = int(rng.integers(2**31))
        model = (
            DecisionTreeRegressor(max_features=1 / 2, random_state=seed)
            if kind == "forest"
            else ExtraTreeRegressor(max_features=1.0, random_state=seed)
        )
        self._tree: Any = model.fit(X[places], y, check_input=False).tree_

    def leaves(self, X: Rows) -> NDArray[np.int64]:
        """Return the leaf that each row falls into, shape (k,)."""
        return np.asarray(self._tree.apply(X), dtype=np.int64)


def _bounded_sample(y: Vector, rng: np.random.Generator) -> NDArray[np.int64]:
    half = MOST_PER_TREE // 2
    order = np.argpartition(y, half)
    rest = rng.choice(order[half:], size=MOST_PER_TREE - half, replace=False, shuffle=False)
    return np.concatenate([order[:half], rest])
