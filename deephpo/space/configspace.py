"""Reading a ``ConfigurationSpace`` of the ConfigSpace package as a space of ours."""

from __future__ import annotations

from typing import Any

from deephpo.errors import SpaceError
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal, Parameter
from deephpo.space.space import Space

Alternatives = list[dict[str, Any]]
"""Mappings as ``when=`` takes them; one of them must hold."""


def from_configspace(configuration_space: Any) -> Space:
    """Return the same space in our own parameters; its defaults are not taken over.

    ConfigSpace invents a default for every parameter, so none of them tells what the user meant; a
    starting point of the Problem does.  Raises SpaceError for a kind of parameter, condition or
    forbidden clause that has no counterpart here.
    """
    when: dict[str, Alternatives] = {}
    for condition in configuration_space.conditions:
        child, alternatives = _alternatives(condition)
        before = when.get(child)
        when[child] = alternatives if before is None else _both(before, alternatives)
    parameters = [_parameter(p, when.get(p.name)) for p in dict(configuration_space).values()]
    forbidden = [_forbidden(clause) for clause in configuration_space.forbidden_clauses]
    return Space(parameters, forbidden=forbidden)


def _parameter(p: Any, when: Alternatives | None) -> Parameter:
    kind = type(p).__name__
    if kind == "UniformFloatHyperparameter":
        return Float(p.name, float(p.lower), float(p.upper), log=bool(p.log), when=when)
    if kind == "UniformIntegerHyperparameter":
        return Integer(p.name, int(p.lower), int(p.upper), log=bool(p.log), when=when)
    if kind == "CategoricalHyperparameter":
        return Categorical(p.name, list(p.choices), when=when)
    if kind == "OrdinalHyperparameter":
        return Ordinal(p.name, list(p.sequence), when=when)
    raise SpaceError(
        f"ConfigSpace: {p.name!r} is a {kind}, which has no counterpart here; "
        "known are uniform floats and integers, categoricals and ordinals."
    )


def _alternatives(condition: Any) -> tuple[str, Alternatives]:
    """Return whom a condition switches on, and when."""
    kind = type(condition).__name__
    if kind in ("AndConjunction", "OrConjunction"):
        parts = [_alternatives(part) for part in condition.components]
        alternatives = parts[0][1]
        for _, more in parts[1:]:
            alternatives = _both(alternatives, more) if kind == "AndConjunction" else alternatives + more
        return parts[0][0], alternatives
    return condition.child.name, [{condition.parent.name: _allowed(condition, kind)}]


def _allowed(condition: Any, kind: str) -> Any:
    parent = condition.parent
    if kind == "EqualsCondition":
        return [condition.value]
    if kind == "InCondition":
        return list(condition.values)
    if kind == "NotEqualsCondition" and hasattr(parent, "choices"):
        return [choice for choice in parent.choices if choice != condition.value]
    whole = type(parent).__name__ == "UniformIntegerHyperparameter"
    if kind == "GreaterThanCondition" and whole:
        return Between(low=int(condition.value) + 1)
    if kind == "LessThanCondition" and whole:
        return Between(high=int(condition.value) - 1)
    raise SpaceError(
        f"ConfigSpace: the {kind} of {condition.child.name!r} on {parent.name!r} has no counterpart here; "
        "declare the space with deephpo's own parameters and when=."
    )


def _both(some: Alternatives, others: Alternatives) -> Alternatives:
    """Return the alternatives in which one of each list holds."""
    for one in some:
        for other in others:
            if one.keys() & other.keys():
                raise SpaceError(
                    f"ConfigSpace: two conditions on {(one.keys() & other.keys()).pop()!r} are joined."
                )
    return [{**one, **other} for one in some for other in others]


def _forbidden(clause: Any) -> dict[str, Any]:
    kind = type(clause).__name__
    if kind == "ForbiddenEqualsClause":
        return {clause.hyperparameter.name: [clause.value]}
    if kind == "ForbiddenInClause":
        return {clause.hyperparameter.name: list(clause.values)}
    if kind == "ForbiddenAndConjunction":
        return {name: value for part in clause.components for name, value in _forbidden(part).items()}
    raise SpaceError(
        f"ConfigSpace: a {kind} has no counterpart here; use forbidden= with equal or listed values."
    )
