"""The four kinds of hyperparameters, declared with the standard library alone.

Each is a frozen dataclass that checks itself at birth; :mod:`deephpo.space.encoding` turns them into
columns of numbers on rank 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal

from deephpo.errors import SpaceError
from deephpo.space.conditions import ConditionLike, Conjunction, parse_when, same_value
from deephpo.space.values import is_number, plain, why_no_value
from deephpo.trial import Value

MOST_LEVELS = 2**20
"""An encoded value is one float32; more levels than this would not keep a code of their own."""

_SHOWN = 8
"""So many choices of a parameter stand in a message, at the most."""
_DUST = 1e-6
"""So far from a level, in steps, a float may lie that stands for it: 0.1 + 0.2 for 0.3."""


class _Missing(Enum):
    NO_DEFAULT = "no default"

    def __repr__(self) -> str:
        return self.name


NO_DEFAULT: Final = _Missing.NO_DEFAULT
"""Stands where no default was declared; None cannot, for it may be a choice."""

NoDefault = Literal[_Missing.NO_DEFAULT]


@dataclass(frozen=True)
class Float:
    """A real number from ``low`` to ``high``.

    log: uniform in the logarithm.  step: only ``low, low + step, ...`` up to ``high``.
    when: active only under this condition.  default: its value in the default configuration.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: ConditionLike = field(default=None, compare=False)
    default: float | NoDefault = NO_DEFAULT
    alternatives: tuple[Conjunction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self)
        _convert_numbers(self, float)
        _check_bounds(self, positive_above=0.0)
        if self.step is not None:
            _check_step(self)
            _check_levels(self, int(self.levels or 0))
        _finish(self)

    def __str__(self) -> str:
        return f"a Float {_range(self)}"

    @property
    def levels(self) -> int | None:
        """How many values it can take; None if there is no end to them."""
        if self.step is None:
            return None
        return int((_decimal(self.high) - _decimal(self.low)) / _decimal(self.step)) + 1

    def value_at(self, level: int) -> float:
        """Return the value of one level of a stepped parameter, free of rounding dust."""
        return float(_decimal(self.low) + level * _decimal(self.step or 0.0))

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may stand in a configuration, free of rounding dust or not."""
        value = plain(value)
        dust = (self.step or 0.0) * _DUST
        if not is_number(value) or not self.low - dust <= value <= self.high + dust:
            return False
        if self.step is None:
            return True
        position = (float(value) - self.low) / self.step
        near = round(position)
        return math.isclose(position, near, abs_tol=_DUST) and near < int(self.levels or 0)

    def exact(self, value: Any) -> float:
        """Return a value that it contains as an exact float; with a step, the one that the level has."""
        if self.step is None:
            return float(value)
        return self.value_at(round((float(value) - self.low) / self.step))


@dataclass(frozen=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included; options as for Float."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: ConditionLike = field(default=None, compare=False)
    default: int | NoDefault = NO_DEFAULT
    alternatives: tuple[Conjunction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self)
        _convert_numbers(self, int)
        _check_bounds(self, positive_above=0.5)
        if self.step is not None:
            _check_step(self)
        _check_levels(self, self.levels)
        _finish(self)

    def __str__(self) -> str:
        return f"an Integer {_range(self)}"

    @property
    def levels(self) -> int:
        """How many values it can take."""
        return (self.high - self.low) // (self.step or 1) + 1

    def value_at(self, level: int) -> int:
        """Return the value of one level."""
        return self.low + int(level) * (self.step or 1)

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may stand in a configuration."""
        value = plain(value)  # a numpy integer of few bits cannot be compared with every bound
        whole = is_number(value) and value == int(value)
        return whole and self.low <= value <= self.high and (value - self.low) % (self.step or 1) == 0

    def exact(self, value: Any) -> int:
        """Return a value that it contains as an exact int."""
        return int(value)


@dataclass(frozen=True)
class Categorical:
    """One of several values that have no order."""

    name: str
    choices: Sequence[Value]
    when: ConditionLike = field(default=None, compare=False)
    default: Value | NoDefault = NO_DEFAULT
    alternatives: tuple[Conjunction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_choices(self)
        _finish(self)

    def __str__(self) -> str:
        return f"a Categorical of {_listed(self.choices)}"

    @property
    def levels(self) -> int:
        """How many values it can take."""
        return len(self.choices)

    def value_at(self, level: int) -> Value:
        """Return the value of one level."""
        return self.choices[level]

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may stand in a configuration."""
        value = plain(value)
        return not why_no_value(value) and any(same_value(value, choice) for choice in self.choices)

    def exact(self, value: Any) -> Value:
        """Return the choice that is equal to a value that it contains."""
        return next(choice for choice in self.choices if same_value(plain(value), choice))


@dataclass(frozen=True)
class Ordinal(Categorical):
    """One of several values in a meaningful order, such as batch sizes 16, 32, 64."""

    def __str__(self) -> str:
        return f"an Ordinal of {_listed(self.choices)}"


Parameter = Float | Integer | Categorical


def _label(parameter: Parameter) -> str:
    return f"{type(parameter).__name__} {parameter.name!r}"


def _range(parameter: Float | Integer) -> str:
    how = " (log)" if parameter.log else f" (step {parameter.step})" if parameter.step is not None else ""
    return f"from {parameter.low:.12g} to {parameter.high:.12g}{how}"


def _listed(choices: Sequence[Value]) -> str:
    more = [f"... ({len(choices)} choices)"] if len(choices) > _SHOWN else []
    return ", ".join([*map(repr, choices[:_SHOWN]), *more])


def _check_name(parameter: Parameter) -> None:
    object.__setattr__(parameter, "name", plain(parameter.name))
    if not isinstance(parameter.name, str) or not parameter.name.strip():
        kind = type(parameter).__name__
        raise SpaceError(
            f"{kind}: the first argument is the parameter's name, a text, not {parameter.name!r}."
        )


def _convert_numbers(parameter: Float | Integer, kind: type[float] | type[int]) -> None:
    """Make bounds and step exact floats, or exact ints, and log a bool."""
    for name in ("low", "high") if parameter.step is None else ("low", "high", "step"):
        value = getattr(parameter, name)
        if not is_number(value):
            raise SpaceError(f"{_label(parameter)}: {name} must be a finite number, not {value!r}.")
        if kind is int and value != int(value):
            raise SpaceError(
                f"{_label(parameter)}: {name} must be a whole number, not {value!r}; or use Float."
            )
        object.__setattr__(parameter, name, kind(value))
    object.__setattr__(parameter, "log", plain(parameter.log))
    if not isinstance(parameter.log, bool):
        raise SpaceError(f"{_label(parameter)}: log must be True or False, not {parameter.log!r}.")


def _check_bounds(parameter: Float | Integer, positive_above: float) -> None:
    low, high = parameter.low, parameter.high
    if not low < high:
        raise SpaceError(
            f"{_label(parameter)}: low must be below high, but low={low} and high={high}; "
            + ("swap them." if low > high else "a parameter with one value is a constant: leave it out.")
        )
    if isinstance(parameter, Float) and not math.isfinite(high - low):
        raise SpaceError(
            f"{_label(parameter)}: from low={low} to high={high} is farther than a float can hold; "
            "bring them closer together."
        )
    if parameter.log and low <= positive_above:
        least = "above 0" if isinstance(parameter, Float) else "at least 1"
        raise SpaceError(f"{_label(parameter)}: log=True needs low {least}, but low={low}.")


def _decimal(number: float) -> Decimal:
    """Return a float as the decimal that the user wrote."""
    return Decimal(repr(number))


def _check_step(parameter: Float | Integer) -> None:
    exact = _decimal if isinstance(parameter, Float) else int
    step, span = exact(parameter.step or 0), exact(parameter.high) - exact(parameter.low)
    if not 0 < step <= span:
        raise SpaceError(
            f"{_label(parameter)}: step must be above 0 and at most high - low = {span}, not {step}."
        )
    if parameter.log:
        raise SpaceError(
            f"{_label(parameter)}: log and step exclude each other; list the values in an Ordinal instead."
        )


def _check_levels(parameter: Float | Integer, levels: int) -> None:
    if levels > MOST_LEVELS:
        cure = "leave the step out" if isinstance(parameter, Float) else "use Float and round in run()"
        raise SpaceError(
            f"{_label(parameter)}: {levels} values are more than {MOST_LEVELS} and cannot be told apart; "
            f"give it a larger step, or {cure}."
        )


def _check_choices(parameter: Categorical) -> None:
    if isinstance(parameter.choices, str) or not isinstance(parameter.choices, Sequence):
        raise SpaceError(f"{_label(parameter)}: choices must be a list of values, not {parameter.choices!r}.")
    choices = tuple(map(plain, parameter.choices))
    object.__setattr__(parameter, "choices", choices)
    if len(choices) < 2:
        raise SpaceError(f"{_label(parameter)}: it needs at least two choices, but has {list(choices)}.")
    seen: set[tuple[bool, Value]] = set()
    for choice in choices:
        if why := why_no_value(choice):
            raise SpaceError(
                f"{_label(parameter)}: the choice {choice!r} {why}: give it a name and look that up in run()."
            )
        key = isinstance(choice, bool), choice  # True is not 1
        if key in seen:
            raise SpaceError(f"{_label(parameter)}: the choice {choice!r} stands in the list twice.")
        seen.add(key)


def _finish(parameter: Parameter) -> None:
    """Parse the condition, and check the default against the values."""
    object.__setattr__(parameter, "alternatives", parse_when(parameter.when, _label(parameter)))
    if parameter.default is NO_DEFAULT:
        return
    if not parameter.contains(parameter.default):
        raise SpaceError(f"{_label(parameter)}: the default {parameter.default!r} is not one of its values.")
    object.__setattr__(parameter, "default", parameter.exact(parameter.default))
