"""A search on a real training within half an hour, beside the run that DEEP-BO published.

    python benchmarks/kin8nm.py [--minutes 30] [--seeds 3] [--search auto]

For each seed problems/kin8nm_mlp.py is searched through real MPI ranks, 1 master and 2 workers.  Printed are
the lowest validation error (RMSE), the test error of the same epoch, the trials that ended, after how many
minutes DEEP-BO's error was undercut, how much of the time the master was choosing points, and how much of it
the workers trained.

What choosing took is counted from each ask to its answer in the journal.  That is wall time, of a master that
shares its cores with the trainings, and it passes beside them: a worker waits for it only if it is free.

DEEP-BO's run: 30 minutes, from the notebook in its repository (SNU-ADSL, 2020), on a machine of its own; its
space has neither learning rates nor their schedules, and it trained for up to 50 epochs.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mpi_job import search_over_mpi

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Asked, Record, Suggested
from deephpo.storage.run_state import RunState

PROBLEM = Path(__file__).parents[1] / "problems" / "kin8nm_mlp.py"
WORKERS = 2
DEEP_BO_RMSE, DEEP_BO_TRIALS, DEEP_BO_SHARE = 0.0740, 58, 0.37
"""Of its 30 minutes; the share is that of choosing in all of them."""
LINE = "{:<10} {:>8} {:>8} {:>8} {:>10} {:>10} {:>9}"


@dataclass(frozen=True)
class Row:
    """What came of one search."""

    val_rmse: float
    test_rmse: float
    trials: int
    beaten_min: float | None
    """When DEEP-BO's error was undercut, if it was."""
    choosing: float
    """The share of the search's wall time that lay between asks and their answers."""
    busy: float

    def cells(self) -> list[str]:
        """Return the row's texts."""
        beaten = "never" if self.beaten_min is None else f"{self.beaten_min:.1f} min"
        errors = f"{self.val_rmse:.4f}", f"{self.test_rmse:.4f}"
        return [*errors, str(self.trials), beaten, f"{100 * self.choosing:.2f} %", f"{100 * self.busy:.1f} %"]


def choosing_s(records: Iterable[Record]) -> float:
    """Return the seconds between asks and their answers; one ask at a time is open."""
    total_s = asked_s = 0.0
    for record in records:
        if isinstance(record, Asked):
            asked_s = record.time_s
        elif isinstance(record, Suggested):
            total_s += record.time_s - asked_s
    return total_s


def search(seed: int, minutes: float, kind: str, directory: Path) -> Row:
    """Search over MPI for so long, and return what the journal says."""
    options = ("--search", kind, "--seed", str(seed), "--time-limit", f"{60 * minutes:.0f}s")
    records = list(read_journal(search_over_mpi(WORKERS, PROBLEM, directory, *options).journal))
    state = RunState(records)
    best = state.ranked()[0]
    under = [t.ended_s or 0.0 for t in state.ranked() if (t.value or 0.0) < DEEP_BO_RMSE]
    return Row(
        val_rmse=best.metrics["val_rmse"],
        test_rmse=best.metrics["test_rmse"],
        trials=len(state.ranked()),
        beaten_min=min(under) / 60 if under else None,
        choosing=choosing_s(records) / state.now_s,
        busy=state.utilisation(),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--search", default="auto")
    options = parser.parse_args()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"kin8nm, {options.minutes:g} minutes, 1 master and {WORKERS} workers, {options.search}\n")
    print(LINE.format("", "val RMSE", "test", "trials", "beaten", "choosing", "training"))
    deep_bo = f"{DEEP_BO_RMSE:.4f}", "-", str(DEEP_BO_TRIALS), "-", f"{100 * DEEP_BO_SHARE:.0f} %", "-"
    print(LINE.format("DEEP-BO", *deep_bo))
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.seeds):
            row = search(seed, options.minutes, options.search, Path(scratch) / f"seed-{seed}")
            print(LINE.format(f"seed {seed}", *row.cells()), flush=True)


if __name__ == "__main__":
    main()
