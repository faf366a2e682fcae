"""What a suggestion costs Optuna: run by its own Python, from ``peers.py``.

The sampler is TPESampler with its defaults, fed by define-by-run ask and tell, the study in memory.  The
random observations are those of Optuna's own RandomSampler.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import optuna
from landscape import Landscape
from peer_script import main


class OptunaMaster:
    """A study that is told at random before its TPE sampler takes over."""

    def __init__(self, space: dict[str, Any], flavour: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._parameters = space["parameters"]
        self._objective = Landscape(space)
        self._study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        self._sampler = optuna.samplers.TPESampler(seed=seed)

    def observe(self, n: int) -> None:
        """Tell n random configurations."""
        points = self.begin(n)
        self.tell(points, [self.evaluate(point) for point in points])

    def begin(self, n: int) -> list[optuna.Trial]:
        """Return n random trials, with which the search begins."""
        points = self.ask(n)
        self._study.sampler = self._sampler
        return points

    def ask(self, q: int) -> list[optuna.Trial]:
        """Return q trials whose parameters are suggested, one after the other."""
        return [self._suggest(self._study.ask()) for _ in range(q)]

    def evaluate(self, point: optuna.Trial) -> float:
        """Return the value of a trial's configuration."""
        return self._objective(point.params)

    def tell(self, points: list[optuna.Trial], values: list[float]) -> None:
        """Tell the trials' values."""
        for trial, value in zip(points, values, strict=True):
            self._study.tell(trial, value)

    def key(self, point: optuna.Trial) -> Hashable:
        """Return the configuration of a trial."""
        return tuple(point.params.items())

    def _suggest(self, trial: optuna.Trial) -> optuna.Trial:
        config: dict[str, Any] = {}
        for p in self._parameters:
            if not all(_holds(clause, config) for clause in p.get("when", [[]])[0]):
                continue
            if p["kind"] == "Categorical":
                config[p["name"]] = trial.suggest_categorical(p["name"], p["choices"])
            else:
                suggest = trial.suggest_int if p["kind"] == "Integer" else trial.suggest_float
                config[p["name"]] = suggest(p["name"], p["low"], p["high"], log=p.get("log", False))
        return trial


def _holds(clause: dict[str, Any], config: dict[str, Any]) -> bool:
    value = config[clause["parameter"]]
    return value in clause["values"] if "values" in clause else bool(value >= clause["low"])


if __name__ == "__main__":
    main(OptunaMaster)
