"""The best trial of a run, and the network that the problem's file builds for it."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from deephpo.errors import ProblemError, RunDirectoryError
from deephpo.storage.journal import read_journal
from deephpo.storage.records import Begun, Suggested
from deephpo.storage.run_directory import RunDirectory
from deephpo.storage.run_state import RunState
from deephpo.trial import Config, Trial
from deephpo.worker.loading import is_file, load_problem, split_target


@dataclass(frozen=True)
class BestTrial:
    """What a run says of its best trial."""

    target: str
    """The problem, as for ``deephpo search``; a file by its whole path."""
    objective: str
    trial: Trial
    """With its value."""


def best_trial(run: Path) -> BestTrial:
    """Return the best trial so far, also of a run that goes on.

    Raises RunDirectoryError if there is no run, or none of its trials has succeeded.
    """
    directory = RunDirectory(run)
    directory.require()
    records = list(read_journal(directory.journal))
    state = RunState(records)
    if state.best is None or state.declaration is None:
        raise RunDirectoryError(f"No trial in {run} has succeeded yet, so there is no best one.")
    begun = next(record for record in records if isinstance(record, Begun))
    suggested = (trial for record in records if isinstance(record, Suggested) for trial in record.trials)
    trial = next(trial for trial in suggested if trial.id == state.best.id)
    return BestTrial(begun.target, state.declaration.objective, replace(trial, value=state.best.value))


def network_of(target: str, config: Config) -> Any:
    """Return the Keras network that a problem's file builds for a configuration.

    The file has a function ``network(config)`` for it, whose further arguments have defaults.  Raises
    ProblemError if it has none, or if that returns something else.
    """
    load_problem(target)
    place, _ = split_target(target)
    module = sys.modules[Path(place).stem if is_file(place) else place]
    build = getattr(module, "network", None)
    if not callable(build):
        raise ProblemError(
            f"{place} has no function network(config) that returns the Keras network of a configuration; "
            "write one, and call it in run() too."
        )
    try:
        inspect.signature(build).bind(config)
    except TypeError:
        raise ProblemError(
            f"network() of {place} must be callable with the configuration alone, but it is "
            f"network{inspect.signature(build)}; give its other arguments defaults, as in shape=(28, 28, 1)."
        ) from None
    model = build(dict(config))
    if not isinstance(model, keras.Model):
        raise ProblemError(
            f"network(config) of {place} must return a Keras network, not a {type(model).__name__}; let it "
            "return the keras.Model that run() trains."
        )
    return model
