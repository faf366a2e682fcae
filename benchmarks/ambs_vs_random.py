"""Model-based against random search on a real training, over real MPI ranks.

    python benchmarks/ambs_vs_random.py [--trials 60] [--seeds 5] [--problem problems/digits_mlp.py]

For each seed one search of each kind runs with 1 master and 3 workers under mpirun; printed are the best
values, their medians, and how many trials each search needed to reach random search's median best.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from datetime import date
from pathlib import Path
from statistics import median

from mpi_job import search_over_mpi

from deephpo.storage.journal import read_journal
from deephpo.storage.run_state import RunState

SEARCHES = ("random", "ambs")


def run_search(problem: str, search: str, seed: int, trials: int, directory: Path) -> RunState:
    """Run one search over MPI, and return what its journal says."""
    options = ("--search", search, "--trials", str(trials), "--seed", str(seed))
    return RunState(read_journal(search_over_mpi(3, problem, directory, *options).journal))


def trials_to_reach(state: RunState, goal: float) -> int | None:
    """Return how many trials had ended when the goal was reached; None if it never was.

    The goal is to be undercut: this benchmark is for problems that minimize.
    """
    ended = sorted(state.ended, key=lambda trial: trial.ended_s or 0.0)
    return next((k for k, t in enumerate(ended, 1) if t.value is not None and t.value <= goal), None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--problem", default="problems/digits_mlp.py")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.problem}, {options.trials} trials, 1 master and 3 workers under mpirun\n")
    states: dict[str, list[RunState]] = {search: [] for search in SEARCHES}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.seeds):
            for search in SEARCHES:
                directory = Path(scratch) / f"{search}-{seed}"
                states[search].append(run_search(options.problem, search, seed, options.trials, directory))
    best = {s: [state.best.value or 0.0 for state in states[s] if state.best] for s in SEARCHES}
    goal = median(best["random"])
    print(f"{'search':<10}{'median best':>13}   best of each seed")
    for search in SEARCHES:
        each = "  ".join(f"{value:.4f}" for value in best[search])
        print(f"{search:<10}{median(best[search]):>13.4f}   {each}")
    reached = [trials_to_reach(state, goal) for state in states["ambs"]]
    print(f"\ntrials that ambs needed to reach {goal:.4f}: {', '.join(str(r or 'never') for r in reached)}")


if __name__ == "__main__":
    main()
