"""How busy one master keeps its workers, in virtual time; and where one master is not enough any more.

    python benchmarks/utilisation.py [--quick] [--peers] [--search ambs] [--json FILE] [--plot FILE.png]

Runs ``deephpo simulate``: the real search, coordinator and journal, with durations drawn from
lognormal(60 s, 0.5) that pass at once, and the master charged with the CPU time that it really takes.  The
first table is for machines of 2,048 to 75,264 workers; it takes some hours, since all of two million trials
are really evaluated.  The second one is for shorter trials, over a few of them for each worker: there a cell
that would take too many trials is foretold, from what one costs in the first table, and marked with "~".
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from master_cost import SPACES, TITLES
from peers import CACHE, PEERS, environment, peer_busy

SIGMA = 0.5
"""Of the logarithm of a trial's duration; its median is that of the case."""
TRIAL_S = 60.0
TARGETS = {2048: 0.995, 10_240: 0.99, 75_264: 0.95}
"""What the workers' utilisation is to be after the first wave, by their number."""
LIMITS_S = {2048: 3600.0, 10_240: 1800.0, 75_264: 660.0}
"""For how long of virtual time each is simulated."""
QUICK_LIMITS_S = {256: 600.0, 2048: 240.0}

PEERS_WORKERS = (1024, 2048)
PEERS_UNTIL_S, PEERS_LIMIT_S = 600.0, 90.0
"""For how long of virtual time the peers are simulated, and with how many CPU seconds at the most."""

SHORT_TRIALS_S = (1.0, 5.0, 15.0, 60.0)
WORKERS = (1024, 4096, 16_384, 32_768, 75_264)
QUICK_WORKERS = (256, 1024, 75_264)
WINDOW = 4
"""The second table's virtual time, in median durations of a trial."""
MOST_TRIALS = 20_000
QUICK_MOST_TRIALS = 5_000

PROBLEM = """
import json
import sys

sys.path.insert(0, {here!r})

from landscape import Landscape

from deephpo import Problem, Space

space = Space.from_dict(json.loads({space!r}))
landscape = Landscape(space.to_dict())
problem = Problem(space, lambda config: landscape(config))
"""


@dataclass(frozen=True)
class Row:
    """One search: what was simulated, and what came of it.

    A peer's master is one more row, under its own name, with its own figures.
    """

    space: str
    workers: int
    trial_s: float
    """The median duration of a trial."""
    limit_s: float
    """So much virtual time."""
    master: str = "deephpo"
    trials: int = 0
    distinct: int = 0
    utilisation: float | None = None
    """After each worker's first trial; None if none had a second one."""
    startup_s: float = 0.0
    cpu_ms: float = 0.0
    """Of the master, for each trial, all in."""
    peak_mb: float = 0.0
    """The most memory that the master's process had."""
    foretold: bool = False
    """Whether it was not simulated, but follows from the cost of a trial."""

    @property
    def rate(self) -> float:
        """How many trials would end in a second if no worker ever waited."""
        return self.workers / (self.trial_s * math.exp(SIGMA**2 / 2))


def simulated(case: Row, search: str, scratch: Path) -> Row:
    """Return the case with the figures of its simulation."""
    problem = scratch / f"{case.space}.py"
    space = json.dumps(SPACES[case.space]().to_dict())
    problem.write_text(PROBLEM.format(here=str(Path(__file__).parent), space=space))
    words = ["simulate", problem, "--search", search, "--seed", 1, "--workers", case.workers, "--json"]
    words += ["--time-limit", f"{case.limit_s}s", "--duration", f"lognormal:{case.trial_s},{SIGMA}"]
    said, peak_mb = _output_of([str(Path(sys.executable).with_name("deephpo")), *map(str, words)])
    found = json.loads(said)
    return replace(
        case,
        trials=found["trials"],
        distinct=found["distinct"],
        utilisation=found["utilisation"],
        startup_s=found["startup_s"],
        cpu_ms=found["cpu_ms_per_trial"],
        peak_mb=peak_mb,
    )


def _output_of(command: Sequence[str]) -> tuple[str, float]:
    """Return what a command prints, and the most memory that its process had, in MB."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return said, usage.ru_maxrss / 1000


def foretold(case: Row, steady: Sequence[Row]) -> Row:
    """Return the case as the cost of a trial foretells it: no more can end in a second than are worked off.

    The cost is that of the first table's simulation with the most similar number of workers: what is done
    once a turn or once a frame is shared by all results in it, and those grow with the number of workers.
    """
    similar = min(steady, key=lambda row: abs(math.log(row.workers / case.workers)))
    capacity = 1000 / similar.cpu_ms
    return replace(case, utilisation=min(1.0, capacity / case.rate), cpu_ms=similar.cpu_ms, foretold=True)


def past_one_master(
    space: str,
    workers: Sequence[int],
    most_trials: int,
    simulate: Callable[[Row], Row],
    steady: Sequence[Row],
) -> list[Row]:
    """Return the rows of the second table for one space; what would be too large is foretold."""
    cases = [Row(space, count, trial_s, WINDOW * trial_s) for trial_s in SHORT_TRIALS_S for count in workers]
    measured = {case: simulate(case) for case in cases if case.workers * WINDOW <= most_trials}
    of_space = [row for row in steady if row.space == space]
    return [measured.get(case) or foretold(case, of_space) for case in cases]


def peer_rows(space: str, cache: Path) -> list[Row]:
    """Return what the peers' masters make of some workers, as ``one_server`` says, in limited CPU time."""
    rows = []
    for peer in PEERS:
        python = environment(peer.package, cache)
        if python is None:
            continue
        for workers in PEERS_WORKERS:
            record = SPACES[space]().to_dict()
            busy = peer_busy(peer, python, record, workers, PEERS_UNTIL_S, PEERS_LIMIT_S)
            if busy is None:
                continue
            rows.append(
                Row(
                    space,
                    workers,
                    TRIAL_S,
                    round(busy.until_s),
                    peer.label,
                    trials=busy.trials,
                    utilisation=busy.utilisation,
                    cpu_ms=busy.cpu_ms,
                )
            )
            print(f"# {peer.label}, {space}, {workers:,} workers: {percent(rows[-1])}", flush=True)
    return rows


def print_steady(rows: Sequence[Row]) -> None:
    """Print the first table."""
    print(
        "\n| master | workers | space | virtual time (min) | trials | distinct | utilisation | target ",
        end="",
    )
    print(f"| start-up (s) | CPU (ms a trial) | memory (MB) |\n|{' --- |' * 11}")
    for row in rows:
        target = f"{100 * TARGETS[row.workers]:.1f} %" if row.workers in TARGETS else "-"
        print(
            f"| {row.master} | {row.workers:,} | {TITLES[row.space]} | {row.limit_s / 60:.1f} "
            f"| {row.trials:,} | {_known(row.distinct, ',')} | {percent(row)} | {target} "
            f"| {_known(row.startup_s, '.2f')} | {row.cpu_ms:.3f} | {_known(row.peak_mb, '.0f')} |"
        )


def print_past_one_master(rows: Sequence[Row], most_trials: int) -> None:
    """Print the second table: a row for each space and trial length, a column for each number of workers."""
    workers = sorted({row.workers for row in rows})
    print(f"\n| space | a trial | {' | '.join(f'{count:,} workers' for count in workers)} |")
    print(f"|{' --- |' * (2 + len(workers))}")
    for space, trial_s in dict.fromkeys((row.space, row.trial_s) for row in rows):
        line = [row for row in rows if (row.space, row.trial_s) == (space, trial_s)]
        cells = " | ".join(f"{percent(row)} ({row.cpu_ms:.2f} ms)" for row in line)
        print(f"| {TITLES[space]} | {trial_s:g} s | {cells} |")
    print(f"\nIn brackets the master's CPU time for a trial. ~: foretold, for above {most_trials:,} trials.")


def _known(figure: float, style: str) -> str:
    """Return a figure in a style, and a dash for one that was not measured."""
    return format(figure, style) if figure else "-"


def percent(row: Row) -> str:
    """Return the utilisation as it stands in a table."""
    if row.utilisation is None:
        return "-"
    return f"{'~' if row.foretold else ''}{100 * row.utilisation:.2f} %"


def main() -> None:
    """Print both tables, and write what is asked for."""
    options = _options()
    began_s = time.monotonic()
    print(
        f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.search} search"
    )
    limits_s = QUICK_LIMITS_S if options.quick else LIMITS_S
    workers, most_trials = (QUICK_WORKERS, QUICK_MOST_TRIALS) if options.quick else (WORKERS, MOST_TRIALS)
    with tempfile.TemporaryDirectory(prefix="deephpo-") as scratch:

        def simulate(case: Row) -> Row:
            row = simulated(case, options.search, Path(scratch))
            print(f"# {row.space}, {row.workers:,} workers, {row.trial_s:g} s: {percent(row)}", flush=True)
            return row

        steady = [
            simulate(Row(space, count, TRIAL_S, limit_s))
            for count, limit_s in limits_s.items()
            for space in SPACES
        ]
        print_steady(steady)
        past = [
            row for space in SPACES for row in past_one_master(space, workers, most_trials, simulate, steady)
        ]
        print_past_one_master(past, most_trials)
    if options.peers:
        print_steady([row for space in SPACES for row in peer_rows(space, options.cache)])
    print(f"\n{time.monotonic() - began_s:.0f} s in all")
    if options.json:
        tables = {"steady": steady, "past_one_master": past}
        plain = {name: [asdict(row) for row in rows] for name, rows in tables.items()}
        options.json.write_text(json.dumps(plain, indent=1))
    if options.plot:
        from utilisation_plot import draw

        draw(steady, past, TARGETS, TITLES, options.plot)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few workers over some minutes only")
    parser.add_argument("--peers", action="store_true", help="what DeepHyper and Optuna would make of it")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the peers are installed")
    parser.add_argument("--search", default="ambs", help="random shows what everything but the model costs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a PNG file; needs matplotlib")
    return parser.parse_args()


if __name__ == "__main__":
    main()
