"""How long it takes until a search of 100,000 trials goes on, from its journal alone.

    python benchmarks/resume.py [--journal RUN_DIR] [--problem PROBLEM] [--search ambs] [--trials 100000]

Without --journal a run is made first, in virtual time.  Then it is resumed up to the point where its first
trial would go out: nothing is started, and nothing is written to it.  Printed are the parts of that, with the
seconds on the clock and those of the CPU, and the memory that it took at its most.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

BEGAN_S = time.perf_counter()

WORKERS = 1024
PARTS = {
    "reading the journal": "read_journal",
    "the run's state": "RunState",
    "asking the problem": "describe",
    "the search: model, pending trials": "replay",
    "what is owed": "backlog_of",
}
"""What each part is called in ``cli/opening.py``."""


class Parts:
    """Seconds on the clock and of the CPU that were spent in named functions."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}

    def timed(self, part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function, and count its time to the part; what yields its answer is read to its end."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        answer = function(*arguments)
        if isinstance(answer, Iterator):
            answer = list(answer)
        before = self.spent.get(part, (0.0, 0.0))
        self.spent[part] = (
            before[0] + time.perf_counter() - wall_s,
            before[1] + time.process_time() - cpu_s,
        )
        return answer


def make_run(problem: str, search: str, trials: int, directory: Path) -> None:
    """Search in virtual time, and keep the run."""
    program = Path(sys.executable).with_name("deephpo")
    given = {"search": search, "seed": 1, "workers": WORKERS, "trials": trials, "run-dir": directory}
    options = [f"--{name}={value}" for name, value in given.items()]
    subprocess.run([program, "simulate", problem, *options], check=True, stdout=subprocess.DEVNULL)


def resume_run(directory: Path) -> tuple[int, Parts]:
    """Bring the search of a run to where it would go on; returns how many trials it knows, and the parts."""
    from deephpo.cli import opening
    from deephpo.storage.run_directory import RunDirectory

    parts = Parts()
    parts.spent["start of the program"] = time.perf_counter() - BEGAN_S, time.process_time()
    with ExitStack() as stack:
        for part, name in PARTS.items():
            timed = partial(parts.timed, part, getattr(opening, name))
            stack.enter_context(patch.object(opening, name, timed))
        session = opening.resume(RunDirectory(directory), lambda options: options, accept=False)
    session.journal.close()
    return session.state.done, parts


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--journal", type=Path, metavar="RUN_DIR", help="a run that there is")
    parser.add_argument("--problem", default="problems/hartmann6.py")
    parser.add_argument("--search", default="ambs")
    parser.add_argument("--trials", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.journal or Path(scratch) / "run"
        if options.journal is None:
            make_run(options.problem, options.search, options.trials, directory)
            # In a process of its own: its memory and its start are part of the answer.
            subprocess.run([sys.executable, __file__, "--journal", str(directory)], check=True)
            return
        trials, parts = resume_run(directory)
    total = time.perf_counter() - BEGAN_S, time.process_time()
    known = [sum(spent[k] for spent in parts.spent.values()) for k in (0, 1)]
    parts.spent["the rest"] = total[0] - known[0], total[1] - known[1]
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    size_mb = (directory / "journal.jsonl").stat().st_size / 1e6
    print(f"resume of {trials:,} trials, a journal of {size_mb:.0f} MB\n")
    print(f"{'':<36}{'on the clock':>14}{'CPU':>10}")
    for part, (wall_s, cpu_s) in [*parts.spent.items(), ("in all", total)]:
        print(f"{part:<36}{wall_s:>12.2f} s{cpu_s:>8.2f} s")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"\nmemory at its most {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
