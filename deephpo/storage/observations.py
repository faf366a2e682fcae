"""Observations of an earlier run, for a search that begins where it ended: ``--warm-start``."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from deephpo.errors import OptionError, SpaceError
from deephpo.problem import Declaration
from deephpo.space.parameters import NO_DEFAULT, Categorical, Parameter
from deephpo.space.space import Space
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Observation
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState, Value

_SETTLED = tuple(state.value for state in TrialState if state is not TrialState.PREEMPTED)
_PARAMETER = "p:"
"""With this a column begins that holds a parameter."""


class Reading(NamedTuple):
    """What an earlier run knows of a problem, and what of that was left out."""

    observations: tuple[Observation, ...]
    unfit: int
    """How many others do not fit the problem's space."""
    unknown: tuple[str, ...]
    """The parameters that had a value there and that the space does not have."""


def read_observations(path: Path, declaration: Declaration) -> Reading:
    """Return what a run directory or a ``results.csv`` knows of this problem.

    Taken over are the parameters that both spaces share; what is missing is at its default, or drawn.  An
    observation that does not fit the space is left out.  Raises OptionError if nothing can be read there, or
    if it is about another objective.
    """
    parameters = {parameter.name: parameter for parameter in declaration.space.parameters}
    if path.is_dir():
        found = list(_from_journal(path, declaration))
    elif path.is_file():
        found = list(_from_table(path, parameters))
    else:
        raise OptionError(f"--warm-start: {path} is neither a run directory nor a results.csv.")
    rng = random.Random(0)  # the same gaps are filled with the same values at every reading
    fitting = [
        Observation(config, value)
        for known, value in found
        if (config := _completed(declaration.space, known, rng)) is not None
    ]
    unknown = dict.fromkeys(name for known, _ in found for name in known if name not in parameters)
    return Reading(tuple(fitting), len(found) - len(fitting), tuple(unknown))


def _from_journal(path: Path, declaration: Declaration) -> Iterator[tuple[Mapping[str, Value], float | None]]:
    directory = RunDirectory(path)
    directory.require()
    state = RunState(read_journal(directory.journal))
    before = state.declaration
    if before is not None and (before.objective, before.direction) != (
        declaration.objective,
        declaration.direction,
    ):
        raise OptionError(
            f"--warm-start: {path} is to {before.direction} {before.objective!r}, this problem to "
            f"{declaration.direction} {declaration.objective!r}; their values cannot be compared."
        )
    for trial in state.ended:
        if trial.state is not TrialState.PREEMPTED:
            yield trial.config, trial.value


def _from_table(
    path: Path, parameters: Mapping[str, Parameter]
) -> Iterator[tuple[Mapping[str, Value], float | None]]:
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        missing = {"state", "value"} - set(reader.fieldnames or ())
        if missing:
            raise OptionError(f"--warm-start: {path} is no results.csv: it has no column {missing.pop()!r}.")
        for row in reader:
            if row["state"] in _SETTLED:
                has_value = row["state"] == TrialState.COMPLETED or bool(row["value"])
                value = _number(row["value"], f"{path}, line {reader.line_num}") if has_value else None
                yield dict(_parsed_cells(row, parameters)), value


def _number(text: str, where: str) -> float | None:
    """Return the value of a completed trial; None if it is no finite number, as of a trial that failed."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise OptionError(f"--warm-start: {where}: a completed trial has no number, but {text!r}.") from None
    return value if math.isfinite(value) else None


def _parsed_cells(row: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Value]]:
    """Yield the values of a row; those of parameters that are unknown as they are written."""
    for column, text in row.items():
        if column and column.startswith(_PARAMETER) and text:
            name = column.removeprefix(_PARAMETER)
            yield name, _parsed(parameters[name], text) if name in parameters else text


def _parsed(parameter: Parameter, text: str) -> Value:
    """Return the value that was written as this text; what stands for none is kept, and refused later."""
    if isinstance(parameter, Categorical):
        return next((choice for choice in parameter.choices if str(choice) == text), text)
    try:
        return float(text)
    except ValueError:
        return text


def _completed(space: Space, known: Mapping[str, Value], rng: random.Random) -> Mapping[str, Value] | None:
    """Return a configuration of the space that agrees with what is known; None if there is none."""
    config: dict[str, Value] = {}
    for parameter in space.order:
        if space.is_active(parameter, config):
            config[parameter.name] = known.get(parameter.name, _filler(parameter, rng))
    try:
        return space.complete(config)
    except SpaceError:
        return None


def _filler(parameter: Parameter, rng: random.Random) -> Value:
    if parameter.default is not NO_DEFAULT:
        return parameter.default
    if parameter.levels is not None:
        return parameter.value_at(rng.randrange(parameter.levels))
    return rng.uniform(parameter.low, parameter.high)
