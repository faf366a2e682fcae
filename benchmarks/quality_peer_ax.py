"""Ax's client, run by its own Python (``quality_peers``): BoTorch's Gaussian process and acquisition.

Its defaults, but the initial Sobol points may be more than planned: so many workers ask before there are
results.  Points that were asked and not told are running trials, of which its acquisition takes account.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from quality_peer_script import Task, condition, main


class AxSearch:
    """An experiment in memory."""

    def __init__(self, task: Task) -> None:
        warnings.simplefilter("ignore")
        logging.getLogger("ax").setLevel(logging.ERROR)
        self._client = Client(random_seed=task.seed)
        self._client.configure_experiment([_parameter(p, task.parameters) for p in task.parameters])
        self._client.configure_optimization(objective="-loss")
        self._client.configure_generation_strategy(
            initialization_random_seed=task.seed, allow_exceeding_initialization_budget=True
        )

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return a new trial."""
        [(point, config)] = self._client.get_next_trials(max_trials=1).items()
        return point, config

    def tell(self, point: int, loss: float) -> None:
        """Tell the loss of a trial."""
        self._client.complete_trial(point, raw_data={"loss": loss})


def _parameter(
    p: dict[str, Any], parameters: list[dict[str, Any]]
) -> ChoiceParameterConfig | RangeParameterConfig:
    if p["kind"] == "Categorical":
        children: dict[str, list[str]] = {}
        for other in parameters:
            needs = condition(other)
            if needs is not None and needs[0] == p["name"]:
                children.setdefault(needs[1], []).append(other["name"])
        return ChoiceParameterConfig(
            name=p["name"],
            values=p["choices"],
            parameter_type="str",
            is_ordered=False,
            dependent_parameters=children or None,
        )
    return RangeParameterConfig(
        name=p["name"],
        bounds=(p["low"], p["high"]),
        parameter_type="int" if p["kind"] == "Integer" else "float",
        scaling="log" if p.get("log") else "linear",
    )


if __name__ == "__main__":
    main(AxSearch, "ax-platform")
