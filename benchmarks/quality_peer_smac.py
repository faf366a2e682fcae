"""SMAC's facade for hyperparameters, run by its own Python (``quality_peers``): its ask and tell.

Its defaults: a Sobol design, then a random forest of log losses with expected improvement.  It is told that
results are deterministic, so each configuration is run once.  Points that were asked and not told stand in
its run history as running.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import Any

from ConfigSpace import Categorical, Configuration, ConfigurationSpace, EqualsCondition, Float, Integer
from quality_peer_script import Task, condition, main
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue


class SmacSearch:
    """A facade and the trials that it gave out."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        scenario = Scenario(
            _space(task),
            deterministic=True,
            # What is running at the end was asked too.
            n_trials=task.results + task.workers,
            seed=task.seed,
            output_directory=tempfile.mkdtemp(),
        )
        self._facade = HyperparameterOptimizationFacade(
            scenario, _never_called, overwrite=True, logging_level=logging.ERROR
        )
        self._asked: list[TrialInfo] = []

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return a new configuration, without what is inactive."""
        self._asked.append(self._facade.ask())
        return len(self._asked) - 1, dict(self._asked[-1].config)

    def tell(self, point: int, loss: float) -> None:
        """Tell the loss of a configuration."""
        self._facade.tell(self._asked[point], TrialValue(cost=loss), save=False)


def _never_called(config: Configuration, seed: int = 0) -> float:
    raise NotImplementedError("What is asked is evaluated elsewhere.")


def _space(task: Task) -> ConfigurationSpace:
    space = ConfigurationSpace(seed=task.seed)
    for p in task.parameters:
        if p["kind"] == "Categorical":
            space.add(Categorical(p["name"], p["choices"]))
        else:
            kind = Integer if p["kind"] == "Integer" else Float
            space.add(kind(p["name"], (p["low"], p["high"]), log=p.get("log", False)))
    for p in task.parameters:
        needs = condition(p)
        if needs is not None:
            space.add(EqualsCondition(space[p["name"]], space[needs[0]], needs[1]))
    return space


if __name__ == "__main__":
    main(SmacSearch, "smac")
