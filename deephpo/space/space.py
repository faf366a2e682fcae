"""A search space: parameters, the conditions between them, and what is forbidden."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deephpo.errors import SpaceError, unknown_name
from deephpo.space.conditions import (
    Between,
    Clause,
    Conjunction,
    clause_from_dict,
    clause_to_dict,
    parse_conjunction,
)
from deephpo.space.parameters import NO_DEFAULT, Categorical, Float, Integer, Ordinal, Parameter
from deephpo.space.values import plain
from deephpo.trial import Config, Value

if TYPE_CHECKING:
    from deephpo.space.encoding import Encoding

KINDS: dict[str, type[Parameter]] = {
    "Float": Float,
    "Integer": Integer,
    "Categorical": Categorical,
    "Ordinal": Ordinal,
}

_FORBIDDEN = "Space: forbidden="


@dataclass(frozen=True, init=False)
class Space:
    """The set of configurations that a search may try.

    ``parameters`` are in the user's order, which is also the order of all columns of every table.
    ``forbidden`` is a list of mappings; a configuration that fulfils all entries of one of them is
    never tried: ``Space([...], forbidden=[{"optimizer": "sgd", "batch_size": [8, 16]}])``.

    Raises SpaceError when names repeat, a condition speaks of an unknown parameter or an impossible
    value or can never hold, or conditions form a circle.
    """

    parameters: tuple[Parameter, ...]
    forbidden: tuple[Conjunction, ...]

    def __init__(
        self,
        parameters: Iterable[Parameter],
        *more: object,
        forbidden: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        if more or isinstance(parameters, Parameter) or not isinstance(parameters, Iterable):
            raise SpaceError(
                "Space takes one list: Space([Float('lr', 1e-5, 1e-1, log=True), ...], forbidden=[...])."
            )
        self._settle(tuple(parameters), _parse_forbidden(forbidden))
        self._check_conditions()

    def _settle(self, parameters: tuple[Parameter, ...], forbidden: tuple[Conjunction, ...]) -> None:
        _check_parameters(parameters)
        known = {parameter.name: parameter for parameter in parameters}
        object.__setattr__(self, "parameters", tuple(_settled(p, known) for p in parameters))
        exact = tuple(_exact_clauses(conjunction, known, _FORBIDDEN) for conjunction in forbidden)
        object.__setattr__(self, "forbidden", exact)
        self.order  # noqa: B018  (raises on a circle of conditions)

    def _check_conditions(self) -> None:
        """Refuse what can never hold; a journal written before this was refused can still be read."""
        for parameter in self.parameters:
            for clause in (clause for conjunction in parameter.alternatives for clause in conjunction):
                parent = self.by_name[clause.parameter]
                if not isinstance(clause.allowed, Between) and parent.levels is None:
                    raise SpaceError(
                        f"{_when(parameter)} lists {list(clause.allowed)}, but {parent.name!r} is {parent}, "
                        "which hardly ever has one value exactly; use Between, or give it a step."
                    )
                _check_bounds(clause, parent, _when(parameter))
        for clause in (clause for conjunction in self.forbidden for clause in conjunction):
            _check_bounds(clause, self.by_name[clause.parameter], _FORBIDDEN)

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """The parameters by their names."""
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def order(self) -> tuple[Parameter, ...]:
        """The parameters, each one behind all that its condition speaks of."""
        placed: dict[str, Parameter] = {}
        waiting = list(self.parameters)
        while waiting:
            ready = [p for p in waiting if _parents(p) <= placed.keys()]
            if not ready:
                names = ", ".join(repr(p.name) for p in waiting)
                raise SpaceError(f"Space: the conditions of {names} form a circle; take one of them out.")
            placed |= {p.name: p for p in ready}
            waiting = [p for p in waiting if p.name not in placed]
        return tuple(placed.values())

    @cached_property
    def defaults(self) -> dict[str, Value]:
        """The declared defaults by name."""
        return {p.name: p.default for p in self.parameters if p.default is not NO_DEFAULT}

    def is_active(self, parameter: Parameter, config: Config) -> bool:
        """Return whether the parameter has a meaning beside the values in ``config``."""
        return not parameter.alternatives or any(_holds(c, config) for c in parameter.alternatives)

    def is_forbidden(self, config: Config) -> bool:
        """Return whether ``config``, which may still lack parameters, is a forbidden combination."""
        return any(_holds(conjunction, config) for conjunction in self.forbidden)

    def default_config(self) -> Config | None:
        """Return the configuration of all defaults; None if an active parameter has none.

        Raises SpaceError if it is forbidden.
        """
        chosen: dict[str, Value] = {}
        for parameter in self.order:
            if self.is_active(parameter, chosen):
                if parameter.default is NO_DEFAULT:
                    return None
                chosen[parameter.name] = parameter.default
        return self.complete({})

    def complete(self, config: Config) -> Config:
        """Return ``config`` in the space's order, its missing parameters at their defaults.

        Raises SpaceError, naming the entry, for an unknown or inactive parameter, a value outside of
        its bounds, a missing one without a default, and a forbidden combination.
        """
        if not isinstance(config, Mapping):
            raise SpaceError(f"A configuration is a dict from parameter to value, not {config!r}.")
        for name in config:
            if name not in self.by_name:
                raise SpaceError(unknown_name("parameter", name, self.by_name))
        complete: dict[str, Value] = {}
        for parameter in self.order:
            name = parameter.name
            if not self.is_active(parameter, complete):
                if name in config:
                    raise SpaceError(
                        f"{name!r} has a value, but its condition {parameter.when} does not hold."
                    )
                continue
            value = plain(config.get(name, parameter.default))
            if value is NO_DEFAULT:
                raise SpaceError(f"{name!r} has neither a value nor a default.")
            if not parameter.contains(value):
                raise SpaceError(f"{value!r} is not a value of {name!r}, which is {parameter}.")
            complete[name] = parameter.exact(value)
        if self.is_forbidden(complete):
            raise SpaceError(f"{complete} is a forbidden combination.")
        return {p.name: complete[p.name] for p in self.parameters if p.name in complete}

    def encoding(self) -> Encoding:
        """Return the space compiled to columns of numbers (this loads numpy)."""
        from deephpo.space.encoding import Encoding

        return Encoding(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the space as plain values for JSON."""
        return {
            "parameters": [_parameter_to_dict(p) for p in self.parameters],
            "forbidden": [[clause_to_dict(c) for c in conjunction] for conjunction in self.forbidden],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Space:
        """Return the space that :meth:`to_dict` wrote."""
        space = cls.__new__(cls)
        forbidden = tuple(tuple(clause_from_dict(c) for c in entry) for entry in record["forbidden"])
        space._settle(tuple(_parameter_from_dict(entry) for entry in record["parameters"]), forbidden)
        return space


def as_space(space: Any, where: str) -> Space:
    """Return a Space, a list of parameters, or a ``ConfigurationSpace`` of ConfigSpace, as a Space.

    Raises SpaceError, naming ``where``, for anything else.
    """
    if isinstance(space, Space):
        return space
    if type(space).__name__ == "ConfigurationSpace":
        from deephpo.space.configspace import from_configspace

        return from_configspace(space)
    if isinstance(space, list | tuple):
        return Space(space)
    raise SpaceError(
        f"{where}: space must be a Space, a list of parameters, or a ConfigurationSpace, not {space!r}."
    )


def _parse_forbidden(forbidden: Any) -> tuple[Conjunction, ...]:
    if forbidden is None:
        return ()
    if isinstance(forbidden, Mapping | str) or not isinstance(forbidden, Iterable):
        raise SpaceError(
            "Space: forbidden takes a list of mappings: forbidden=[{'optimizer': 'sgd'}], "
            f"not {forbidden!r}."
        )
    return tuple(parse_conjunction(entry, _FORBIDDEN) for entry in forbidden)


def _when(parameter: Parameter) -> str:
    return f"{type(parameter).__name__} {parameter.name!r}: when="


def _settled(parameter: Parameter, known: Mapping[str, Parameter]) -> Parameter:
    """Return the parameter with the exact values of the others in its condition."""
    alternatives = tuple(_exact_clauses(c, known, _when(parameter)) for c in parameter.alternatives)
    if alternatives == parameter.alternatives:
        return parameter
    settled = copy(parameter)  # the user's own may stand in another space too
    object.__setattr__(settled, "alternatives", alternatives)
    return settled


def _exact_clauses(conjunction: Conjunction, known: Mapping[str, Parameter], where: str) -> Conjunction:
    return tuple(_exact_clause(clause, known, where) for clause in conjunction)


def _exact_clause(clause: Clause, known: Mapping[str, Parameter], where: str) -> Clause:
    """Return the clause with values free of rounding dust, as they stand in a configuration."""
    if clause.parameter not in known:
        sentence = unknown_name("parameter", clause.parameter, known)
        raise SpaceError(f"{where} speaks of an unknown parameter. {sentence}")
    parent = known[clause.parameter]
    if isinstance(clause.allowed, Between):
        if type(parent) is Categorical:
            raise SpaceError(f"{where} takes Between for numbers, but {parent.name!r} is a Categorical.")
        return clause
    for value in clause.allowed:
        if not parent.contains(value):
            raise SpaceError(f"{where} names {value!r}, which is not a value of {parent.name!r}, {parent}.")
    return Clause(clause.parameter, tuple(map(parent.exact, clause.allowed)))


def _check_bounds(clause: Clause, parent: Parameter, where: str) -> None:
    if isinstance(clause.allowed, Between) and not _reaches(parent, clause.allowed):
        raise SpaceError(
            f"{where} can never hold: no value of {parent.name!r}, {parent}, lies in {clause.allowed}; "
            "take other bounds, or list the values."
        )


def _reaches(parent: Parameter, bounds: Between) -> bool:
    """Return whether a value of the parameter lies within the bounds."""
    if isinstance(parent, Categorical):
        return any(Clause(parent.name, bounds).admits(choice) for choice in parent.choices)
    if parent.levels is None:
        return max(parent.low, bounds.low) <= min(parent.high, bounds.high)
    level = bisect_left(range(parent.levels), bounds.low, key=parent.value_at)
    return level < parent.levels and parent.value_at(level) <= bounds.high


def _holds(conjunction: Conjunction, config: Config) -> bool:
    return all(c.parameter in config and c.admits(config[c.parameter]) for c in conjunction)


def _parents(parameter: Parameter) -> set[str]:
    return {clause.parameter for conjunction in parameter.alternatives for clause in conjunction}


def _check_parameters(parameters: tuple[Parameter, ...]) -> None:
    if not parameters:
        raise SpaceError("Space: it needs at least one parameter, such as Float('lr', 1e-5, 1e-1, log=True).")
    seen: set[str] = set()
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise SpaceError(f"Space: {parameter!r} is no parameter; known kinds: {', '.join(KINDS)}.")
        if parameter.name in seen:
            raise SpaceError(f"Space: two parameters have the name {parameter.name!r}; rename one.")
        seen.add(parameter.name)


def _parameter_to_dict(parameter: Parameter) -> dict[str, Any]:
    fields = ("low", "high", "log", "step", "choices")
    record: dict[str, Any] = {"kind": type(parameter).__name__, "name": parameter.name}
    values = {f: getattr(parameter, f, None) for f in fields}
    record |= {f: value for f, value in values.items() if value is not None}
    if not record.get("log"):
        record.pop("log", None)
    if "choices" in record:
        record["choices"] = list(record["choices"])
    if parameter.default is not NO_DEFAULT:
        record["default"] = parameter.default
    if parameter.alternatives:
        record["when"] = [[clause_to_dict(c) for c in conjunction] for conjunction in parameter.alternatives]
    return record


def _parameter_from_dict(record: Mapping[str, Any]) -> Parameter:
    options = {key: value for key, value in record.items() if key not in ("kind", "when")}
    when = [
        {clause.parameter: clause.allowed for clause in map(clause_from_dict, conjunction)}
        for conjunction in record.get("when", ())
    ]
    return KINDS[record["kind"]](**options, when=when or None)
