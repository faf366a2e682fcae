"""The results as an HDF5 archive, readable by any HDF5 tool.

::

    /                   attributes: problem, objective, direction, deephpo (the version)
    /trials/            one dataset a column, all of the same length: id, state, value, started_s, ...
    /parameters/NAME    one value a trial; attributes kind, low, high, log, step, choices
    /curves/            one entry a report: trial, step, time_s, and one dataset for each metric

Numbers that a trial does not have are NaN; a categorical of a parameter that is inactive is "".
"/" in a name becomes "_"; a name that is taken then, or means something to HDF5, has more of them at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deephpo.problem import Declaration
from deephpo.space.parameters import Categorical, Parameter
from deephpo.storage.run_directory import replacing
from deephpo.storage.run_state import TrialEntry
from deephpo.storage.tables import metric_names

_UNITS = {"started_s": "seconds since the search began", "ended_s": "seconds since the search began"}


def write_archive(declaration: Declaration, trials: Sequence[TrialEntry], version: str, path: Path) -> None:
    """Write the trials that ended; the file appears as a whole."""
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["problem"] = declaration.name
        file.attrs["objective"] = declaration.objective
        file.attrs["direction"] = declaration.direction
        file.attrs["deephpo"] = version
        _write_trials(file.create_group("trials"), trials)
        parameters = file.create_group("parameters")
        for parameter in declaration.space.parameters:
            _write_parameter(parameters, parameter, trials)
        _write_curves(file.create_group("curves"), trials, metric_names(declaration, trials))


def _write_trials(group: Any, trials: Sequence[TrialEntry]) -> None:
    group.create_dataset("id", data=[trial.id for trial in trials], dtype="int64")
    group.create_dataset("worker", data=[-1 if t.worker is None else t.worker for t in trials], dtype="int64")
    for name in ("value", "started_s", "ended_s"):
        dataset = group.create_dataset(name, data=[_number(getattr(trial, name)) for trial in trials])
        if name in _UNITS:
            dataset.attrs["unit"] = _UNITS[name]
    for name in ("state", "host", "reason"):
        _write_texts(group, name, [str(getattr(trial, name)) for trial in trials])


def _write_parameter(group: Any, parameter: Parameter, trials: Sequence[TrialEntry]) -> None:
    name = _free_name(group, parameter.name)
    values = [trial.config.get(parameter.name) for trial in trials]
    if isinstance(parameter, Categorical):
        active = [parameter.name in trial.config for trial in trials]
        texts = [str(value) if on else "" for value, on in zip(values, active, strict=True)]
        dataset = _write_texts(group, name, texts)
        dataset.attrs["choices"] = [str(choice) for choice in parameter.choices]
    else:
        dataset = group.create_dataset(name, data=[_number(value) for value in values])
        dataset.attrs["low"], dataset.attrs["high"] = parameter.low, parameter.high
        dataset.attrs["log"] = parameter.log
        if parameter.step is not None:
            dataset.attrs["step"] = parameter.step
    dataset.attrs["kind"] = type(parameter).__name__


def _write_curves(group: Any, trials: Sequence[TrialEntry], metrics: Sequence[str]) -> None:
    points = [(trial.id, *point) for trial in trials for point in trial.curve]
    group.create_dataset("trial", data=[trial_id for trial_id, *_ in points], dtype="int64")
    group.create_dataset("step", data=[step for *_, step, _ in points], dtype="int64")
    group.create_dataset("time_s", data=[time_s for _, time_s, *_ in points], dtype="float64")
    group["time_s"].attrs["unit"] = "seconds since the search began"
    reported = {name for *_, values in points for name in values}
    for metric in metrics:
        if metric in reported:
            data = [_number(values.get(metric)) for *_, values in points]
            group.create_dataset(_free_name(group, metric), data=data, dtype="float64")


def _free_name(group: Any, name: str) -> str:
    name = name.replace("/", "_")
    while name in group:  # a metric may be called time_s; and "." is the group itself
        name += "_"
    return name


def _write_texts(group: Any, name: str, texts: list[str]) -> Any:
    import h5py

    return group.create_dataset(name, data=texts, dtype=h5py.string_dtype())


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
