"""The results as an HDF5 archive, readable by any HDF5 tool.

::

    /                   attributes: problem, objective, direction, deephpo (the version)
    /trials/            one entry a trial: id, state, value, started_s, ended_s, worker, host, reason
    /parameters/NAME    one entry a trial; attributes kind, low, high, log, step
    /choices/NAME       the values of a categorical or ordinal parameter, in their order
    /metrics/NAME       one entry a trial: the last value that it reported or returned
    /curves/            one entry a report: trial, step, time_s, and one dataset for each metric

A number that a trial does not have is NaN, a text "".  Choices are stored as numbers if all of them are, else
as texts.  "/" in a name becomes "_"; a name that is taken then, or means something to HDF5, has more of them
at its end; the attribute ``name`` of such a dataset has it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from deephpo.problem import Declaration
from deephpo.space.parameters import Categorical, Parameter
from deephpo.space.values import is_number
from deephpo.storage.run_directory import replacing
from deephpo.storage.run_state import TrialEntry
from deephpo.storage.tables import metric_names
from deephpo.trial import printable

_UNITS = {"started_s": "seconds since the search began", "ended_s": "seconds since the search began"}
_REAL, _WHOLE, _TEXT = "float64", "int64", "text"
_BLOCK = 10_000
"""So many numbers or texts are written at once, a few milliseconds during which no other thread runs."""


def write_archive(declaration: Declaration, trials: Sequence[TrialEntry], version: str, path: Path) -> None:
    """Write the trials that ended; the file appears as a whole."""
    import h5py

    # HDF5 fills the file in memory: on a full disk it would crash the process at its end, not only fail.
    content = BytesIO()
    with h5py.File(content, "w") as file:
        _fill(file, declaration, trials, version)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _fill(file: Any, declaration: Declaration, trials: Sequence[TrialEntry], version: str) -> None:
    file.attrs["problem"] = printable(declaration.name)
    file.attrs["objective"] = printable(declaration.objective)
    file.attrs["direction"] = declaration.direction
    file.attrs["deephpo"] = version
    _write_trials(file.create_group("trials"), trials)
    parameters, choices = file.create_group("parameters"), file.create_group("choices")
    for parameter in declaration.space.parameters:
        _write_parameter(parameters, parameter, trials)
        if isinstance(parameter, Categorical):
            _write(choices, parameter.name, parameter.choices, _type_of(parameter))
    names = metric_names(declaration, trials)
    metrics = file.create_group("metrics")
    for name in names:
        _write(metrics, name, [_number(trial.metrics.get(name)) for trial in trials])
    _write_curves(file.create_group("curves"), trials, names)


def _write_trials(group: Any, trials: Sequence[TrialEntry]) -> None:
    _write(group, "id", [trial.id for trial in trials], _WHOLE)
    _write(group, "worker", [-1 if t.worker is None else t.worker for t in trials], _WHOLE)
    _write(group, "ranks", [trial.ranks for trial in trials], _WHOLE)
    for name in ("value", "started_s", "ended_s"):
        dataset = _write(group, name, [_number(getattr(trial, name)) for trial in trials])
        if name in _UNITS:
            dataset.attrs["unit"] = _UNITS[name]
    for name in ("state", "host", "reason"):
        _write(group, name, [getattr(trial, name) for trial in trials], _TEXT)


def _write_parameter(group: Any, parameter: Parameter, trials: Sequence[TrialEntry]) -> None:
    name, stored = parameter.name, _type_of(parameter)
    if stored == _TEXT:
        dataset = _write(group, name, [trial.config.get(name, "") for trial in trials], _TEXT)
    elif stored == _WHOLE and not parameter.alternatives:  # always active: no NaN is needed
        dataset = _write(group, name, [trial.config[name] for trial in trials], _WHOLE)
    else:
        dataset = _write(group, name, [_number(trial.config.get(name)) for trial in trials])
    dataset.attrs["kind"] = type(parameter).__name__
    if isinstance(parameter, Categorical):
        return
    for attribute in ("low", "high", "step"):
        value = getattr(parameter, attribute)
        if value is not None:
            dataset.attrs[attribute] = value if stored == _WHOLE else float(value)
    dataset.attrs["log"] = parameter.log


def _type_of(parameter: Parameter) -> str:
    """Return the type that holds every value that the parameter may take."""
    values = parameter.choices if isinstance(parameter, Categorical) else (parameter.low, parameter.high)
    if not all(map(is_number, values)):
        return _TEXT
    return _WHOLE if all(map(_is_whole, values)) else _REAL


def _write_curves(group: Any, trials: Sequence[TrialEntry], metrics: Sequence[str]) -> None:
    points = [(trial.id, *point) for trial in trials for point in trial.curve]
    steps = [step for *_, step, _ in points]
    _write(group, "trial", [trial_id for trial_id, *_ in points], _WHOLE)
    _write(group, "step", steps, _WHOLE if all(map(_is_whole, steps)) else _REAL)
    _write(group, "time_s", [time_s for _, time_s, *_ in points])
    group["time_s"].attrs["unit"] = "seconds since the search began"
    reported = {name for *_, values in points for name in values}
    for metric in metrics:
        if metric in reported:
            _write(group, metric, [_number(values.get(metric)) for *_, values in points])


def _write(group: Any, name: str, data: Sequence[Any], stored: str = _REAL) -> Any:
    """Write one dataset under the name, or one that is free."""
    import h5py
    import numpy as np

    free = _free_name(group, name)
    dataset = group.create_dataset(free, len(data), h5py.string_dtype() if stored == _TEXT else stored)
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        texts = [printable(str(value)) for value in block] if stored == _TEXT else None
        dataset[start : start + _BLOCK] = texts or np.asarray(block, stored)
    if free != name:
        dataset.attrs["name"] = printable(name)
    return dataset


def _free_name(group: Any, name: str) -> str:
    name = printable(name).replace("/", "_") or "_"
    while name in group:  # a metric may be called time_s; and "." is the group itself
        name += "_"
    return name


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63
