"""One parameter as one column of codes in [0, 1): the arithmetic behind the encoding.

A parameter with K levels has K codes, each in the middle of its share of the unit interval (equal
shares, or shares of the logarithm); a real number has its position between the bounds.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deephpo.space.conditions import Between, Clause, same_value
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal, Parameter
from deephpo.trial import Value

Codes = NDArray[np.float32]
"""Codes of one parameter, shape (n,)."""

_BELOW_ONE = np.nextafter(np.float32(1.0), np.float32(0.0))
_NARROW = 100.0
"""From bounds so many times as large as their distance a number's last digits do not hold a whole code."""
_LARGEST_LOG = 2**44
"""Beyond it the logarithms of neighbours run together, and MOST_LEVELS numbers lie so close that the
logarithm is a straight line to the last digit of a code."""


class Column(Protocol):
    """What the encoding asks of one parameter; all arrays have shape (n,)."""

    @property
    def levels(self) -> int | None:
        """How many codes there are; None if there is no end to them."""

    def snap(self, points: NDArray[np.float64]) -> Codes:
        """Return the codes for points drawn uniformly from [0, 1)."""

    def step(self, codes: Codes, scales: NDArray[np.float64], rng: np.random.Generator) -> Codes:
        """Return a neighbour of each code, another one where there is another."""

    def values(self, codes: Codes) -> list[Any]:
        """Return the values of the codes; what stands for INACTIVE has no meaning."""

    def code(self, value: Value) -> float:
        """Return the code of one value."""

    def axis(self, most: int | None) -> Codes:
        """Return at most ``most`` codes, evenly spread, both ends included; all of them without an order."""

    def admits(self, clause: Clause, codes: Codes) -> NDArray[np.bool_]:
        """Return which codes fulfil the clause."""


def column_of(parameter: Parameter) -> Column:
    """Return the column that encodes the parameter."""
    if isinstance(parameter, Float) and parameter.step is None:
        return RealColumn(parameter)
    if isinstance(parameter, Integer) and parameter.log and parameter.high <= _LARGEST_LOG:
        return LogIntegerColumn(parameter)
    return LevelColumn(parameter)


class RealColumn:
    """A real number, linear or logarithmic."""

    levels = None

    def __init__(self, parameter: Float) -> None:
        self._low, self._high, self._log = parameter.low, parameter.high, parameter.log
        bounds = np.array([parameter.low, parameter.high])
        self._start, self._stop = np.log(bounds) if parameter.log else bounds
        largest = max(abs(self._start), abs(self._stop))
        self._narrow = largest / _NARROW > self._stop - self._start

    def snap(self, points: NDArray[np.float64]) -> Codes:
        """Return the points themselves, in single precision."""
        return self._exact(np.minimum(points.astype(np.float32), _BELOW_ONE))

    def step(self, codes: Codes, scales: NDArray[np.float64], rng: np.random.Generator) -> Codes:
        """Return normal steps, cut off at the bounds, which so become candidates themselves."""
        moved = codes + rng.normal(size=len(codes)) * scales
        return self._exact(np.clip(moved, 0.0, _BELOW_ONE).astype(np.float32))

    def _exact(self, codes: Codes) -> Codes:
        """Return the codes that their own values have, which is what is left of them in a configuration."""
        if not self._narrow:
            return codes
        values = np.array(self.values(codes))
        positions = np.log(values) if self._log else values
        codes = (positions - self._start) / (self._stop - self._start) * float(_BELOW_ONE)
        return codes.astype(np.float32)

    def values(self, codes: Codes) -> list[Any]:
        """Return floats from low to high, both of them exactly."""
        span = float(_BELOW_ONE)
        positions = self._start + codes.astype(np.float64) / span * (self._stop - self._start)
        values = np.exp(positions) if self._log else positions
        # The exponential of a logarithm may miss a bound by its last digit.
        values = np.select([codes == 0.0, codes == _BELOW_ONE], [self._low, self._high], values)
        return list(np.clip(values, self._low, self._high).tolist())

    def code(self, value: Value) -> float:
        """Return the position of a number between the bounds."""
        number = float(value)  # type: ignore[arg-type]
        position = np.log(number) if self._log else number
        return float((position - self._start) / (self._stop - self._start) * float(_BELOW_ONE))

    def axis(self, most: int | None) -> Codes:
        """Return ``most`` evenly spread codes."""
        if most is None:
            raise ValueError("A real number has no end of values; say how many of them.")
        return np.linspace(0.0, float(_BELOW_ONE), most, dtype=np.float32)

    def admits(self, clause: Clause, codes: Codes) -> NDArray[np.bool_]:
        """Return which numbers lie in the clause's interval or list."""
        values = np.asarray(self.values(codes))
        if isinstance(clause.allowed, Between):
            return np.asarray((clause.allowed.low <= values) & (values <= clause.allowed.high))
        return np.isin(values, np.array(clause.allowed, dtype=np.float64))


class LevelColumn:
    """Finitely many levels with equal shares: integers, stepped floats, ordinals, categories."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self._count = int(parameter.levels or 0)
        self.levels = self._count
        self._ordered = not isinstance(parameter, Categorical) or isinstance(parameter, Ordinal)
        self._known: dict[tuple[bool, Value], float] = {}

    def _level_of(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        return np.clip((codes * self._count).astype(np.int64), 0, self._count - 1)

    def _codes_of(self, levels: NDArray[np.int64]) -> Codes:
        return ((levels + 0.5) / self._count).astype(np.float32)

    def snap(self, points: NDArray[np.float64]) -> Codes:
        """Return the code of the share that each point falls into."""
        return self._codes_of(self._level_of(points))

    def step(self, codes: Codes, scales: NDArray[np.float64], rng: np.random.Generator) -> Codes:
        """Return another level: a normal step of at least one level, or any other category."""
        levels = self._level_of(codes)
        if not self._ordered:
            return self._codes_of((levels + rng.integers(1, self._count, size=len(codes))) % self._count)
        steps = rng.normal(size=len(codes)) * scales * self._count
        steps = np.where(np.abs(steps) < 1.0, np.copysign(1.0, steps), np.rint(steps)).astype(np.int64)
        steps = np.clip(steps, 1 - self._count, self._count - 1)
        moved = levels + steps
        # A step beyond a bound is mirrored, so that it is a step.
        moved = np.where((moved < 0) | (moved >= self._count), levels - steps, moved)
        return self._codes_of(np.clip(moved, 0, self._count - 1))

    def values(self, codes: Codes) -> list[Any]:
        """Return the values of the levels."""
        return [self.parameter.value_at(level) for level in self._level_of(codes).tolist()]

    def code(self, value: Value) -> float:
        """Return the code of the value's level."""
        known = isinstance(value, bool), value  # True is not 1
        if known not in self._known:
            self._known[known] = float(self._codes_of(np.array([self._level(value)]))[0])
        return self._known[known]

    def _level(self, value: Value) -> int:
        parameter = self.parameter
        if isinstance(parameter, Categorical):
            return next(i for i, choice in enumerate(parameter.choices) if same_value(choice, value))
        if isinstance(parameter, Integer):  # exact beyond 2^53 too
            return (int(value) - parameter.low) // (parameter.step or 1)  # type: ignore[arg-type]
        return round((float(value) - parameter.low) / float(parameter.step or 1))  # type: ignore[arg-type]

    def axis(self, most: int | None) -> Codes:
        """Return all codes, or, of an ordered parameter, evenly spread ones, both ends included."""
        if most is None or self._count <= most or not self._ordered:
            return self._codes_of(np.arange(self._count))
        return self._codes_of(np.unique(self._level_of(np.linspace(0.0, 1.0, most))))

    def admits(self, clause: Clause, codes: Codes) -> NDArray[np.bool_]:
        """Return which levels' values the clause admits."""
        levels, where = np.unique(self._level_of(codes), return_inverse=True)
        table = np.array([clause.admits(self.parameter.value_at(level)) for level in levels.tolist()])
        return np.asarray(table[where], dtype=np.bool_)

    def shares(self, codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the bounds of each level's share of the unit interval."""
        levels = self._level_of(codes)
        return levels / self._count, (levels + 1) / self._count


class LogIntegerColumn(LevelColumn):
    """Whole numbers with shares of the logarithm, from ``low - 1/2`` to ``high + 1/2``."""

    def __init__(self, parameter: Integer) -> None:
        super().__init__(parameter)
        self._low = parameter.low
        self._start = float(np.log(parameter.low - 0.5))
        self._span = float(np.log(parameter.high + 0.5)) - self._start

    def _level_of(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        numbers = np.rint(np.exp(self._start + codes.astype(np.float64) * self._span))
        return np.clip(numbers.astype(np.int64) - self._low, 0, self._count - 1)

    def _codes_of(self, levels: NDArray[np.int64]) -> Codes:
        return ((np.log(levels + self._low) - self._start) / self._span).astype(np.float32)

    def step(self, codes: Codes, scales: NDArray[np.float64], rng: np.random.Generator) -> Codes:
        """Return normal steps in the logarithm, of at least one whole number."""
        levels = self._level_of(codes)
        moved = self._level_of(np.clip(codes + rng.normal(size=len(codes)) * scales, 0.0, 1.0))
        nudge = rng.choice([-1, 1], size=len(codes))
        beside = np.where(
            (levels + nudge < 0) | (levels + nudge >= self._count), levels - nudge, levels + nudge
        )
        return self._codes_of(np.where(moved == levels, beside, moved))

    def shares(self, codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the logarithms of the halves below and above each number lie."""
        numbers = self._level_of(codes) + self._low
        low, high = np.log(numbers - 0.5), np.log(numbers + 0.5)
        return (low - self._start) / self._span, (high - self._start) / self._span
