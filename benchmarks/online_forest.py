"""Does the forest that learns online search as well as one that is grown anew for every point?

    python benchmarks/online_forest.py [--quick] [--seeds 10] [--workers 32 256] [--json FILE] [--plot FILE]

W asynchronous workers in virtual time: each free worker asks for one point, its result comes back after the
evaluation's own duration, the search ends after so many results (300 with 32 workers, 640 with 256), and
the time of the optimizer is not charged.  Compared are `ambs`, `refit` (``refit_search.py``: all trees grown
anew for every suggestion, lies as rows of data) and random search; the first two begin with the same Sobol
points, seed by seed.

Regret is 0 at the optimum and 1 at a median random configuration; `area` is the mean of its log10 over all
results: lower is better, and it is sensitive at every stage of the search.  Regret counts as 1e-4 at the
least, and for the table as half a step of its errors.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
from known_problems import PROBLEMS, KnownProblem
from refit_search import RefitSearch

from deephpo.search.create import create_search
from deephpo.search.initial import INITIAL
from deephpo.search.search import Search
from deephpo.space.arrays import Vector
from deephpo.trial import Config, Trial

METHODS = ("ambs", "refit", "random")
RESULTS = {32: 300, 256: 640}


class Asked(Protocol):
    """A search that is asked for one point at a time."""

    def ask(self) -> Trial:
        """Return one new trial."""

    def tell(self, trial: Trial, value: float) -> None:
        """Take a result."""


@dataclass(frozen=True)
class Run:
    """One search: the best regret after each result, and the CPU seconds of the optimizer."""

    problem: str
    workers: int
    method: str
    seed: int
    regret: list[float]
    cpu_s: float

    @property
    def area(self) -> float:
        """The mean of log10 of the regret."""
        return float(self.logarithms.mean())

    @property
    def logarithms(self) -> Vector:
        """The log10 of the regret after each result."""
        return np.asarray(np.log10(np.maximum(self.regret, PROBLEMS[self.problem]().least)))


class _OneByOne:
    def __init__(self, search: Search) -> None:
        self._search = search
        self.tell = search.tell

    def ask(self) -> Trial:
        return self._search.ask(1)[0]


def create(method: str, problem: KnownProblem, workers: int, seed: int) -> Asked:
    """Return a search with its start: with W workers W + 9 points are asked before the model may speak."""
    start: list[Config] = []
    if method != "random":
        sobol = create_search("sobol", problem.space, seed=seed)
        start = [dict(trial.config) for trial in sobol.ask(workers + INITIAL - 1)]
    if method == "refit":
        return RefitSearch(problem.space.encoding(), seed, start)
    return _OneByOne(create_search(method, problem.space, seed=seed, start=start))


def run(name: str, workers: int, method: str, seed: int, results: int) -> Run:
    """Run one search in virtual time."""
    problem = PROBLEMS[name]()
    search = create(method, problem, workers, seed)
    running: list[tuple[float, int, Trial]] = []
    now_s, cpu_s = 0.0, 0.0
    values: list[float] = []
    while len(values) < results:
        began = time.process_time()
        if len(running) == workers:
            now_s, _, trial = heapq.heappop(running)
            values.append(problem.evaluate(trial.config))
            search.tell(trial, values[-1])
        trial = search.ask()
        cpu_s += time.process_time() - began
        ends_s = now_s + problem.duration_s(trial.config, np.random.default_rng([seed, trial.id]))
        heapq.heappush(running, (ends_s, trial.id, trial))
    best = np.minimum.accumulate([problem.regret(value) for value in values])
    return Run(name, workers, method, seed, [round(float(b), 7) for b in best], cpu_s)


def print_table(runs: Sequence[Run]) -> None:
    """Print a row for each problem, number of workers and method."""
    print("\n| problem | W | results | search | final regret: median (quartiles) | area | CPU s a search |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (problem, workers), cell in _cells(runs).items():
        for method in METHODS:
            own = [r for r in cell if r.method == method]
            if own:
                low, middle, high = np.quantile([r.regret[-1] for r in own], [0.25, 0.5, 0.75])
                area = np.mean([r.area for r in own])
                cpu_s = np.mean([r.cpu_s for r in own])
                title = f"| {PROBLEMS[problem]().name} | {workers} | {len(own[0].regret):,} | {method} |"
                print(f"{title} {middle:.5f} ({low:.5f}, {high:.5f}) | {area:.3f} | {cpu_s:.1f} |")


def print_differences(runs: Sequence[Run]) -> None:
    """Print how much better or worse ambs is than the others, seed by seed."""
    print("\n| problem | W | difference | area | log10 of the final regret | seeds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (problem, workers), cell in _cells(runs).items():
        found = {(r.method, r.seed): r for r in cell}
        for other in METHODS[1:]:
            seeds = [s for m, s in found if m == "ambs" and (other, s) in found]
            pairs = [(found["ambs", s], found[other, s]) for s in seeds]
            if len(pairs) > 1:
                area = _mean_and_error([a.area - b.area for a, b in pairs])
                final = _mean_and_error([a.logarithms[-1] - b.logarithms[-1] for a, b in pairs])
                title = f"| {PROBLEMS[problem]().name} | {workers} | ambs - {other} |"
                print(f"{title} {area} | {final} | {len(pairs)} |")


def _cells(runs: Sequence[Run]) -> dict[tuple[str, int], list[Run]]:
    cells = dict.fromkeys((r.problem, r.workers) for r in runs)
    return {cell: [r for r in runs if (r.problem, r.workers) == cell] for cell in cells}


def _mean_and_error(differences: list[float]) -> str:
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    return f"{np.mean(differences):+.3f} (standard error {error:.3f})"


def main() -> None:
    """Run all searches side by side, and print the tables."""
    options = _options()
    seeds = 2 if options.quick else options.seeds
    workers = [32] if options.quick else options.workers
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}, {seeds} seeds")
    # Many workers and seeds that are missing if it is interrupted come last.
    jobs = [
        (problem, W, method, seed, RESULTS.get(W, 4 * W))
        for W in sorted(workers)
        for seed in range(options.first_seed, options.first_seed + seeds)
        for problem in options.problems
        for method in options.methods
    ]
    runs = [r for r in _read(options.reuse) if r.method not in options.methods]
    with ProcessPoolExecutor(options.processes) as pool:
        for done in as_completed([pool.submit(run, *job) for job in jobs]):
            runs.append(done.result())
            if options.json:
                options.json.write_text(json.dumps([asdict(r) for r in runs]))
    runs.sort(key=lambda r: (r.problem, r.workers, METHODS.index(r.method), r.seed))
    print_table(runs)
    print_differences(runs)
    if options.plot:
        from online_forest_plot import draw

        draw(runs, METHODS, {name: problem() for name, problem in PROBLEMS.items()}, options.plot)


def _read(path: Path | None) -> list[Run]:
    return [Run(**record) for record in json.loads(path.read_text())] if path else []


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two seeds, 32 workers")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--reuse", type=Path, help="a file of --json: the other methods' runs")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a PNG file; needs matplotlib")
    return parser.parse_args()


if __name__ == "__main__":
    main()
