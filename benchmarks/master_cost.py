"""What a suggestion costs the master, in CPU seconds.

    python benchmarks/master_cost.py

A search is told 1,000 random trials; then it is asked for q more, everything included: learning what was
told, drawing and scoring candidates, picking, telling lies.  Each figure is the median of five fresh
searches.
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import date
from statistics import median

import numpy as np

from deephpo import Between, Categorical, Float, Integer, Space
from deephpo.search.create import SURROGATES, create_search

REPEATS = 5
TOLD = 1000


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


def suggestions_per_second(space: Space, surrogate: str, q: int, seed: int) -> float:
    """Return how many suggestions one CPU second makes, for one ask(q) after 1,000 told trials."""
    # The model is not asked while the history is built.
    search = create_search("ambs", space, seed=seed, surrogate=surrogate, initial=TOLD)
    rng = np.random.default_rng(seed)
    for trial in search.ask(TOLD):
        search.tell(trial, float(rng.lognormal()))
    began = time.process_time()
    trials = search.ask(q)
    used = time.process_time() - began
    assert len({tuple(trial.config.items()) for trial in trials}) == q, "a configuration was suggested twice"
    return q / used


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    print(f"{date.today()}, {platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"n = {TOLD} told, suggestions per CPU second, median of {REPEATS}\n")
    print(f"{'space':<28}{'surrogate':<14}{'q = 1':>8}{'q = 128':>10}{'q = 1,024':>12}")
    for name, space in (
        ("flat, 10 parameters", flat_space()),
        ("conditional, 22 parameters", conditional_space()),
    ):
        for surrogate in SURROGATES:
            suggestions_per_second(space, surrogate, 1, REPEATS)  # imports and first touches
            figures = [
                median(suggestions_per_second(space, surrogate, q, seed) for seed in range(REPEATS))
                for q in (1, 128, 1024)
            ]
            cells = f"{figures[0]:>8,.0f}{figures[1]:>10,.0f}{figures[2]:>12,.0f}"
            print(f"{name:<28}{surrogate:<14}{cells}")


if __name__ == "__main__":
    main()
