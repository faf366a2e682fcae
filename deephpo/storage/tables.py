"""The results as a table: ``results.csv``, one row for each trial that ended, columns in a stable order."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deephpo.problem import Declaration
from deephpo.storage.run_directory import replacing
from deephpo.storage.run_state import TrialEntry
from deephpo.trial import Value, printable


def metric_names(declaration: Declaration, trials: Sequence[TrialEntry]) -> list[str]:
    """Return the names of all metrics: the objective first, the others by the alphabet."""
    names = {name for trial in trials for name in trial.metrics}
    objective = [declaration.objective] if declaration.objective in names else []
    return objective + sorted(names - {declaration.objective})


def write_table(declaration: Declaration, trials: Sequence[TrialEntry], path: Path) -> None:
    """Write the trials that ended; the file appears as a whole."""
    parameters = [p.name for p in declaration.space.parameters]
    metrics = metric_names(declaration, trials)
    header = [
        "id",
        "state",
        "value",
        *(f"p:{name}" for name in parameters),
        *(f"m:{name}" for name in metrics),
    ]
    header += ["started_s", "ended_s", "worker", "ranks", "host", "reason"]
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([printable(name) for name in header])
        writer.writerows(_row(trial, parameters, metrics) for trial in trials)


def _row(trial: TrialEntry, parameters: Sequence[str], metrics: Sequence[str]) -> list[Any]:
    """Return one row; what a trial does not have is an empty cell."""
    return [
        trial.id,
        trial.state,
        trial.value,
        *(_cell(trial.config.get(name, "")) for name in parameters),
        *(trial.metrics.get(name, "") for name in metrics),
        _seconds(trial.started_s),
        _seconds(trial.ended_s),
        trial.worker,
        trial.ranks,
        _cell(trial.host),
        _cell(trial.reason),
    ]


def _cell(value: Value) -> Value:
    return printable(value) if isinstance(value, str) else value


def _seconds(time_s: float | None) -> str:
    return "" if time_s is None else f"{time_s:.3f}"
