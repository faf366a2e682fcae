"""Real trainings over real MPI: how many epochs a search needs that stops early, to be as good as a full one.

    python benchmarks/early_stopping_training.py [--problem problems/digits_cnn.py] [--trials 40] [--seeds 5]
        [--search auto]

For each seed first a search that trains every trial to its end, then one with the same seed that stops
hopeless trials, until its best is as good, four times as many trials at most.  Prints the epochs that both
trained, all trials counted, and the median of their ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from mpi_job import search_over_mpi

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Reported
from deephpo.storage.run_state import RunState


def search(problem: str, workers: int, seed: int, *options: str) -> tuple[int, RunState]:
    """Return how many epochs a search trained, and how it ended."""
    with tempfile.TemporaryDirectory() as scratch:
        run = search_over_mpi(workers, problem, Path(scratch) / "run", "--seed", str(seed), *options)
        records = list(read_journal(run.journal))
    return sum(isinstance(record, Reported) for record in records), RunState(records)


def best_of(state: RunState) -> float:
    """Return the best value of a search that has one."""
    if state.best is None or state.best.value is None:
        raise SystemExit("No trial has succeeded.")
    return state.best.value


def main() -> None:
    """Print a line a seed, and the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--problem", default="problems/digits_cnn.py")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--stop", default="auto", help="the rule (default: the default)")
    parser.add_argument("--search", default="auto", help="as for `deephpo search --search`")
    options = parser.parse_args()
    ratios = []
    for seed in range(options.seeds):
        run = options.problem, options.workers, seed, "--search", options.search
        full, ended = search(*run, "--trials", str(options.trials), "--stop", "none")
        goal = best_of(ended)
        ends = "--trials", str(4 * options.trials), "--goal", repr(goal)
        spent, stopping = search(*run, *ends, "--stop", options.stop)
        ratios.append(spent / full)
        print(
            f"seed {seed}: {full} epochs to {goal:.4f}, {spent} to {best_of(stopping):.4f} with stopping "
            f"({stopping.done} trials), {100 * ratios[-1]:.0f} %",
            flush=True,
        )
    print(f"median: {100 * statistics.median(ratios):.0f} % of the epochs (asked: 50 %)")


if __name__ == "__main__":
    main()
