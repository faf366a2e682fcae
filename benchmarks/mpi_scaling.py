"""What one master bears with real MPI ranks on this machine, and how long its message loop is kept waiting.

    python benchmarks/mpi_scaling.py [--quick] [--only sleep no-op loop many gap]

sleep   1 + 64 ranks, trials that sleep 1 s, for 2 minutes.  Utilisation is the share of the workers' time
        that went into trials, a worker's time counted from its joining.  In the journal a trial lasts from
        the record of its start on the master to that of its end, both messages included; "inside run()" only
        what the trial itself measured counts.  At the end of the time no trial is started any more that
        would not be done in time; "without the tail" the workers' time ends with the last trial's start.
no-op   trials that do nothing, journal and all: how many a second from when the last worker joined, how long
        one takes from start to end on the master, and the master's CPU for each (start-up left out).
loop    benchmarks/message_rate.py: messages a second, without trials and with a journal that goes nowhere.
many    1 + 127 ranks run 1,000 trials that do nothing, and end with exit code 0.
gap     benchmarks/poll_gap.py: the longest gap between two polls while the model of 100,000 observations is
        at work beside them, its first whole fit included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from subprocess import check_output

from mpi_job import run_over_mpi, search_over_mpi
from overhead import PROBLEM as NO_OP
from overhead import durations_s, master_cpu_s, run_search

from deephpo.storage.journal import read_journal
from deephpo.storage.records import Ended, Record, Started, WorkerJoined
from deephpo.storage.run_directory import RunDirectory

SLEEP = """
import time
from deephpo import Float, Problem, Space

def run(config):
    began = time.monotonic()
    time.sleep(1.0)
    return {"objective": config["x"], "ran_s": time.monotonic() - began}

problem = Problem(Space([Float("x", 0.0, 1.0)]), run)
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    goal: str = ""


@dataclass(frozen=True)
class Use:
    """What became of the workers' time; each is a share of it."""

    journal: float
    """Spent in trials, by the master's records of their starts and ends."""
    without_tail: float
    """The same until the last trial's start."""
    inside_run: float
    """Spent in trials that were done in time, by what they measured themselves."""


def use_of(records: list[Record]) -> Use:
    """Return what became of the workers' time, from the records of one run."""
    joined = {record.worker: record.time_s for record in records if isinstance(record, WorkerJoined)}
    started = {record.trial_id: record.time_s for record in records if isinstance(record, Started)}
    ends = [record for record in records if isinstance(record, Ended)]
    over_s, last_start_s = records[-1].time_s, max(started.values())

    def share(until_s: float) -> float:
        spans = [(started[end.outcome.trial_id], min(until_s, end.time_s)) for end in ends]
        busy_s = sum(max(0.0, end_s - start_s) for start_s, end_s in spans)
        return busy_s / sum(max(0.0, until_s - joined_s) for joined_s in joined.values())

    inside_s = sum(end.outcome.metrics.get("ran_s", 0.0) for end in ends)
    return Use(
        share(over_s), share(last_start_s), inside_s / sum(over_s - time_s for time_s in joined.values())
    )


def sleeping(scratch: Path, quick: bool) -> Iterator[Row]:
    """Yield how busy workers are whose trials last a second."""
    workers, seconds = (16, 20) if quick else (64, 120)
    problem = scratch / "sleep.py"
    problem.write_text(SLEEP)
    launched_s = time.time()
    options = ("--search", "random", "--seed", "1", "--time-limit", f"{seconds}s")
    run = search_over_mpi(workers, problem, scratch / "sleep", *options)
    records = list(read_journal(run.journal))
    use = use_of(records)
    title = f"1 + {workers} ranks, trials of 1 s, {seconds} s"
    yield Row(f"{title}: utilisation, by the journal", percent(use.journal), ">= 95 %")
    yield Row("  without the tail", percent(use.without_tail))
    yield Row("  inside run()", percent(use.inside_run))
    yield Row("  trials done", f"{sum(isinstance(record, Ended) for record in records):,}")
    yield Row("  from mpirun to the last worker's joining", f"{start_up_s(run, records, launched_s):.1f} s")


def start_up_s(run: RunDirectory, records: list[Record], launched_s: float) -> float:
    """Return how long it took from the launch until the last worker was ready.

    The journal's time counts from the search's own beginning; its configuration is written just then.
    """
    last_s = max(record.time_s for record in records if isinstance(record, WorkerJoined))
    return run.config.stat().st_mtime - launched_s + last_s


def no_op(scratch: Path, quick: bool) -> Iterator[Row]:
    """Yield what trials cost that do nothing."""
    for workers, trials in ((3, 500), (16, 1000)) if quick else ((3, 3000), (16, 5000), (64, 10_000)):
        few, many = run_search(workers, 100, scratch), run_search(workers, trials, scratch)
        cpu_s = (master_cpu_s(many) - master_cpu_s(few)) / (trials - 100)
        title = f"1 + {workers} ranks, {trials:,} no-op trials"
        yield Row(f"{title}: trials a second", f"{rate(list(read_journal(many.journal))):,.0f}", ">= 300")
        yield Row("  from start to end, median", f"{1000 * median(durations_s(many)):.1f} ms")
        yield Row("  master's CPU for a trial", f"{1000 * cpu_s:.2f} ms", "<= 1 ms")


def rate(records: list[Record]) -> float:
    """Return how many trials ended a second, from when all workers were there."""
    ends_s = [record.time_s for record in records if isinstance(record, Ended)]
    all_s = max(record.time_s for record in records if isinstance(record, WorkerJoined))
    return sum(end_s > all_s for end_s in ends_s) / (ends_s[-1] - all_s)


def loop_alone(scratch: Path, quick: bool) -> Iterator[Row]:
    """Yield how many messages the loop works off."""
    program, seconds = Path(__file__).with_name("message_rate.py"), "2" if quick else "10"
    for workers in (3,) if quick else (3, 63):
        for kind, name in (("report", "reports, journalled"), ("alive", "signs of life")):
            words = (sys.executable, program, "--kind", kind, "--seconds", seconds)
            taken = json.loads(run_over_mpi(workers + 1, *words))
            title = f"1 + {workers} ranks, message loop alone, {name}"
            yield Row(
                f"{title}: messages a second",
                f"{taken['messages'] / taken['elapsed_s']:,.0f}",
                ">= 4,000",
            )
            yield Row("  messages per CPU second of the master", f"{taken['messages'] / taken['cpu_s']:,.0f}")


def many(scratch: Path, quick: bool) -> Iterator[Row]:
    """Yield how long a search with many ranks takes as a whole; it fails if its exit code is not 0."""
    workers, trials = (31, 250) if quick else (127, 1000)
    problem = scratch / "no-op.py"
    problem.write_text(NO_OP)
    launched_s, began = time.time(), time.monotonic()
    run = search_over_mpi(workers, problem, scratch / "many", "--search", "random", "--trials", str(trials))
    wall_s = time.monotonic() - began
    records = list(read_journal(run.journal))
    done = sum(isinstance(record, Ended) for record in records)
    title = f"1 + {workers} ranks, {done:,} no-op trials, exit code 0"
    yield Row(f"{title}: from mpirun to its end", f"{wall_s:.1f} s")
    yield Row("  to the last worker's joining", f"{start_up_s(run, records, launched_s):.1f} s")
    yield Row("  the search", f"{records[-1].time_s:.1f} s")


def gap(scratch: Path, quick: bool) -> Iterator[Row]:
    """Yield the longest gap between two polls."""
    told, seconds = ("10000", "5") if quick else ("100000", "20")
    program = Path(__file__).with_name("poll_gap.py")
    seen = json.loads(check_output([sys.executable, program, "--told", told, "--seconds", seconds]))
    title = f"model of {int(told):,} observations thinking for {seconds} s"
    yield Row(f"{title}: longest gap between polls", f"{seen['longest_ms']:.0f} ms", "<= 50 ms")
    yield Row("  one of a thousand gaps was longer than", f"{seen['p999_ms']:.1f} ms")
    yield Row("  until the first answer, whole fit included", f"{seen['first_answer_s']:.1f} s")


def percent(share: float) -> str:
    """Return a share as text."""
    return f"{100 * share:.1f} %"


PARTS: dict[str, Callable[[Path, bool], Iterator[Row]]] = {
    "sleep": sleeping,
    "no-op": no_op,
    "loop": loop_alone,
    "many": many,
    "gap": gap,
}


def main() -> None:
    """Print the table, each line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer ranks, shorter: to see that it works")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{date.today()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}\n")
    print(f"{'':<74}{'measured':>12}{'goal':>12}")
    for name in options.only:
        with tempfile.TemporaryDirectory() as scratch:
            for row in PARTS[name](Path(scratch), options.quick):
                print(f"{row.what:<74}{row.figure:>12}{row.goal:>12}", flush=True)


if __name__ == "__main__":
    main()
