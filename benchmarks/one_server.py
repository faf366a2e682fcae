"""How busy a master that is one server keeps its workers, the same for all peers, in virtual time.

The first wave of W random points is free.  From then on the master takes all results that have come, is told
them and asked for as many points, at the CPU time that it really takes; the workers whose results came wait
until it is done.  Results that come meanwhile wait for the next time.

Standard library only: the peers' own Pythons import it.
"""

from __future__ import annotations

import heapq
import math
import random
import time
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from rounds import Master, OutOfTimeError, cpu_limit

MEDIAN_S, SIGMA = 60.0, 0.5
"""Of the lognormal durations of trials."""


class Beginner(Master, Protocol):
    """A search that can be asked for its first wave."""

    def begin(self, n: int) -> list[Any]:
        """Return n random points, with which the search begins."""


@dataclass(frozen=True)
class Busy:
    """What came of one search."""

    utilisation: float
    """The share of the workers' time, each from the end of its first trial on, that went into trials."""
    until_s: float
    """The virtual time that was reached."""
    trials: int
    cpu_ms: float
    """Of the master, for each trial after the first wave."""


def keep_busy(master: Beginner, workers: int, until_s: float, limit_s: float, seed: int) -> Busy:
    """Search until some virtual time, or until the master has used ``limit_s`` CPU seconds."""
    draw = random.Random(seed)
    order = count()
    running = [
        (draw.lognormvariate(math.log(MEDIAN_S), SIGMA), next(order), point)
        for point in master.begin(workers)
    ]
    heapq.heapify(running)
    first_ends_s = [end_s for end_s, _, _ in running]
    spans_s: list[tuple[float, float]] = []
    free_s = cpu_s = 0.0
    while running and free_s < until_s and cpu_s < limit_s:
        now_s = max(free_s, running[0][0])
        done = []
        while running and running[0][0] <= now_s:
            done.append(heapq.heappop(running)[2])
        values = [master.evaluate(point) for point in done]
        points, took_s = _answer(master, done, values, limit_s)
        cpu_s += took_s
        free_s = now_s + took_s
        for point in points:
            end_s = free_s + draw.lognormvariate(math.log(MEDIAN_S), SIGMA)
            spans_s.append((free_s, end_s))
            heapq.heappush(running, (end_s, next(order), point))
    busy_s = sum(min(end_s, free_s) - start_s for start_s, end_s in spans_s)
    there_s = sum(max(0.0, free_s - first_s) for first_s in first_ends_s)
    return Busy(busy_s / there_s, free_s, len(spans_s), 1000 * cpu_s / max(1, len(spans_s)))


def _answer(master: Master, done: list[Any], values: list[float], limit_s: float) -> tuple[list[Any], float]:
    """Return the points in place of those that are done, none if it takes too long, and the CPU seconds."""
    began_s = time.process_time()
    try:
        with cpu_limit(limit_s):
            master.tell(done, values)
            points = master.ask(len(done))
    except OutOfTimeError:
        points = []
    return points, time.process_time() - began_s
