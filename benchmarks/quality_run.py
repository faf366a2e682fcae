"""One search in virtual time, W workers at once, and what is kept of it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from quality_optimizers import Optimizer, created
from quality_problems import Evaluation, TimedProblem, problem

from deephpo.space.arrays import Vector
from deephpo.trial import Config

LEAST = 1e-4
"""Regret below this counts as this: the optimum is reached."""


@dataclass(frozen=True)
class Setting:
    """How every search of a comparison is run."""

    workers: int
    results: int
    """The search stops after so many."""
    noise: bool = False
    """Whether a result is that of one stored training instead of their mean."""


@dataclass(frozen=True)
class Result:
    """A result at the time at which its training ends."""

    time_s: float
    config: Config
    evaluation: Evaluation


@dataclass(frozen=True)
class Run:
    """What is kept of one search."""

    optimizer: str
    problem: str
    seed: int
    workers: int
    results: int
    noise: bool
    regret: list[float]
    """The regret of the best configuration so far after each result; with noise, of what looks best."""
    cpu_s: float
    """CPU seconds of the optimizer, from its creation to its last ask."""
    repeats: int
    """How many results are those of configurations that had one already."""
    version: str

    @property
    def setting(self) -> Setting:
        """How it was run."""
        return Setting(self.workers, self.results, self.noise)

    def __str__(self) -> str:
        figures = f"area {self.area:.3f}, {self.cpu_s:.1f} CPU s"
        return f"{self.optimizer}, {self.problem}, seed {self.seed}: {figures}"

    @property
    def logarithms(self) -> Vector:
        """The log10 of the regret after each result."""
        return np.asarray(np.log10(np.maximum(self.regret, LEAST)))

    @property
    def area(self) -> float:
        """The mean of the logarithms: sensitive at every stage of a search."""
        return float(self.logarithms.mean())


def simulate(
    optimizer: Optimizer, timed: TimedProblem, workers: int, rng: np.random.Generator | None
) -> Iterator[Result]:
    """Yield results in the order in which they come; each free worker asks for one point at once.

    The time that the optimizer takes does not pass.  rng: draws one of the stored trainings for each result;
    None for their mean.
    """
    running: list[tuple[float, int, int, Config, Evaluation]] = []
    now_s, started = 0.0, 0
    while True:
        while len(running) < workers:
            point, config = optimizer.ask()
            evaluation = timed.evaluate(config, rng)
            heapq.heappush(running, (now_s + evaluation.duration_s, started, point, config, evaluation))
            started += 1
        now_s, _, point, config, evaluation = heapq.heappop(running)
        optimizer.tell(point, evaluation.loss)
        yield Result(now_s, config, evaluation)


def run(word: str, name: str, seed: int, setting: Setting) -> Run:
    """Run the optimizer of that word on the problem of that name."""
    timed = problem(name)
    rng = np.random.default_rng([seed, 1]) if setting.noise else None
    best = float("inf")
    regret: list[float] = []
    seen: set[tuple[tuple[str, object], ...]] = set()
    with created(word, timed.space, seed, setting.workers, setting.results) as optimizer:
        for result in simulate(optimizer, timed, setting.workers, rng):
            loss = result.evaluation.loss
            lacks = timed.regret(result.evaluation.true_loss)
            regret.append(lacks if loss < best else regret[-1])
            best = min(best, loss)
            seen.add(tuple(sorted(result.config.items())))
            if len(regret) == setting.results:
                break
        cpu_s, version = optimizer.cpu_s, optimizer.version
    return Run(
        optimizer=word,
        problem=name,
        seed=seed,
        workers=setting.workers,
        results=setting.results,
        noise=setting.noise,
        regret=[round(value, 7) for value in regret],
        cpu_s=round(cpu_s, 3),
        repeats=setting.results - len(seen),
        version=version,
    )
