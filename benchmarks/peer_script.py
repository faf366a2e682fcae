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

from rounds import Cost, Master, OutOfTimeError, cpu_limit, measure


def main(create: Callable[[dict[str, Any], str, int], Master]) -> None:
    """Measure one search and print its cost; the space comes as JSON through the standard input.

    create: from the space, the flavour and the seed to a search.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--flavour", default="default")
    parser.add_argument("--told", type=int, required=True)
    parser.add_argument("--q", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--limit-s", type=float, required=True)
    options = parser.parse_args()
    master = create(json.load(sys.stdin), options.flavour, options.seed)
    try:
        with cpu_limit(options.limit_s):
            master.observe(options.told)
    except OutOfTimeError:
        cost, trouble = Cost(0, 0, options.limit_s), f"telling {options.told:,} observations"
    else:
        cost, trouble = measure(master, options.q, options.limit_s), ""
    print(json.dumps({**asdict(cost), "trouble": trouble}))
