"""A forest of regression trees whose leaves learn without a refit.

The trees are scikit-learn's; what is ours is the bookkeeping of their leaves.  A leaf keeps the count, the
sum and the sum of squares of the targets in it, and each tree remembers into which leaf every row fell.  So a
result, a lie, and a result in place of a lie are all the same: one addition in one leaf of each tree.  At a
fit the leaves are counted anew from the present targets, so that nothing drifts; the trees themselves are
renewed in rotation, a few at each fit.

The leaves of extremely randomised trees hold what a trend (``trend.py``) leaves of the targets, and a mean is
the trend's value plus that of the leaves; so it goes on where trees are constant.  Random forests have none:
with it they too often did not look at another category again.

All trees hold all observations, once each: a bootstrap, or a bounded sample, gives a tree its shape and no
more.  What a tree was not grown on tells how far its leaves are off, and so widens their variance where the
bootstrap's own weights leave none.

Mean and variance are those of the mixture of the leaves that a point falls into, by the law of total variance
(F. Hutter, L. Xu, H. Hoos, K. Leyton-Brown, Algorithm runtime prediction, AIJ 206, 2014, section 4.1)::

    mean = E_t[m_t]        var = E_t[v_t] + Var_t[m_t] = E_t[m_t^2 + v_t] - mean^2

with ``m_t`` and ``v_t`` the leaf's mean and variance in tree t.  ``m_t^2 + v_t`` is the leaf's mean
square, so two sums over the trees, of leaf means and of leaf mean squares, are all that a candidate needs.

Letters: ``T`` trees, ``m`` rows, ``n`` observations, ``d`` dimensions, ``c`` candidates, ``L`` leaves of all
trees: node j of tree t has the number ``t * MOST_NODES + j``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deephpo.seeds import rng_below
from deephpo.space.arrays import Rows, Vector
from deephpo.space.encoding import Encoding
from deephpo.surrogates.protocol import ALL, Moment, Places, Which
from deephpo.surrogates.trees import MOST_NODES, MOST_PER_TREE, Kind, Tree
from deephpo.surrogates.trend import Trend

TREES = 32
RENEWAL = 1 / 8
"""All trees are grown anew while the observations grow by this share of their number."""
ROWS_PER_FIT = 8192
"""A fit grows trees from no more rows than this; what is due beyond that is left to the next fits."""
ROWS_PER_POINT = 8
"""So many more for each point that is asked at once."""

_BULK = 16
"""From so many targets at once, all candidates are summed anew rather than corrected one by one."""
_FLOOR = 1e-6

Leaves = NDArray[np.int64]
"""Numbers of leaves, shape (T,) for one row or (T, k) for k of them."""


@dataclass(frozen=True, slots=True)
class _Planting:
    """What a tree is grown from: what was known then, and its number among all trees ever grown."""

    moment: Moment
    number: int


class ForestSurrogate:
    """Random forest ("forest": bootstrap, best splits) or extremely randomised trees ("extra-trees").

    encoding: of the rows that it learns.  seed: every tree ever grown has a seed of its own below it.
    """

    def __init__(
        self, encoding: Encoding, seed: np.random.SeedSequence, kind: Kind = "forest", trees: int = TREES
    ) -> None:
        self.trend = Trend(encoding)
        """What is below all trees; the leaves hold the rest of the targets.  Of a random forest it is 0."""
        self._seed = seed
        self._kind = kind
        self._T = trees
        self._planted = 0
        self._n = 0
        self._owed = 0.0  # how many trees are to be renewed
        self._due: dict[int, _Planting] = {}  # by the tree's place in the forest
        self._trees: list[Tree | None] = [None] * trees
        self._first_leaf = MOST_NODES * np.arange(trees, dtype=np.int64)
        self._m = 0
        self._node_of = np.empty((trees, 64), dtype=np.uint16)  # (T, m)
        self._trend_at = np.empty(64)  # (m,)
        self._left = np.empty(64)  # (m,), of the target; NaN: nothing is known of the row, nor believed
        self.count, self.total, self.square = np.zeros((3, trees * MOST_NODES))  # (L,) each

    def renew(self, now: Moment, q: int) -> None:
        """Settle which trees the next fit grows anew, on what is known now: the oldest ones."""
        due, n = self._T, now.n
        if self._planted:
            self._owed = min(self._T, self._owed + self._T * (n - self._n) / (RENEWAL * n))
            affordable = (ROWS_PER_FIT + ROWS_PER_POINT * q) // min(n, MOST_PER_TREE)
            due = min(math.ceil(self._owed), max(1, affordable))
            self._owed -= due
        for number in range(self._planted, self._planted + due):
            self._due[number % self._T] = _Planting(now, number)
        self._planted += due
        self._n = n

    def fit(self, X: Rows, places: Places, y: Vector) -> None:
        """Grow the trees that are due, and count all targets in the leaves of each."""
        for t, planting in self._due.items():
            self._trees[t] = self._grow(planting, X, places)
            self._node_of[t, : self._m] = self._grown(t).leaves(X[: self._m])
        self._due = {}
        self._meet(X)
        if self._kind == "extra-trees":
            self.trend.fit(X[places], y)
        self._trend_at[: self._m] = self.trend(X)
        self._left[: self._m] = np.nan
        self._left[places] = y - self._trend_at[places]
        self._count_anew()

    def forget(self, place: int) -> None:
        """Forget into which leaves the rows from a place on fell."""
        self._m = min(self._m, place)

    def expect(self, places: Places) -> Vector:
        """Return the trend plus the mean over the trees of the means of the rows' leaves, shape (k,)."""
        left = self.means(self.total)[self._leaves(places)].mean(axis=0)
        return np.asarray(self._trend_at[places] + left)

    def learn(self, X: Rows, places: Places, y: Vector) -> None:
        """Put the targets into the leaves, in place of what was there of these rows."""
        leaves, added, total, square = self.change(X, places, y)
        leaves = leaves.ravel()
        for table, change in ((self.count, added), (self.total, total), (self.square, square)):
            table += np.bincount(leaves, np.tile(change, self._T), len(table))

    def change(self, X: Rows, places: Places, y: Vector) -> tuple[Leaves, Vector, Vector, Vector]:
        """Set the targets of rows, and return what that changes in the tables, which stay as they are.

        Returns the leaves, shape (T, k), and what is to be added there to count, total and square, (k,) each.
        """
        self._meet(X)
        y = y - self._trend_at[places]
        before = self._left[places]
        new = np.isnan(before)
        before[new] = 0.0
        self._left[places] = y
        return self._leaves(places), new.astype(np.float64), y - before, y * y - before * before

    def add(self, leaves: Leaves, added: float, total: float, square: float) -> tuple[Vector, Vector]:
        """Add to one leaf of each tree, shape (T,); returns how that moves their means and mean squares."""
        count = self.count[leaves]
        before = np.maximum(count, 1.0)
        first, second = self.total[leaves] / before, self.square[leaves] / before
        self.count[leaves] = count = count + added
        self.total[leaves] += total
        self.square[leaves] += square
        return self.total[leaves] / count - first, self.square[leaves] / count - second

    def adopt(self, leaves: Leaves, place: int, trend: float, left: float) -> None:
        """Note the row at ``place``, whose leaves, shape (T,), and trend are known, and what it leaves."""
        self._make_room(place + 1)
        self._node_of[:, place] = leaves - self._first_leaf
        self._trend_at[place], self._left[place] = trend, left
        self._m = place + 1

    def posterior(self, candidates: Rows) -> ForestPosterior:
        """Return the belief about the candidates, shape (c, d)."""
        leaves = np.stack([self._grown(t).leaves(candidates) for t in range(self._T)])
        return ForestPosterior(self, leaves + self._first_leaf[:, None], self.trend(candidates))

    def means(self, table: Vector) -> Vector:
        """Return a table's mean in each leaf, shape (L,); 0 where nothing is."""
        return table / np.maximum(self.count, 1.0)

    def _grow(self, planting: _Planting, X: Rows, places: Places) -> Tree:
        rng, moment = rng_below(self._seed, planting.number), planting.moment
        return Tree(self._kind, X, places[: moment.n], moment.values(), rng)

    def _grown(self, t: int) -> Tree:
        tree = self._trees[t]
        if tree is None:
            raise RuntimeError("A forest has no trees before renew() and fit().")
        return tree

    def _meet(self, X: Rows) -> None:
        """Find the leaves of the rows that are new."""
        m = len(X)
        if m > self._m:
            self._make_room(m)
            for t in range(self._T):
                self._node_of[t, self._m : m] = self._grown(t).leaves(X[self._m :])
            self._trend_at[self._m : m] = self.trend(X[self._m :])
            self._left[self._m : m] = np.nan
            self._m = m

    def _make_room(self, m: int) -> None:
        while m > len(self._left):
            self._node_of = np.concatenate([self._node_of, np.empty_like(self._node_of)], axis=1)
            self._trend_at = np.concatenate([self._trend_at, np.empty_like(self._trend_at)])
            self._left = np.concatenate([self._left, np.empty_like(self._left)])

    def _leaves(self, places: Places) -> Leaves:
        return np.asarray(self._node_of.take(places, axis=1) + self._first_leaf[:, None])

    def _count_anew(self) -> None:
        y = self._left[: self._m]
        known = ~np.isnan(y)
        y = np.where(known, y, 0.0)
        tables = self.count, self.total, self.square
        weights = known.astype(np.float64), y, y * y
        for t, first in enumerate(self._first_leaf.tolist()):
            nodes = self._node_of[t, : self._m].astype(np.intp)
            for table, weight in zip(tables, weights, strict=True):
                table[first : first + MOST_NODES] = np.bincount(nodes, weight, MOST_NODES)


class ForestPosterior:
    """Mean and standard deviation of c candidates, kept up while leaves learn.

    leaves: those of each candidate, shape (T, c).  trend: at each candidate, shape (c,).
    """

    def __init__(self, forest: ForestSurrogate, leaves: Leaves, trend: Vector) -> None:
        self._forest = forest
        self._leaves = leaves
        self._trend = trend
        self._T = len(leaves)
        self._index: tuple[Leaves, Places] | None = None
        self._sum_up()

    def belief(self, which: Which = ALL) -> tuple[Vector, Vector]:
        """Return mean and standard deviation of some candidates, shape (k,) each."""
        mean = self._first[which] / self._T
        variance = np.maximum(self._second[which] / self._T - mean * mean, _FLOOR)
        return self._trend[which] + mean, np.sqrt(variance)

    def take(self, index: int, place: int, y: float) -> Which:
        """Let a candidate be the row at ``place``, and add its target to its leaves; NaN adds nothing."""
        leaves = self._leaves[:, index]
        left = y - float(self._trend[index])
        self._forest.adopt(leaves, place, float(self._trend[index]), left)
        if math.isnan(left):
            return np.empty(0, dtype=np.int64)
        return self._change(leaves, 1.0, left, left * left)

    def learn(self, X: Rows, places: Places, y: Vector) -> Which:
        """Put the targets into the leaves, and bring the candidates that share one of them up to date."""
        if len(places) >= _BULK:
            self._forest.learn(X, places, y)
            self._sum_up()
            return ALL
        leaves, *changes = self._forest.change(X, places, y)
        touched = [
            self._change(leaves[:, i], float(added), float(total), float(square))
            for i, (added, total, square) in enumerate(zip(*changes, strict=True))
        ]
        return np.concatenate(touched) if touched else np.empty(0, dtype=np.int64)

    def _sum_up(self) -> None:
        self._first = self._forest.means(self._forest.total)[self._leaves].sum(axis=0)
        self._second = self._forest.means(self._forest.square)[self._leaves].sum(axis=0)

    def _change(self, leaves: Leaves, added: float, total: float, square: float) -> Places:
        """Add to one leaf of each tree, and correct the candidates in them; returns those."""
        first, second = self._forest.add(leaves, added, total, square)
        touched, lengths = self._members(leaves)
        c = len(self._first)
        self._first += np.bincount(touched, np.repeat(first, lengths), c)
        self._second += np.bincount(touched, np.repeat(second, lengths), c)
        # Each once: neighbours share many leaves.
        changed = np.zeros(c, dtype=np.bool_)
        changed[touched] = True
        return np.flatnonzero(changed)

    def _members(self, leaves: Leaves) -> tuple[Places, Places]:
        """Return the candidates in these leaves, one leaf after the other, and how many each has."""
        if self._index is None:
            self._index = self._make_index()
        starts, members = self._index
        begins, ends = starts[leaves], starts[leaves + 1]
        found = [members[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        return np.concatenate(found), ends - begins

    def _make_index(self) -> tuple[Leaves, Places]:
        """Return the index from leaf l to its candidates: members[starts[l]:starts[l + 1]]."""
        lengths = np.bincount(self._leaves.ravel(), minlength=self._T * MOST_NODES)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        # Leaves of tree t precede those of tree t + 1, so sorting within each tree sorts them all.
        nodes = (self._leaves % MOST_NODES).astype(np.uint16)
        return starts, np.argsort(nodes, axis=1, kind="stable").ravel()
