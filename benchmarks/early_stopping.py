"""What do stopping rules save, and what do they lose?

    pip install '.[benchmarks,plot]'
    python benchmarks/early_stopping.py [--rules RULE ...] [--orders 200] [--workers 32] [--plot FOLDER]
    python benchmarks/early_stopping.py --lcbench [--rules RULE ...] [--lessons best] [--searches auto]
        [--trials 320] [--seeds 5] [--first-seed 0] [--json FILE] [--reuse FILE]

The first replays real learning curves: 42 trainings on CIFAR-100 and 162 on MNIST (``tables``), in the order
in which they were run, in random ones, and in random ones with W workers in virtual time.  It begins with the
figures of another implementation beside ours: DEEP-BO's compound rule (H. Cho et al., *Basic enhancement
strategies when using Bayesian optimization for hyperparameter tuning of deep neural networks*, IEEE Access
2020), the median rule and successive halving.

The second searches LCBench with W workers in virtual time (``early_stopping_lcbench``): after which share of
the time that a search without stopping takes is one that stops as good?

--quick tries everything with few orders, instances and trials.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from early_stopping_lcbench import DEVELOPMENT, LESSONS, print_shares, with_stopping, without_stopping
from early_stopping_lcbench import Run as SearchRun
from early_stopping_reference import ORDERS, REFERENCE, Figures, differences
from quality_jobs import check_free, read, run_all

from deephpo.errors import OptionError
from deephpo.report.replay_plot import draw
from deephpo.stopping.create import DEFAULT_RULE, create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.recorded import Recording, read_recording
from deephpo.stopping.replay import Judgement, Orders, judge

TABLES = Path(__file__).parent / "tables"
CURVES = {"CIFAR-100": "cifar100_curves.csv", "MNIST": "mnist_curves.csv"}

RULES = (*dict.fromkeys((DEFAULT_RULE, "pace", "diverged", *REFERENCE)),)
"""The default first."""


@cache
def recording(name: str) -> Recording:
    """Return the curves of CIFAR-100 or MNIST."""
    return read_recording(TABLES / CURVES[name], "maximize", None)


@cache
def judgement(name: str, rule: str, orders: int, workers: int) -> Judgement:
    """Return what a rule makes of the curves of that name."""
    curves = recording(name)
    return judge(curves, rule, partial(create_rule, rule, curves.subject), orders, workers=workers)


def print_reference() -> None:
    """Print our figures beside those of the other implementation, and which of them are not the same."""
    wrong = []
    for name in CURVES:
        print(f"\n| {name} | | stopped | steps saved | time saved | in {ORDERS} random orders | best kept |")
        print(f"|{' --- |' * 7}")
        for rule, theirs in REFERENCE.items():
            ours = Figures.of(judgement(name, rule, ORDERS, workers=1))
            print(f"| {rule} | here | {ours} |")
            print(f"| | reference | {theirs[name]} |")
            wrong += [f"{name}, {rule}: {text}" for text in differences(ours, theirs[name])]
    print(
        "\nAll figures are the reference's to the printed digit." if not wrong else "\nNot the reference's:"
    )
    print("\n".join(wrong))


def print_rules(rules: Sequence[str], orders: int, workers: int) -> None:
    """Print what rules save and lose on both data sets."""
    for name in CURVES:
        print(
            f"\n{name}: {len(recording(name).trials)} trainings of {recording(name).subject.last_step} steps"
        )
        columns = (
            *("rule", "stopped", "steps saved", "best"),
            *(f"{orders} orders: steps saved", "time saved", "best kept", "lost: mean", "at worst"),
            *(f"{workers} workers: steps saved", "time saved", "best kept", "lost: mean", "at worst"),
        )
        print(f"| {' | '.join(columns)} |")
        print(f"|{' --- |' * len(columns)}")
        for rule in rules:
            alone, many = (judgement(name, rule, orders, w) for w in (1, workers))
            recorded = alone.recorded
            kept = "kept" if recorded.kept else f"lost {recorded.regret:.3g}"
            as_recorded = [str(recorded.stopped), f"{100 * recorded.steps_saved:.1f} %", kept]
            print(f"| {' | '.join([rule, *as_recorded, *_orders(alone.orders), *_orders(many.orders)])} |")


def _orders(orders: Orders | None) -> list[str]:
    if orders is None:
        return ["-"] * 5
    spreads = (orders.steps_saved, orders.time_saved)
    return [
        *(f"{100 * spread.mean:.1f} ± {100 * spread.deviation:.1f} %" for spread in spreads),
        f"{100 * orders.kept:g} %",
        f"{orders.regret:.2g}",
        f"{orders.worst_regret:.2g}",
    ]


def plot(rules: Sequence[str], orders: int, folder: Path) -> None:
    """Draw the curves, and where rules stop them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in CURVES.items():
        path = folder / f"{Path(file).stem}.png"
        draw(recording(name), [judgement(name, rule, orders, workers=1) for rule in rules], path)
        print(f"\n{path}")


def search_lcbench(options: argparse.Namespace) -> None:
    """Run what is missing of all searches, and print after which share of the time they are as good."""
    reused = read(options.reuse, SearchRun)
    known: Mapping[tuple[object, ...], SearchRun] = {_key(run): run for run in reused}
    instances = DEVELOPMENT[:1] if options.quick else DEVELOPMENT
    wanted = [
        (search, instance, seed, options.workers, options.trials)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for instance in instances
        for search in options.searches
    ]
    missing = [job for job in wanted if ("none", LESSONS[0], *job) not in known]
    new, failures = run_all(without_stopping, missing, options.processes, options.json, reused)
    _end_with(failures)
    known = {**known, **{_key(run): run for run in new}}
    plain = [known["none", LESSONS[0], *job] for job in wanted]
    kinds = [(rule, lesson) for rule in options.rules for lesson in options.lessons]
    pairs = [(*kind, run) for run in plain for kind in kinds]
    missing_pairs = [(*kind, run) for *kind, run in pairs if (*kind, *_key(run)[2:]) not in known]
    more, failures = run_all(with_stopping, missing_pairs, options.processes, options.json, [*known.values()])
    known = {**known, **{_key(run): run for run in more}}
    _end_with(failures)
    print(f"\n{options.workers} workers, {options.trials} results without stopping, {options.seeds} seeds")
    print_shares(plain, [known[(*kind, *_key(run)[2:])] for *kind, run in pairs])


def _end_with(failures: int) -> None:
    if failures:
        sys.exit(f"{failures} searches failed; --reuse runs only those again")


def _key(run: SearchRun) -> tuple[object, ...]:
    return run.rule, run.lesson, run.search, run.instance, run.seed, run.workers, run.trials


def main() -> None:
    """Replay curves, or search LCBench."""
    options = _options()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(f"deephpo {version('deephpo')}, numpy {version('numpy')}")
    if options.lcbench:
        search_lcbench(options)
        return
    print_reference()
    print_rules(options.rules, options.orders, options.workers)
    if options.plot:
        plot(options.rules, options.orders, options.plot)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rules", nargs="+", default=None, help="as for `deephpo replay --rule`")
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--plot", type=Path, help="a folder for two pictures; needs matplotlib")
    parser.add_argument("--lcbench", action="store_true", help="search LCBench instead")
    parser.add_argument("--searches", nargs="+", default=["auto"], help="as for `deephpo search --search`")
    parser.add_argument("--lessons", nargs="+", default=["best"], choices=LESSONS)
    parser.add_argument("--trials", type=int, default=320, help="of the search without stopping")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="where all searches are collected, one a line")
    parser.add_argument("--reuse", type=Path, nargs="+", default=[], help="files of --json")
    parser.add_argument("--quick", action="store_true", help="to see that everything works")
    options = parser.parse_args()
    if options.rules is None:
        options.rules = [DEFAULT_RULE] if options.lcbench else list(RULES)
    if options.quick:
        options.orders, options.seeds, options.trials = 5, 1, 64
    try:
        check_free(options.json, options.reuse)
        for rule in options.rules:
            create_rule(rule, Subject("accuracy", "maximize", 100))
    except (ValueError, OptionError) as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
