"""A space compiled to columns of numbers: one float32 in [0, 1) for each parameter.

Letters: ``n`` rows, ``d`` parameters.  A row is canonical: every value that a parameter with finitely
many levels can take has exactly one code, and an inactive parameter has the code ``INACTIVE``.  So two
rows are the same configuration if and only if their bytes are the same (``arrays.key``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from deephpo.errors import SpaceError
from deephpo.space.arrays import Rows
from deephpo.space.columns import Codes, Column, column_of
from deephpo.space.conditions import Conjunction
from deephpo.space.space import Space
from deephpo.trial import Config, Value

INACTIVE = np.float32(-1.0)
"""The code of a parameter that its condition switches off; trees part it from all others in one split."""

MUTATION_SCALES = (0.02, 0.1, 0.3)
"""Standard deviations of a local step, as shares of a parameter's range: polish, search, explore."""

_HOPELESS = 4096
"""A space of which less than one in so many random configurations is allowed is refused."""
_LARGEST_DRAW = 2**16
_COUNTABLE = 2**16
"""A finite space of at most so many combinations is counted through before it is said why it is refused."""

Axis = Callable[[], list[tuple[float, Value]]]
"""The codes of one parameter and their values, as often as they are asked for."""


class Encoding:
    """Sampling, mutating, encoding and decoding of configurations, column by column.

    Raises SpaceError at birth when forbidden combinations leave (almost) nothing.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.columns: tuple[Column, ...] = tuple(column_of(p) for p in space.parameters)
        self.d = len(self.columns)
        self._index = {p.name: j for j, p in enumerate(space.parameters)}
        self._order = [self._index[p.name] for p in space.order]
        self.finite = all(column.levels is not None for column in self.columns)
        self.sample(1, np.random.default_rng(0))

    def sample(self, n: int, rng: np.random.Generator) -> Rows:
        """Return ``n`` random configurations; repeats are possible."""
        found: list[Rows] = []
        missing, drawn = n, 0
        while missing or not found:
            if drawn > _HOPELESS * n:
                raise SpaceError(self._why_hopeless(drawn, n - missing))
            share = (n - missing + 1) / (drawn + 1)
            size = min(max(int(missing / share), 16), _LARGEST_DRAW)
            rows = self.from_unit(rng.random((size, self.d)))
            found.append(rows[self.allowed(rows)][:missing])
            missing -= len(found[-1])
            drawn += size
        return np.concatenate(found)

    def _why_hopeless(self, drawn: int, allowed: int) -> str:
        cure = "loosen the forbidden combinations, or express them with when=."
        countable = self.finite and prod(column.levels or 1 for column in self.columns) <= _COUNTABLE
        if countable and next(self.grid(), None) is None:
            return f"Space: every configuration is forbidden; {cure}"
        return f"Space: of {drawn} random configurations only {allowed} are allowed; {cure}"

    def from_unit(self, points: NDArray[np.float64]) -> Rows:
        """Return canonical rows for points of the unit cube, shape (n, d)."""
        rows = np.empty(points.shape, dtype=np.float32)
        for j, column in enumerate(self.columns):
            rows[:, j] = column.snap(points[:, j])
        return self._mask(rows)

    def allowed(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows fulfil no forbidden combination, shape (n,)."""
        allowed = np.ones(len(rows), dtype=np.bool_)
        for conjunction in self.space.forbidden:
            allowed &= ~self._holds(conjunction, rows)
        return allowed

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
            alternatives = self.space.parameters[j].alternatives
            if alternatives:
                active = np.zeros(len(rows), dtype=np.bool_)
                for conjunction in alternatives:
                    active |= self._holds(conjunction, rows)
                rows[~active, j] = INACTIVE
        return rows

    def _holds(self, conjunction: Conjunction, rows: Rows) -> NDArray[np.bool_]:
        holds = np.ones(len(rows), dtype=np.bool_)
        for clause in conjunction:
            j = self._index[clause.parameter]
            holds &= (rows[:, j] != INACTIVE) & self.columns[j].admits(clause, rows[:, j])
        return holds


def _axis(column: Column, levels: int | None, rng: np.random.Generator | None) -> Axis:
    def pairs(codes: Codes) -> list[tuple[float, Value]]:
        return list(zip(codes.tolist(), column.values(codes), strict=True))

    if levels is None and column.levels is None and rng is not None:
        return lambda: pairs(column.snap(rng.random(1)))
    fixed = pairs(column.axis(levels))
    return lambda: fixed
