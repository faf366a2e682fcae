"""An objective for any space: a deterministic function of the configuration, with something to be learnt.

Standard library only: the peers' own Pythons import it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Landscape:
    """A bowl with ripples: each active parameter has a best place of its own, and neighbours interact.

    space: what ``Space.to_dict`` returns.
    """

    def __init__(self, space: Mapping[str, Any]) -> None:
        self._places = {p["name"]: _place(p) for p in space["parameters"]}
        # Multiples of the golden section spread the best places evenly over (0, 1).
        self._best = {name: (k + 1) * _GOLDEN % 1.0 for k, name in enumerate(self._places)}

    def __call__(self, config: Mapping[str, Any]) -> float:
        """Return the value of a configuration that holds its active parameters only; lower is better."""
        total = previous = 0.0
        for k, (name, value) in enumerate(config.items()):
            off = self._places[name](value) - self._best[name]
            total += (off * off + 0.3 * off * previous + 0.02 * (1.0 - math.cos(9.0 * off))) / (1.0 + 0.3 * k)
            previous = off
        return total / (1.0 + 0.1 * len(config))


def _place(parameter: Mapping[str, Any]) -> Any:
    """Return the function from a value of the parameter to its place in [0, 1]."""
    if "choices" in parameter:
        # The best place of a categorical is a fraction; the nearest choice wins.
        last = max(1, len(parameter["choices"]) - 1)
        places = {choice: k / last for k, choice in enumerate(parameter["choices"])}
        return places.__getitem__
    low, high = float(parameter["low"]), float(parameter["high"])
    if parameter.get("log"):
        return lambda value: math.log(value / low) / math.log(high / low)
    return lambda value: (value - low) / (high - low)
