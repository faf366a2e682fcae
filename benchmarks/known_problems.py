"""Two problems whose best value is known, without any training: Hartmann's function and a table."""

from __future__ import annotations

import csv
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from deephpo import Categorical, Ordinal, Space
from deephpo.trial import Config

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class KnownProblem:
    """What a search minimizes in virtual time."""

    name: str
    space: Space
    evaluate: Callable[[Config], float]
    duration_s: Callable[[Config, np.random.Generator], float]
    """How long a configuration's evaluation takes; the generator is this evaluation's own."""
    optimum: float
    typical: float
    """The median value of a random configuration: regret is counted in units of what it lacks."""
    least: float = 1e-4
    """Regret below this counts as this: the optimum is reached as exactly as can be told."""

    def regret(self, value: float) -> float:
        """Return 0 for the optimum, 1 for a median random configuration."""
        return (value - self.optimum) / (self.typical - self.optimum)


def hartmann() -> KnownProblem:
    """Return Hartmann's function of six variables; an evaluation takes about a minute."""
    problem = runpy.run_path(str(_HERE.parent / "problems" / "hartmann6.py"))["problem"]
    space, optimum = problem.declaration.space, problem.declaration.optimum
    encoding = space.encoding()
    sampled = encoding.decode(encoding.sample(10_000, np.random.default_rng(0)))
    return KnownProblem(
        "Hartmann-6",
        space,
        problem.run,
        lambda config, rng: float(rng.lognormal(np.log(60.0), 0.5)),
        optimum,
        median(problem.run(config) for config in sampled),
    )


def digits_svm() -> KnownProblem:
    """Return the table of support vector machines; an evaluation takes as long as the training did."""
    with (_HERE / "tables" / "digits_svm.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    rows = {tuple(line[:5]): (float(line[5]), float(line[6])) for line in lines}
    names = header[:5]
    columns = zip(*rows, strict=True)
    parameters = [
        (Categorical if name in ("kernel", "scaling") else Ordinal)(name, list(dict.fromkeys(column)))
        for name, column in zip(names, columns, strict=True)
    ]

    def look_up(config: Config) -> tuple[float, float]:
        return rows[tuple(str(config[name]) for name in names)]

    errors = sorted(error for error, _ in rows.values())
    step = min(b - a for a, b in pairwise(errors) if b - a > 1e-4)
    return KnownProblem(
        "digits SVM table",
        Space(parameters),
        lambda config: look_up(config)[0],
        lambda config, rng: look_up(config)[1],
        errors[0],
        median(errors),
        # Beside the best there is nothing nearer than a step; half of one is as good as none.
        step / 2 / (median(errors) - errors[0]),
    )


PROBLEMS: dict[str, Callable[[], KnownProblem]] = {
    "hartmann6": cache(hartmann),
    "digits_svm": cache(digits_svm),
}
