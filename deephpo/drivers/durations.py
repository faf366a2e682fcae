"""How long a simulated trial takes: ``lognormal:60,0.5`` and its like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deephpo.errors import OptionError, unknown_name

_DRAWS: dict[str, tuple[str, Callable[..., float]]] = {
    "constant": ("seconds", lambda rng, seconds: seconds),
    "uniform": ("low,high", lambda rng, low, high: rng.uniform(low, high)),
    "exponential": ("mean", lambda rng, mean: rng.exponential(mean)),
    "lognormal": (
        "median,sigma",
        lambda rng, median, sigma: median * np.exp(min(sigma * rng.normal(), 700.0)),
    ),
}

DEFAULT = "lognormal:60,0.5"
_SHORTEST_S, _LONGEST_S = 1e-3, 1e9


@dataclass(frozen=True)
class DurationModel:
    """A distribution of trial durations in seconds; the same trial id always takes the same time."""

    spec: str
    draw: Callable[[np.random.Generator], float]
    seed: int

    def __call__(self, trial_id: int) -> float:
        """Return the duration of one trial in seconds."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(2, trial_id)))
        return min(max(_SHORTEST_S, float(self.draw(rng))), _LONGEST_S)


def parse_durations(spec: str, seed: int) -> DurationModel:
    """Return the model for a text such as "lognormal:60,0.5"; raises OptionError for another."""
    name, _, arguments = spec.partition(":")
    if name not in _DRAWS:
        raise OptionError(f"--duration: {unknown_name('distribution', name, _DRAWS)}")
    signature, draw = _DRAWS[name]
    try:
        numbers = [float(number) for number in arguments.split(",")]
    except ValueError:
        numbers = []
    if name == "uniform" and numbers != sorted(numbers):
        raise OptionError(f"--duration: uniform is written uniform:low,high, the lower first, not {spec!r}.")
    if len(numbers) != signature.count(",") + 1 or not all(0 <= number < float("inf") for number in numbers):
        raise OptionError(
            f"--duration: {name} is written {name}:{signature} with numbers from 0 on, not {spec!r}."
        )
    return DurationModel(spec, lambda rng: draw(rng, *numbers), seed)
