"""Optuna's samplers, run by its own Python (``quality_peers``): define-by-run ask and tell, study in memory.

tpe             TPESampler with the defaults of Optuna 5: multivariate, with a constant liar
tpe-univariate  as Optuna 4 had it: one parameter at a time, no liar
gp              GPSampler with its defaults: a Gaussian process, its acquisition refined by gradients

Trials that were asked and not told are running ones to the study, which is how Optuna's samplers know them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import optuna
from quality_peer_script import Task, condition, main

SAMPLERS: dict[str, Callable[[int], Any]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "tpe-univariate": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=False, constant_liar=False
    ),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}


class OptunaSearch:
    """A study with one of the samplers."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._parameters = task.parameters
        self._study = optuna.create_study(sampler=SAMPLERS[task.flavour](task.seed))

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return a trial whose parameters are suggested, one after the other."""
        trial = self._study.ask()
        config: dict[str, Any] = {}
        for p in self._parameters:
            needs = condition(p)
            if needs is not None and config.get(needs[0]) != needs[1]:
                continue
            if p["kind"] == "Categorical":
                config[p["name"]] = trial.suggest_categorical(p["name"], p["choices"])
            else:
                suggest = trial.suggest_int if p["kind"] == "Integer" else trial.suggest_float
                config[p["name"]] = suggest(p["name"], p["low"], p["high"], log=p.get("log", False))
        return trial.number, config

    def tell(self, point: int, loss: float) -> None:
        """Tell the loss of a trial."""
        self._study.tell(point, loss)


if __name__ == "__main__":
    main(OptunaSearch, "optuna")
