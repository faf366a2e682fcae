"""How a master's cost is measured, the same for deephpo and its peers: rounds of q results told and q asked.

A master was told n observations in the past.  It is asked for q points once, untimed, so that its model
exists and q points are pending; then in each round the q pending results are told and q more are asked.
Rounds are counted in CPU seconds of the whole process, until 1,024 points were suggested: 1,024 rounds of
q = 1, 8 of 128, 1 of 1,024.  That is as long as a frame of deephpo's search at n = 100,000, so that what it
does once a frame is in the figures.

Standard library only: the peers' own Pythons import it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

SUGGESTIONS = 1024
"""So many points are asked in the timed rounds, or q if that is more."""


class Master(Protocol):
    """A search, as far as its cost is concerned."""

    def observe(self, n: int) -> None:
        """Take n observations of random configurations, without a word from the model."""

    def ask(self, q: int) -> list[Any]:
        """Return q new points."""

    def evaluate(self, point: Any) -> float:
        """Return what a point is worth; this is the workers' business, and not timed."""

    def tell(self, points: list[Any], values: list[float]) -> None:
        """Take the results of points that were asked before."""

    def key(self, point: Any) -> Hashable:
        """Return what two points have in common if they are the same configuration."""


class OutOfTimeError(Exception):
    """The CPU seconds that a measurement may take are used up."""


@dataclass(frozen=True)
class Cost:
    """What the rounds of one search took."""

    suggested: int
    """How many points were suggested in the rounds that ended."""
    distinct: int
    """How many of them were different from each other and from those before the first round."""
    cpu_s: float
    """What they took; with no round ended, the limit."""

    @property
    def per_second(self) -> float:
        """Distinct suggestions per CPU second, 0 if no round ended."""
        return self.distinct / self.cpu_s if self.suggested else 0.0


def measure(master: Master, q: int, limit_s: float = float("inf")) -> Cost:
    """Ask q points untimed, then count rounds until 1,024 were suggested.

    No round begins after half of limit_s, in CPU seconds, and one that ends after limit_s is not counted.
    """
    spent_s, suggested = 0.0, 0
    asked: list[Hashable] = []
    try:
        with cpu_limit(limit_s):
            pending = master.ask(q)
            before = {master.key(point) for point in pending}
        with cpu_limit(limit_s):
            while suggested < max(SUGGESTIONS, q) and spent_s < limit_s / 2:
                values = [master.evaluate(point) for point in pending]
                began = time.process_time()
                master.tell(pending, values)
                pending = master.ask(q)
                spent_s += time.process_time() - began
                suggested += len(pending)
                asked += map(master.key, pending)
    except OutOfTimeError:
        if not suggested:
            return Cost(0, 0, limit_s)
    return Cost(suggested, len(set(asked) - before), spent_s)


@contextmanager
def cpu_limit(limit_s: float) -> Iterator[None]:
    """Raise OutOfTimeError in the block when this process used so many CPU seconds."""
    if limit_s == float("inf"):
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTimeError

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, previous)
