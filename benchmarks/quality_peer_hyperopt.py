"""Hyperopt's TPE with its defaults, run by its own Python (``quality_peers``).

Hyperopt has no ask and tell; this is what its ``fmin`` does between them.  Points that were asked and not
told stand among the trials as running, and TPE counts them among the bad ones.

Integers are rounded uniform numbers whose bounds lie half a step outside, so that no value is rarer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hyperopt import JOB_STATE_DONE, JOB_STATE_RUNNING, STATUS_OK, Trials, hp, space_eval, tpe
from hyperopt.base import Domain
from quality_peer_script import Task, condition, main

_HALF = 0.499


class HyperoptSearch:
    """Trials in memory, and the algorithm that adds to them."""

    def __init__(self, task: Task) -> None:
        self._space = _space(task.parameters)
        self._domain = Domain(lambda config: 0.0, self._space)
        self._trials = Trials()
        self._rng = np.random.default_rng(task.seed)
        self._asked: dict[int, dict[str, Any]] = {}

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return a new trial, which is a running one from now on."""
        [point] = self._trials.new_trial_ids(1)
        # As fmin draws them.
        seed = int(self._rng.integers(2**31 - 1))
        [document] = tpe.suggest([point], self._domain, self._trials, seed)
        document["state"] = JOB_STATE_RUNNING
        self._insert(document)
        chosen = {label: values[0] for label, values in document["misc"]["vals"].items() if values}
        return point, _flat(space_eval(self._space, chosen))

    def tell(self, point: int, loss: float) -> None:
        """Tell the loss of a trial."""
        document = self._asked.pop(point)
        document["state"] = JOB_STATE_DONE
        document["result"] = {"loss": loss, "status": STATUS_OK}
        self._trials.refresh()

    def _insert(self, document: dict[str, Any]) -> None:
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        # The trials keep a copy.
        self._asked[document["tid"]] = self._trials.trials[-1]


def _space(parameters: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the space: children stand within the choice that switches them on."""
    nested: dict[str, Any] = {}
    for p in parameters:
        if condition(p) is None:
            nested[p["name"]] = _distribution(p, parameters)
    return nested


def _distribution(p: dict[str, Any], parameters: Sequence[dict[str, Any]]) -> Any:
    if p["kind"] == "Categorical":
        return hp.choice(p["name"], [_option(p["name"], value, parameters) for value in p["choices"]])
    low, high = p["low"], p["high"]
    if p["kind"] == "Float":
        if p.get("log"):
            return hp.loguniform(p["name"], math.log(low), math.log(high))
        return hp.uniform(p["name"], low, high)
    low, high = low - _HALF, high + _HALF
    if p.get("log"):
        return hp.qloguniform(p["name"], math.log(low), math.log(high), 1)
    return hp.quniform(p["name"], low, high, 1)


def _option(name: str, value: str, parameters: Sequence[dict[str, Any]]) -> dict[str, Any]:
    children = [p for p in parameters if condition(p) == (name, value)]
    return {"value": value, "children": {p["name"]: _distribution(p, parameters) for p in children}}


def _flat(nested: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            config[name] = value["value"]
            config |= _flat(value["children"])
        else:
            config[name] = value
    return config


if __name__ == "__main__":
    main(HyperoptSearch, "hyperopt")
