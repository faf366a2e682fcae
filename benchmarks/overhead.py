"""What a trial costs beside its training: no-op trials through real MPI ranks and warm children.

    python benchmarks/overhead.py [--trials 2000] [--workers 3]

Printed are the median time from a trial's start on the master to its end there (both messages, the child, and
the polling in between), the trials a second, and the master's CPU time for each trial, start-up left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import tempfile
from datetime import date
from pathlib import Path
from statistics import median

from mpi_job import search_over_mpi

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Started
from deephpo.storage.run_directory import RunDirectory

PROBLEM = """
from deephpo import Float, Problem, Space

problem = Problem(Space([Float("x", 0.0, 1.0)]), lambda config: config["x"])
"""


def run_search(workers: int, trials: int, scratch: Path) -> RunDirectory:
    """Run a random search over no-op trials, and return its directory."""
    problem = scratch / "noop.py"
    problem.write_text(PROBLEM)
    options = ("--search", "random", "--seed", "1", "--trials", str(trials))
    return search_over_mpi(workers, problem, scratch / f"run-{workers}-{trials}", *options)


def durations_s(directory: RunDirectory) -> list[float]:
    """Return for each trial the seconds between its start and its end on the master."""
    started: dict[int, float] = {}
    durations = []
    for record in read_journal(directory.journal):
        if isinstance(record, Started):
            started[record.trial_id] = record.time_s
        elif isinstance(record, Ended):
            durations.append(record.time_s - started[record.outcome.trial_id])
    return durations


def master_cpu_s(directory: RunDirectory) -> float:
    """Return the CPU seconds that the master used, as its log has them."""
    found = re.search(r"the master used ([\d.]+) CPU seconds", directory.log.read_text())
    return float(found.group(1)) if found else float("nan")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        few = run_search(options.workers, 100, Path(scratch))
        many = run_search(options.workers, options.trials, Path(scratch))
        durations = durations_s(many)
        cpu_s = (master_cpu_s(many) - master_cpu_s(few)) / (options.trials - 100)
        elapsed_s = max(r.time_s for r in read_journal(many.journal))
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.trials} no-op trials, 1 master and {options.workers} worker(s) under mpirun\n")
    print(f"from start to end     {1000 * median(durations):8.2f} ms (median)")
    print(f"trials a second       {options.trials / elapsed_s:8.0f}")
    print(f"master's CPU a trial  {1000 * cpu_s:8.2f} ms")


if __name__ == "__main__":
    main()
