"""The four kinds of hyperparameters, declared with the standard library alone.

Each is a frozen dataclass that checks itself at birth; :mod:`deephpo.space.encoding` turns them into
columns of numbers on rank 0.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from deephpo.errors import SpaceError
from deephpo.space.conditions import ConditionLike, Conjunction, parse_when, same_value
from deephpo.trial import Value

MOST_LEVELS = 2**20
"""An encoded value is one float32; more levels than this would not keep a code of their own."""


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
    default: float | None = None
    alternatives: tuple[Conjunction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_number(self, "low", "high")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        _check_bounds(self, positive_above=0.0)
        if self.step is not None:
            _check_number(self, "step")
            _check_step(self)
        _finish(self)

    @property
    def levels(self) -> int | None:
        """How many values it can take; None if there is no end to them."""
        if self.step is None:
            return None
        return int((Decimal(repr(self.high)) - Decimal(repr(self.low))) / Decimal(repr(float(self.step)))) + 1

    def value_at(self, level: int) -> float:
        """Return the value of one level of a stepped parameter, free of rounding dust."""
        return float(Decimal(repr(self.low)) + level * Decimal(repr(float(self.step or 0.0))))

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may stand in a configuration."""
        if not _is_number(value) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        position = (float(value) - self.low) / self.step
        return math.isclose(position, round(position), abs_tol=1e-6)


@dataclass(frozen=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included; options as for Float."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: ConditionLike = field(default=None, compare=False)
    default: int | None = None
    alternatives: tuple[Conjunction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_number(self, "low", "high")
        for bound in ("low", "high", "step"):
            value = getattr(self, bound)
            if value is not None and (not _is_number(value) or value != int(value)):
                raise SpaceError(
                    f"{_label(self)}: {bound} must be a whole number, not {value!r}; or use Float."
                )
            if value is not None:
                object.__setattr__(self, bound, int(value))
        _check_bounds(self, positive_above=0.5)
        if self.step is not None:
            _check_step(self)
        if self.levels > MOST_LEVELS:
            raise SpaceError(
                f"{_label(self)}: {self.levels} values are more than {MOST_LEVELS} and cannot be told apart; "
                "give it a step, or use Float and round in run()."
            )
        _finish(self)

    @property
    def levels(self) -> int:
        """How many values it can take."""
        return (self.high - self.low) // (self.step or 1) + 1

    def value_at(self, level: int) -> int:
        """Return the value of one level."""
        return self.low + int(level) * (self.step or 1)

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may stand in a configuration."""
        whole = _is_number(value) and value == int(value)
        return whole and self.low <= value <= self.high and (value - self.low) % (self.step or 1) == 0


@dataclass(frozen=True)
class Categorical:
    """One of several values that have no order."""

    name: str
    choices: Sequence[Value]
    when: ConditionLike = field(default=None, compare=False)
    default: Value = None
    alternatives: tuple[Conjunction, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_choices(self)
        _finish(self)

    @property
    def levels(self) -> int:
        """How many values it can take."""
        return len(self.choices)

    def value_at(self, level: int) -> Value:
        """Return the value of one level."""
        return self.choices[level]

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may stand in a configuration."""
        return any(same_value(value, choice) for choice in self.choices)


@dataclass(frozen=True)
class Ordinal(Categorical):
    """One of several values in a meaningful order, such as batch sizes 16, 32, 64."""


Parameter = Float | Integer | Categorical


def _label(parameter: Parameter) -> str:
    return f"{type(parameter).__name__} {parameter.name!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _check_name(parameter: Parameter) -> None:
    if not isinstance(parameter.name, str) or not parameter.name.strip():
        kind = type(parameter).__name__
        raise SpaceError(
            f"{kind}: the first argument is the parameter's name, a text, not {parameter.name!r}."
        )


def _check_number(parameter: Float | Integer, *names: str) -> None:
    for name in names:
        value = getattr(parameter, name)
        if not _is_number(value):
            raise SpaceError(f"{_label(parameter)}: {name} must be a finite number, not {value!r}.")


def _check_bounds(parameter: Float | Integer, positive_above: float) -> None:
    low, high = parameter.low, parameter.high
    if not low < high:
        raise SpaceError(
            f"{_label(parameter)}: low must be below high, but low={low} and high={high}; "
            + ("swap them." if low > high else "a parameter with one value is a constant: leave it out.")
        )
    if parameter.log and low <= positive_above:
        least = "above 0" if isinstance(parameter, Float) else "at least 1"
        raise SpaceError(f"{_label(parameter)}: log=True needs low {least}, but low={low}.")


def _check_step(parameter: Float | Integer) -> None:
    step = parameter.step
    span = parameter.high - parameter.low
    if step is None or not 0 < step <= span:
        raise SpaceError(
            f"{_label(parameter)}: step must be above 0 and at most high - low = {span}, not {step}."
        )
    if parameter.log:
        raise SpaceError(
            f"{_label(parameter)}: log and step exclude each other; list the values in an Ordinal instead."
        )


def _check_choices(parameter: Categorical) -> None:
    choices = parameter.choices
    if isinstance(choices, str) or not isinstance(choices, Sequence):
        raise SpaceError(f"{_label(parameter)}: choices must be a list of values, not {choices!r}.")
    object.__setattr__(parameter, "choices", tuple(choices))
    if len(choices) < 2:
        raise SpaceError(f"{_label(parameter)}: it needs at least two choices, but has {list(choices)}.")
    for index, choice in enumerate(choices):
        if not isinstance(choice, str | int | float | bool | None):
            raise SpaceError(
                f"{_label(parameter)}: the choice {choice!r} is a {type(choice).__name__}; a choice is a "
                "str, int, float, bool or None: give it a name and look the name up in run()."
            )
        if any(same_value(choice, other) for other in choices[:index]):
            raise SpaceError(f"{_label(parameter)}: the choice {choice!r} stands in the list twice.")


def _finish(parameter: Parameter) -> None:
    """Parse the condition, and check the default against the values."""
    object.__setattr__(parameter, "alternatives", parse_when(parameter.when, _label(parameter)))
    if parameter.default is not None and not parameter.contains(parameter.default):
        raise SpaceError(f"{_label(parameter)}: the default {parameter.default!r} is not one of its values.")
