"""Clauses over parameters: when one is active, and which combinations are forbidden.

A condition is written as a mapping, all of whose entries must hold::

    when={"optimizer": ["sgd"], "layers": Between(low=2)}

or as a list of such mappings, one of which must hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deephpo.errors import SpaceError
from deephpo.space.values import is_number, plain, why_no_value
from deephpo.trial import Value


@dataclass(frozen=True)
class Between:
    """The numbers from ``low`` to ``high``, both included."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        for bound in ("low", "high"):
            value = plain(getattr(self, bound))
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SpaceError(f"Between: {bound} must be a number, not {value!r}.")
            if isinstance(value, int) and not is_number(value):
                raise SpaceError(
                    f"Between: {bound} must be a number that a float can hold, not one of "
                    f"{value.bit_length()} bits; leave out a bound that no value reaches."
                )
            object.__setattr__(self, bound, value)
        if not self.low <= self.high:
            raise SpaceError(f"Between: low must not be above high, but low={self.low} and high={self.high}.")


Allowed = tuple[Value, ...] | Between


@dataclass(frozen=True)
class Clause:
    """One entry of a condition: the parameter is active and has one of the allowed values."""

    parameter: str
    allowed: Allowed

    def admits(self, value: Value) -> bool:
        """Return whether ``value`` fulfils the clause."""
        if isinstance(self.allowed, Between):
            return is_number(value) and self.allowed.low <= value <= self.allowed.high  # type: ignore[operator]
        return any(same_value(value, allowed) for allowed in self.allowed)


Conjunction = tuple[Clause, ...]
"""Clauses that must all hold."""

ConditionLike = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
"""What a user may write after ``when=``."""


def same_value(a: Value, b: Value) -> bool:
    """Return whether two values are equal; True is not 1, as it would be in Python."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def parse_when(when: ConditionLike, where: str) -> tuple[Conjunction, ...]:
    """Return a condition as alternatives, one of which must hold; empty means always active.

    Raises SpaceError, naming ``where``, when it is not a mapping or a list of mappings.
    """
    if when is None:
        return ()
    alternatives = [when] if isinstance(when, Mapping) else when
    if isinstance(alternatives, str) or not isinstance(alternatives, Iterable):
        raise SpaceError(f"{where}: when= takes a mapping such as {{'optimizer': ['sgd']}}, not {when!r}.")
    return tuple(parse_conjunction(alternative, f"{where}: when=") for alternative in alternatives)


def parse_conjunction(mapping: Any, where: str) -> Conjunction:
    """Return the clauses of one mapping from parameter to value, list of values, or Between."""
    if not isinstance(mapping, Mapping) or not mapping:
        raise SpaceError(f"{where} takes a mapping such as {{'optimizer': ['sgd']}}, not {mapping!r}.")
    return tuple(
        Clause(str(plain(name)), _parse_allowed(allowed, where)) for name, allowed in mapping.items()
    )


def _parse_allowed(allowed: Any, where: str) -> Allowed:
    if isinstance(allowed, Between):
        return allowed
    if isinstance(allowed, set | frozenset):
        allowed = sorted(allowed, key=repr)  # the order of a set differs from process to process
    values = tuple(map(plain, allowed if isinstance(allowed, list | tuple) else (allowed,)))
    if not values:
        raise SpaceError(f"{where}: a list of allowed values must not be empty.")
    for value in values:
        if why := why_no_value(value):
            raise SpaceError(f"{where}: {value!r} {why}.")
    return values


def clause_to_dict(clause: Clause) -> dict[str, Any]:
    """Return the clause as plain values for JSON."""
    if isinstance(clause.allowed, Between):
        bounds = {"low": clause.allowed.low, "high": clause.allowed.high}
        return {"parameter": clause.parameter, **{k: v for k, v in bounds.items() if math.isfinite(v)}}
    return {"parameter": clause.parameter, "values": list(clause.allowed)}


def clause_from_dict(record: Mapping[str, Any]) -> Clause:
    """Return the clause that :func:`clause_to_dict` wrote."""
    if "values" in record:
        return Clause(record["parameter"], tuple(record["values"]))
    bounds = Between(record.get("low", -math.inf), record.get("high", math.inf))
    return Clause(record["parameter"], bounds)
