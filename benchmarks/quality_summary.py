"""The tables of ``quality``: how good the optimizers are, and which differences are safe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from quality_problems import CHOICE, HELD_OUT
from quality_run import LEAST, Run
from scipy.stats import rankdata

from deephpo.space.arrays import Vector

BASELINE = "random"
"""What the speedup is counted against."""

COLUMNS = (
    *("optimizer", "seeds", "nr25", "nr50", "nr100", "area", "rank", "rank_area"),
    *("speedup", "hit", "cpu", "repeats"),
)

Cells = Mapping[tuple[str, str], Sequence[Run]]
"""The runs of each optimizer on each problem, in the order of their seeds."""


def cells_of(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Return the runs by optimizer and problem, the seeds in order."""
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        cells.setdefault((run.optimizer, run.problem), []).append(run)
    return cells


def print_summary(cells: Cells, optimizers: Sequence[str], problems: Sequence[str]) -> None:
    """Print one row for each optimizer, means over the problems.

    nr25, nr50, nr100: the seeds' median regret after 25, 50 and 100 % of the results.  area: the mean of
    log10 of the regret over all results.  rank, rank_area: among the optimizers, by the final median regret
    and by the area.  speedup: how many times fewer results the seeds' median needs to reach the baseline's
    final one, the geometric mean; not reached counts as 1.  hit: the share of runs that end at the optimum.
    cpu: CPU seconds of the optimizer in one run.  repeats: results of configurations that had one already.
    """
    finals = {o: [_median(cells[o, p], 1.0) for p in problems] for o in optimizers}
    areas = {o: [_area(cells[o, p]) for p in problems] for o in optimizers}
    # What ends at the optimum shares a rank.
    ranks = _mean_ranks([np.maximum(finals[o], LEAST) for o in optimizers])
    area_ranks = _mean_ranks([np.asarray(areas[o]) for o in optimizers])
    print(f"\n| {' | '.join(COLUMNS)} |")
    print(f"|{' --- |' * len(COLUMNS)}")
    for k in sorted(range(len(optimizers)), key=lambda k: float(np.mean(areas[optimizers[k]]))):
        o = optimizers[k]
        own = [cells[o, p] for p in problems]
        parts = [np.mean([_median(runs, share) for runs in own]) for share in (0.25, 0.5, 1.0)]
        row = [
            o,
            _seeds(own),
            *(f"{part:.4f}" for part in parts),
            f"{np.mean(areas[o]):.3f}",
            f"{ranks[k]:.2f}",
            f"{area_ranks[k]:.2f}",
            _speedup(cells, o, problems),
            f"{_mean(own, _hit):.2f}",
            f"{_mean(own, lambda run: run.cpu_s):.1f}",
            f"{_mean(own, lambda run: run.repeats):.0f}",
        ]
        print(f"| {' | '.join(row)} |")


def print_halves(cells: Cells, optimizers: Sequence[str]) -> None:
    """Print the same for the half on which settings were chosen and for the other one."""
    titles = ("the half for choosing", "the half held out")
    columns = [f"{column}, {title}" for title in titles for column in ("nr50", "nr100", "area")]
    print(f"\n| optimizer | {' | '.join(columns)} |")
    print(f"|{' --- |' * 7}")
    for o in optimizers:
        row = [o]
        for half in (CHOICE, HELD_OUT):
            row += [f"{np.mean([_median(cells[o, p], share) for p in half]):.4f}" for share in (0.5, 1.0)]
            row.append(f"{np.mean([_area(cells[o, p]) for p in half]):.3f}")
        print(f"| {' | '.join(row)} |")


def print_differences(cells: Cells, optimizers: Sequence[str], problems: Sequence[str]) -> None:
    """Print the area of the first optimizer minus that of each other one, problem by problem paired.

    Where both ran the same seeds, only those are compared.  The error is the standard error over problems.
    """
    first, *others = optimizers
    if not others or len(problems) < 2:
        return
    print("\n| difference of area | mean | standard error | better on |")
    print("| --- | --- | --- | --- |")
    for other in others:
        values = [_paired(cells[first, p], cells[other, p]) for p in problems]
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        better = f"{sum(v < 0 for v in values)} of {len(values)}"
        print(f"| {first} - {other} | {np.mean(values):+.3f} | {error:.3f} | {better} |")


def print_problems(cells: Cells, optimizers: Sequence[str], problems: Sequence[str]) -> None:
    """Print the seeds' median final regret on each problem."""
    print(f"\n| final regret | {' | '.join(optimizers)} |")
    print(f"|{' --- |' * (1 + len(optimizers))}")
    for p in problems:
        row = [f"{_median(cells[o, p], 1.0):.4f}" for o in optimizers]
        print(f"| {p} | {' | '.join(row)} |")


def _median(runs: Sequence[Run], share: float) -> float:
    return float(np.median([run.regret[int(len(run.regret) * share) - 1] for run in runs]))


def _area(runs: Sequence[Run]) -> float:
    return float(np.mean([run.area for run in runs]))


def _mean(own: Sequence[Sequence[Run]], of: Callable[[Run], float]) -> float:
    return float(np.mean([np.mean([of(run) for run in runs]) for runs in own]))


def _hit(run: Run) -> float:
    return float(run.regret[-1] < LEAST)


def _seeds(own: Sequence[Sequence[Run]]) -> str:
    low, high = min(map(len, own)), max(map(len, own))
    return str(low) if low == high else f"{low}-{high}"


def _mean_ranks(values: Sequence[Vector]) -> Vector:
    """Return the mean rank of each row over the columns."""
    return np.asarray(rankdata(np.asarray(values), axis=0).mean(axis=1))


def _speedup(cells: Cells, optimizer: str, problems: Sequence[str]) -> str:
    if any((BASELINE, p) not in cells for p in problems):
        return "-"
    logs = []
    for p in problems:
        curve = np.median([run.regret for run in cells[optimizer, p]], axis=0)
        reached = np.flatnonzero(curve <= _median(cells[BASELINE, p], 1.0))
        logs.append(np.log(len(curve) / (reached[0] + 1)) if len(reached) else 0.0)
    return f"{np.exp(np.mean(logs)):.2f}"


def _paired(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    common = {run.seed for run in ours} & {run.seed for run in theirs}
    if common:
        ours = [run for run in ours if run.seed in common]
        theirs = [run for run in theirs if run.seed in common]
    return _area(ours) - _area(theirs)
