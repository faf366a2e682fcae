"""The local driver: warm child processes on one machine, no MPI."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import wait

from deephpo.drivers.keeper import Keeper
from deephpo.engine.events import Event, Start
from deephpo.worker.workplace import Workplace


def cores_here() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalDriver:
    """Keeps W children, the workers 1 to W."""

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self._workplace = workplace
        self._began = time.monotonic()
        cores = cores_here() / workers
        self._keepers = {worker: Keeper(worker, workplace, cores) for worker in range(1, workers + 1)}

    def now(self) -> float:
        """Return the seconds since this driver began."""
        return time.monotonic() - self._began

    def poll(self, patience_s: float) -> list[Event]:
        """Return what happened to the children; waits at most so long while nothing does."""
        wait([source for keeper in self._keepers.values() for source in keeper.sources], patience_s)
        return [event for keeper in self._keepers.values() for event in keeper.poll()]

    def start(self, start: Start) -> None:
        """Send a trial to a child."""
        assignment = self._workplace.assignment(start.trial, start.attempt, start.left_s)
        self._keepers[start.worker].submit(assignment)

    def shut_down(self, worker: int) -> None:
        """Let a child end."""
        self._keepers[worker].send_home()

    def close(self) -> None:
        """Wait until all children are gone; the grace of those at work runs for all at once."""
        for keeper in self._keepers.values():
            keeper.send_home()
        waiting = list(self._keepers.values())
        while waiting := [keeper for keeper in waiting if not keeper.is_home()]:
            # Who saves something may print and report while it does, and must not be held up by that.
            for keeper in waiting:
                keeper.poll()
            time.sleep(0.01)
