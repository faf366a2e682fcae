"""What a suggestion costs DeepHyper: run by its own Python, from ``peers.py``.

The search is CBO, the public ``ask`` and ``tell``, in three flavours:

default   every setting as it comes: 10 extremely randomised trees, a mixed genetic algorithm over 10,000
          sampled points for each suggestion, constant liar (one refit for each point asked).
tuned     what makes it fastest while it keeps its constant liar, as we do ours: acq_optimizer="sampling",
          1,000 points scored instead of 10,000, n_jobs=1 (processes cost more than they bring).
qUCBd     the same without lies: one model, and a random kappa for each point asked.  Most points of one ask
          are then the same; only different ones are counted.

Ten trees are DeepHyper's default, and few already.  Its strategy "topk" cannot be measured: in 0.13.2
it returns encoded numbers instead of configurations.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Hashable
from typing import Any

from ConfigSpace import EqualsCondition, GreaterThanCondition
from deephyper.hpo import CBO, HpProblem
from landscape import Landscape
from peer_script import main

_SAMPLING = {"acq_optimizer": "sampling", "acq_optimizer_kwargs": {"n_points": 1000, "n_jobs": 1}}
FLAVOURS: dict[str, dict[str, Any]] = {
    "default": {},
    "tuned": _SAMPLING,
    "qUCBd": {**_SAMPLING, "multi_point_strategy": "qUCBd"},
}
_BLOCK = 5000
"""CBO draws 10,000 random configurations at a time, and gives out those that are new."""


class DeepHyperMaster:
    """A CBO whose first n points are random."""

    def __init__(self, space: dict[str, Any], flavour: str, seed: int) -> None:
        warnings.simplefilter("ignore")
        self._space = space
        self._seed = seed
        self._settings = FLAVOURS[flavour]
        self._objective = Landscape(space)

    def observe(self, n: int) -> None:
        """Ask n random configurations, and tell all of them at once."""
        self._create(n_initial_points=n)
        asked: list[dict[str, Any]] = []
        while len(asked) < n:
            asked += self._search.ask(min(_BLOCK, n - len(asked)))
        self.tell(asked, [self.evaluate(point) for point in asked])

    def begin(self, n: int) -> list[dict[str, Any]]:
        """Return n configurations, with which the search begins; its model speaks from ten results on."""
        self._create()
        return self.ask(n)

    def _create(self, **settings: Any) -> None:
        self._search = CBO(
            problem(self._space),
            random_state=self._seed,
            log_dir=tempfile.mkdtemp(),
            **self._settings,
            **settings,
        )

    def ask(self, q: int) -> list[dict[str, Any]]:
        """Return q configurations."""
        asked: list[dict[str, Any]] = self._search.ask(q)
        return asked

    def evaluate(self, point: dict[str, Any]) -> float:
        """Return the value of a configuration's active part."""
        return self._objective(_active(point))

    def tell(self, points: list[dict[str, Any]], values: list[float]) -> None:
        """Tell the values; CBO maximizes."""
        self._search.tell([(point, -value) for point, value in zip(points, values, strict=True)])

    def key(self, point: dict[str, Any]) -> Hashable:
        """Return the active part of a configuration."""
        return tuple(_active(point).items())


def problem(space: dict[str, Any]) -> HpProblem:
    """Return the space as an HpProblem."""
    declared = HpProblem()
    for p in space["parameters"]:
        if p["kind"] == "Categorical":
            declared.add_hyperparameter(p["choices"], p["name"])
        else:
            bounds = (p["low"], p["high"], "log-uniform" if p.get("log") else "uniform")
            declared.add_hyperparameter(bounds, p["name"])
    parameters = {p["name"]: p for p in space["parameters"]}
    for p in space["parameters"]:
        for clause in p.get("when", [[]])[0]:
            parent = parameters[clause["parameter"]]
            child, above = declared.space[p["name"]], declared.space[clause["parameter"]]
            if "values" in clause:
                declared.add_condition(EqualsCondition(child, above, clause["values"][0]))
            elif clause["low"] > parent["low"]:
                declared.add_condition(GreaterThanCondition(child, above, clause["low"] - 1))
    return declared


def _active(point: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without its inactive parameters, which are NaN."""
    return {name: value for name, value in point.items() if value == value}


if __name__ == "__main__":
    main(DeepHyperMaster)
