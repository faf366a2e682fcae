"""The command line of a peer's script: one measurement in, one line of JSON out.

Standard library only: the peers' own Pythons import it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from one_server import Beginner, keep_busy
from rounds import Cost, OutOfTimeError, cpu_limit, measure


def main(create: Callable[[dict[str, Any], str, int], Beginner]) -> None:
    """Measure one search and print what it cost, or with ``--workers`` how busy it would keep them.

    The space comes as JSON through the standard input.

    create: from the space, the flavour and the seed to a search.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--flavour", default="default")
    parser.add_argument("--told", type=int)
    parser.add_argument("--q", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--until-s", type=float)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--limit-s", type=float, required=True)
    options = parser.parse_args()
    master = create(json.load(sys.stdin), options.flavour, options.seed)
    if options.workers:
        busy = keep_busy(master, options.workers, options.until_s, options.limit_s, options.seed)
        print(json.dumps(asdict(busy)))
    else:
        print(json.dumps(_cost(master, options.told, options.q, options.limit_s)))


def _cost(master: Beginner, told: int, q: int, limit_s: float) -> dict[str, Any]:
    try:
        with cpu_limit(limit_s):
            master.observe(told)
    except OutOfTimeError:
        return {**asdict(Cost(0, 0, limit_s)), "trouble": f"telling {told:,} observations"}
    return {**asdict(measure(master, q, limit_s)), "trouble": ""}
