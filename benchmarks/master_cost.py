"""What a suggestion costs the master, in CPU seconds, as history and the number of points asked grow.

    python benchmarks/master_cost.py [--quick] [--peers] [--json FILE] [--plot FILE.png]

A search is told n random configurations of the past, with values of a deterministic function; then
``rounds`` counts its CPU seconds for rounds of q results told and q points asked, everything included:
learning what was told, renewing trees, drawing and scoring candidates, picking, telling lies.  Each figure is
the median of five searches with seeds of their own.  --peers adds what DeepHyper and Optuna take for the
same, measured in the same run; with their times limited that takes about an hour.

Memory is that of a process that holds one search and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Hashable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from landscape import Landscape
from peers import CACHE, PEERS, PeerCost, environment, peer_cost, version
from rounds import measure

from deephpo import Between, Categorical, Float, Integer, Space
from deephpo.search.create import create_search
from deephpo.trial import Trial

SEEDS = 5
TOLD = (1_000, 10_000, 100_000)
ASKED = (1, 128, 1024)
MOST_FOR_PEERS = 10_000
"""Peers are not told more: what they do for one suggestion grows with what they were told."""
TARGETS = {"flat": dict(zip(ASKED, (300, 1000, 4000), strict=True))}
TARGETS["conditional"] = {q: target // 2 for q, target in TARGETS["flat"].items()}
"""What the master is to reach, in suggestions per CPU second."""
_BLOCK = 5_000


def flat_space() -> Space:
    """Return 10 parameters: 4 logarithmic floats, 3 logarithmic integers, 3 categoricals."""
    return Space(
        [
            *(Float(f"float_{i}", 1e-5, 1e-1, log=True) for i in range(4)),
            *(Integer(f"integer_{i}", 1, 1000, log=True) for i in range(3)),
            *(Categorical(f"category_{i}", ["a", "b", "c", "d", "e"]) for i in range(3)),
        ]
    )


def conditional_space() -> Space:
    """Return 22 parameters, 20 of them conditional: a network of up to four layers, three optimizers."""
    layers = range(1, 5)
    return Space(
        [
            Categorical("optimizer", ["sgd", "adam", "rmsprop"]),
            Integer("layers", 1, 4),
            *(Integer(f"units_{i}", 8, 512, log=True, when={"layers": Between(low=i)}) for i in layers),
            *(Categorical(f"act_{i}", ["relu", "tanh"], when={"layers": Between(low=i)}) for i in layers),
            *(
                Float(f"{optimizer}_{i}", 1e-4, 1.0, log=True, when={"optimizer": [optimizer]})
                for optimizer in ("sgd", "adam", "rmsprop")
                for i in range(4)
            ),
        ]
    )


SPACES = {"flat": flat_space, "conditional": conditional_space}
TITLES = {"flat": "flat, 10 parameters", "conditional": "conditional, 22 parameters"}


@dataclass(frozen=True)
class Figure:
    """One cell of the table: a rate, or an upper bound of it, or why there is none."""

    space: str
    master: str
    told: int
    q: int
    per_second: float
    bound: bool = False
    why: str = ""


class DeephpoMaster:
    """The search as it is used, around one landscape."""

    def __init__(self, space: Space, seed: int) -> None:
        self._search = create_search("ambs", space, seed=seed)
        self._encoding = space.encoding()
        self._rng = np.random.default_rng(seed)
        self._objective = Landscape(space.to_dict())

    def observe(self, n: int) -> None:
        """Tell n random configurations that were evaluated elsewhere."""
        for first in range(0, n, _BLOCK):
            rows = self._encoding.sample(min(_BLOCK, n - first), self._rng)
            for config in self._encoding.decode(rows):
                self._search.learn(config, self._objective(config))

    def ask(self, q: int) -> list[Trial]:
        """Return q new trials."""
        return self._search.ask(q)

    def evaluate(self, point: Trial) -> float:
        """Return the value of a trial's configuration."""
        return self._objective(point.config)

    def tell(self, points: list[Trial], values: list[float]) -> None:
        """Tell the trials' values."""
        for trial, value in zip(points, values, strict=True):
            self._search.tell(trial, value)

    def key(self, point: Trial) -> Hashable:
        """Return the configuration."""
        return tuple(point.config.items())


def own_figures(space: str, told: int, seeds: int) -> list[Figure]:
    """Return the suggestions per CPU second for each q; every seed is one search, asked for all of them."""
    rates: dict[int, list[float]] = {q: [] for q in ASKED}
    for seed in range(seeds):
        master = DeephpoMaster(SPACES[space](), seed)
        master.observe(told)
        for q in ASKED:
            cost = measure(master, q)
            assert cost.distinct == cost.suggested, "a configuration was suggested twice"
            rates[q].append(cost.per_second)
    return [Figure(space, "deephpo", told, q, median(rates[q])) for q in ASKED]


def peer_figures(space: str, cache: Path, told: Iterable[int], seeds: int, limit_s: float) -> list[Figure]:
    """Return the peers' figures; nothing is run that is more of what already took too long."""
    figures: list[Figure] = []
    for peer in PEERS:
        python = environment(peer.package, cache)
        hopeless: list[tuple[int, int]] = []
        for n in told:
            for q in ASKED:
                if python is None:
                    cost = PeerCost(0.0, why="not installed")
                elif n > MOST_FOR_PEERS:
                    cost = PeerCost(0.0, why=f"not run for more than {MOST_FOR_PEERS:,} told")
                elif any(n >= past_n and q >= past_q for past_n, past_q in hopeless):
                    cost = PeerCost(0.0, why="not run: less took too long")
                else:
                    record = SPACES[space]().to_dict()
                    cost = peer_cost(peer, python, record, n, q, seeds=seeds, limit_s=limit_s)
                    if cost.why:
                        hopeless.append((n, q))
                figures.append(Figure(space, peer.label, n, q, **asdict(cost)))
                print_figure(figures[-1])
    return figures


def memory_of(space: str) -> tuple[float, float]:
    """Return the peak of this process in MB after 100,000 told, and the bytes a trial of the last 50,000."""
    master = DeephpoMaster(SPACES[space](), 0)
    held = []
    for _ in range(2):
        master.observe(50_000)
        measure(master, 1024)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held.append(pages * resource.getpagesize())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return peak / 1e6, (held[1] - held[0]) / 50_000


def print_figure(figure: Figure) -> None:
    """Print one line as soon as it is known: the table comes at the end, and peers take hours."""
    print(
        f"# {figure.space:<12} {figure.master:<18} n = {figure.told:>7,}  q = {figure.q:>5,}  {cell(figure)}"
    )


def cell(figure: Figure | None) -> str:
    """Return what stands in the table."""
    if figure is None or (figure.why and not figure.bound):
        return "-"
    digits = 0 if figure.per_second >= 100 else 1 if figure.per_second >= 1 else 2
    return f"{'< ' if figure.bound else ''}{figure.per_second:,.{digits}f}"


def print_table(figures: list[Figure]) -> None:
    """Print one row for each space, n and q, one column for each master."""
    found = {(f.space, f.told, f.q, f.master): f for f in figures}
    masters = list(dict.fromkeys(f.master for f in figures))
    print(f"\n| space | n told | q | target | {' | '.join(masters)} |")
    print(f"|{' --- |' * (4 + len(masters))}")
    for space, n, q in dict.fromkeys((f.space, f.told, f.q) for f in figures):
        cells = [cell(found.get((space, n, q, master))) for master in masters]
        print(f"| {TITLES[space]} | {n:,} | {q:,} | {TARGETS[space][q]:,} | {' | '.join(cells)} |")
    for why in dict.fromkeys(f"{f.master}, {f.space}: {f.why}" for f in figures if f.why):
        print(f"- {why}")


def main() -> None:
    """Print the table, and write what is asked for."""
    options = _options()
    told = TOLD[:1] if options.quick else options.told
    seeds = 2 if options.quick else SEEDS
    began = time.monotonic()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"distinct suggestions per CPU second, median of {seeds}")
    if options.peers:
        packages = dict.fromkeys(peer.package for peer in PEERS)
        versions = [f"{package} {version(package, options.cache)}" for package in packages]
        limits = f"at most {options.limit_s:.0f} CPU seconds a measurement, {options.peer_seeds} seed(s)"
        print(f"peers: {', '.join(versions)}; {limits}")
    own_figures("flat", TOLD[0], 1)  # imports and first touches
    figures: list[Figure] = []
    for space in SPACES:
        for n in told:
            figures += own_figures(space, n, seeds)
            for figure in figures[-len(ASKED) :]:
                print_figure(figure)
        if options.peers:
            peer_seeds = min(seeds, options.peer_seeds)
            figures += peer_figures(space, options.cache, told, peer_seeds, options.limit_s)
    print_table(figures)
    if not options.quick:
        _print_memory()
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    if options.plot:
        from master_cost_plot import draw

        draw(figures, TARGETS, TITLES, options.plot)


def _print_memory() -> None:
    print("\n| space | peak after 100,000 told (MB) | bytes a trial, from 50,000 to 100,000 |")
    print("| --- | --- | --- |")
    for space in SPACES:
        # A process of its own: the peak of this one knows all that was measured before.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            peak, each = pool.submit(memory_of, space).result()
        print(f"| {TITLES[space]} | {peak:.0f} | {each:.0f} |")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 told and two seeds only")
    parser.add_argument("--told", type=int, nargs="+", default=TOLD)
    parser.add_argument("--peers", action="store_true", help="measure DeepHyper and Optuna too")
    parser.add_argument("--limit-s", type=float, default=120.0, help="CPU seconds for a peer's measurement")
    parser.add_argument("--peer-seeds", type=int, default=SEEDS, help="seeds for each peer, at the most")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the peers are installed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a PNG file; needs matplotlib")
    return parser.parse_args()


if __name__ == "__main__":
    main()
