"""A space compiled to columns of numbers: one float32 in [0, 1) for each parameter.

Letters: ``n`` rows, ``d`` parameters.  A row is canonical: every value that a parameter with finitely
many levels can take has exactly one code, and an inactive parameter has the code ``INACTIVE``.  So two
rows are the same configuration if and only if their bytes are the same (``arrays.key``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deephpo.errors import SpaceError
from deephpo.space.arrays import Rows, Vector
from deephpo.space.columns import Codes, Column, LevelColumn, column_of
from deephpo.space.conditions import Conjunction
from deephpo.space.space import Space
from deephpo.trial import Config, Value

INACTIVE = np.float32(-1.0)
"""The code of a parameter that its condition switches off; trees part it from all others in one split."""

MUTATION_SCALES = (0.02, 0.1, 0.3)
"""Standard deviations of a local step, as shares of a parameter's range: polish, search, explore."""

_FAIR = 64
"""Where at least one in so many random configurations is allowed, drawing until one is allowed is cheap."""
_HOPELESS = 4096
"""A space of which less than one in so many is allowed is refused, unless they can be listed."""
_MEASURED = 64
"""So many allowed configurations must be met before one of the two shares is believed."""
_PATIENCE = 16 * _HOPELESS
"""After so many draws for each row that was asked, those met at birth are repeated."""
_LARGEST_DRAW = 2**16
_LISTABLE = 2**18
"""Allowed combinations are listed as long as the table never has more rows than this."""

Axis = Callable[[], list[tuple[float, Value]]]
"""The codes of one parameter and their values, as often as they are asked for."""


@dataclass(frozen=True, eq=False)
class _Listed:
    """All that some forbidden combinations leave of the parameters that these depend on.

    forbidden: the combinations.  columns: of the parameters, those of their conditions included.
    rows: each allowed combination once, the other columns INACTIVE.  bounds: where its share of the draws
    ends, cumulated to 1.  mixing: one factor for each of the columns.
    """

    forbidden: tuple[Conjunction, ...]
    columns: list[int]
    rows: Rows
    bounds: Vector
    mixing: Vector

    def stand_in(self, points: NDArray[np.float64]) -> Rows:
        """Return an allowed combination for each point, shape (n, len(columns)).

        The same one for the same point; for points drawn uniformly, each one as often as it would be
        among the allowed ones of them.
        """
        # A sum with factors that are large, and no multiples of each other, is uniform modulo one, and
        # parts even points that stand in the middle of their levels.
        lot = (points[:, self.columns] * self.mixing).sum(axis=1) % 1.0
        place = np.searchsorted(self.bounds, lot, side="right").clip(max=len(self.rows) - 1)
        return np.asarray(self.rows[place][:, self.columns])


class Encoding:
    """Sampling, mutating, encoding and decoding of configurations, column by column.

    How forbidden combinations are kept out is settled at birth.  Where a fair share of the space is
    allowed, what is forbidden is drawn again.  Where little is, and the forbidden combinations speak of
    parameters with few levels, what they allow is listed, and stands in for what they forbid; so rows are
    distributed as if they were drawn until they are allowed.

    Raises SpaceError at birth, and never later, when forbidden combinations leave (almost) nothing.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.columns: tuple[Column, ...] = tuple(column_of(p) for p in space.parameters)
        self.d = len(self.columns)
        self._index = {p.name: j for j, p in enumerate(space.parameters)}
        self._order = [self._index[p.name] for p in space.order]
        self.finite = all(column.levels is not None for column in self.columns)
        self._listed: _Listed | None = None
        self._met: Rows = np.empty((0, self.d), dtype=np.float32)
        """Allowed rows that were drawn at birth, if anything is forbidden."""
        if space.forbidden:
            self._settle()

    def _settle(self) -> None:
        """Find out how much is allowed, and list it where that is little and can be listed."""
        self._met, _ = self._draw(_MEASURED, np.random.default_rng(0), most=_MEASURED * _FAIR)
        if len(self._met) == _MEASURED:
            return
        cure = "loosen the forbidden combinations, or express them with when=."
        self._listed = self._list()
        if self._listed is not None and not len(self._listed.rows):
            raise SpaceError(f"Space: every configuration is forbidden; {cure}")
        self._met, drawn = self._draw(_MEASURED, np.random.default_rng(0), most=_MEASURED * _HOPELESS)
        if len(self._met) < _MEASURED:
            raise SpaceError(
                f"Space: of {drawn} random configurations only {len(self._met)} are allowed; {cure}"
            )

    def _list(self) -> _Listed | None:
        """Return what forbidden combinations of parameters with levels leave; None if that is too much."""
        needs: dict[int, set[int]] = {}
        for j in self._order:
            conditions = self.space.parameters[j].alternatives
            needs[j] = {j}.union(*(needs[k] for c in conditions for k in self._columns_of(c)))
        levelled = {j: column for j, column in enumerate(self.columns) if isinstance(column, LevelColumn)}
        endless = {j for j in self._order if not needs[j] <= levelled.keys()}
        forbidden = tuple(c for c in self.space.forbidden if endless.isdisjoint(self._columns_of(c)))
        needed: set[int] = set().union(*(needs[j] for c in forbidden for j in self._columns_of(c)))
        columns = [j for j in self._order if j in needed]
        rows, weights = np.full((1, self.d), INACTIVE, dtype=np.float32), np.ones(1)
        for j in columns:
            if len(rows) * levelled[j].levels > _LISTABLE:
                return None
            rows, weights = self._branch(j, levelled[j], rows, weights)
            allowed = ~self._any_holds([c for c in forbidden if j in self._columns_of(c)], rows)
            rows, weights = rows[allowed], weights[allowed] / weights[allowed].sum()
        mixing = 2.0**10 * (1.0 + np.random.default_rng(0).random(len(columns)))
        return _Listed(forbidden, columns, rows, np.cumsum(weights), mixing) if forbidden else None

    def _branch(self, j: int, column: LevelColumn, rows: Rows, weights: Vector) -> tuple[Rows, Vector]:
        """Return each row with every level of a parameter that is active in it; weights by their shares."""
        active = self._active(j, rows)
        codes = column.axis(None)
        low, high = column.shares(codes)
        branches = np.repeat(rows[active], len(codes), axis=0)
        branches[:, j] = np.tile(codes, int(active.sum()))
        return (
            np.concatenate([rows[~active], branches]),
            np.concatenate([weights[~active], np.outer(weights[active], high - low).ravel()]),
        )

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """Return ``n`` random configurations; repeats are possible."""
        rows, _ = self._draw(n, rng, most=_PATIENCE * max(n, 1))
        if len(rows) < n:
            rows = np.concatenate([rows, rng.choice(self._met, size=n - len(rows))])
        return rows

    def _draw(self, n: int, rng: np.random.Generator, most: int) -> tuple[Rows, int]:
        """Return up to ``n`` random configurations out of at most so many draws, and how many it took."""
        found: list[Rows] = []
        missing, drawn = n, 0
        while (missing or not found) and drawn < most:
            share = (n - missing + 1) / (drawn + 1)
            size = min(max(int(missing / share), 16), _LARGEST_DRAW, most - drawn)
            rows = self.from_unit(rng.random((size, self.d)))
            found.append(rows[self.allowed(rows)][:missing])
            missing -= len(found[-1])
            drawn += size
        return np.concatenate(found), drawn

    def from_unit(self, points: NDArray[np.float64]) -> Rows:
        """Return canonical rows for points of the unit cube, shape (n, d); they may be forbidden.

        Where what is allowed was listed, a forbidden one is replaced, always by the same.
        """
        rows = np.empty(points.shape, dtype=np.float32)
        for j, column in enumerate(self.columns):
            rows[:, j] = column.snap(points[:, j])
        if self._listed is not None:
            forbidden = self._any_holds(self._listed.forbidden, self._mask(rows.copy()))
            places = np.flatnonzero(forbidden)[:, None]
            rows[places, self._listed.columns] = self._listed.stand_in(points[forbidden])
        return self._mask(rows)

    def allowed(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows fulfil no forbidden combination, shape (n,)."""
        return ~self._any_holds(self.space.forbidden, rows)

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Return one allowed neighbour of each row, shape (n, d).

        About one or two active parameters of a row move, by a normal step of one of the
        MUTATION_SCALES or to another category; what the move switches on is drawn at random.
        A neighbour that is forbidden is replaced by the row itself.
        """
        n = len(rows)
        active = rows != INACTIVE
        points = np.where(active, rows, rng.random(rows.shape)).astype(np.float32)
        chosen = rng.random(rows.shape) < 1.5 / np.maximum(active.sum(axis=1, keepdims=True), 1)
        chosen[np.arange(n), np.where(active, rng.random(rows.shape), -1.0).argmax(axis=1)] = True
        scales = rng.choice(MUTATION_SCALES, size=n)
        for j, column in enumerate(self.columns):
            moved = np.flatnonzero(chosen[:, j] & active[:, j])
            points[moved, j] = column.step(points[moved, j], scales[moved], rng)
            points[~active[:, j], j] = column.snap(points[~active[:, j], j].astype(np.float64))
        neighbours = self._mask(points)
        forbidden = ~self.allowed(neighbours)
        neighbours[forbidden] = rows[forbidden]
        return neighbours

    def decode(self, rows: Rows) -> list[dict[str, Value]]:
        """Return the configurations of the rows, active parameters only."""
        decoded = [column.values(rows[:, j]) for j, column in enumerate(self.columns)]
        active = rows != INACTIVE
        names = [p.name for p in self.space.parameters]
        return [{names[j]: decoded[j][i] for j in range(self.d) if active[i, j]} for i in range(len(rows))]

    def encode(self, configs: Sequence[Config]) -> Rows:
        """Return the rows of configurations that the space accepts (``Space.complete``)."""
        rows = np.full((len(configs), self.d), INACTIVE, dtype=np.float32)
        for i, config in enumerate(configs):
            for name, value in config.items():
                j = self._index[name]
                rows[i, j] = self.columns[j].code(value)
        return rows

    def grid(self, levels: int | None = None, rng: np.random.Generator | None = None) -> Iterator[Rows]:
        """Yield all configurations in lexicographic order, each one once, as rows of shape (1, d).

        levels: at most so many values of each parameter, evenly spread, bounds included; one without an
        order keeps all of its values.  None means all of them; of a real number, which has no end of
        them, rng then draws one, anew for each combination of those before it.
        """
        axes = [_axis(self.columns[j], levels, rng) for j in self._order]
        row = np.full((1, self.d), INACTIVE, dtype=np.float32)
        yield from self._walk(axes, row, {})

    def _walk(self, axes: list[Axis], row: Rows, config: dict[str, Value]) -> Iterator[Rows]:
        """Yield all rows that agree with ``config``, whose parameters are the first ones in order."""
        place = self.d - len(axes)
        if not axes:
            yield row.copy()
            return
        parameter, j = self.space.order[place], self._order[place]
        row[0, j] = INACTIVE
        if not self.space.is_active(parameter, config):
            yield from self._walk(axes[1:], row, config)
            return
        for code, value in axes[0]():
            row[0, j] = code
            chosen = {**config, parameter.name: value}
            if not self.space.is_forbidden(chosen):
                yield from self._walk(axes[1:], row, chosen)

    def _mask(self, rows: Rows) -> Rows:
        """Set inactive parameters to INACTIVE, in place, parents before children."""
        for j in self._order:
            if self.space.parameters[j].alternatives:
                rows[~self._active(j, rows), j] = INACTIVE
        return rows

    def _active(self, j: int, rows: Rows) -> NDArray[np.bool_]:
        alternatives = self.space.parameters[j].alternatives
        return self._any_holds(alternatives, rows) if alternatives else np.ones(len(rows), dtype=np.bool_)

    def _any_holds(self, conjunctions: Sequence[Conjunction], rows: Rows) -> NDArray[np.bool_]:
        holds = np.zeros(len(rows), dtype=np.bool_)
        for conjunction in conjunctions:
            holds |= self._holds(conjunction, rows)
        return holds

    def _holds(self, conjunction: Conjunction, rows: Rows) -> NDArray[np.bool_]:
        holds = np.ones(len(rows), dtype=np.bool_)
        for clause in conjunction:
            j = self._index[clause.parameter]
            holds &= (rows[:, j] != INACTIVE) & self.columns[j].admits(clause, rows[:, j])
        return holds

    def _columns_of(self, conjunction: Conjunction) -> list[int]:
        return [self._index[clause.parameter] for clause in conjunction]


def _axis(column: Column, levels: int | None, rng: np.random.Generator | None) -> Axis:
    def pairs(codes: Codes) -> list[tuple[float, Value]]:
        return list(zip(codes.tolist(), column.values(codes), strict=True))

    if levels is None and column.levels is None and rng is not None:
        return lambda: pairs(column.snap(rng.random(1)))
    fixed = pairs(column.axis(levels))
    return lambda: fixed
