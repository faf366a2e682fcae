"""The local driver: warm child processes on one machine, no MPI."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from multiprocessing.connection import wait

from deephpo.drivers.keeper import Keeper, assignments
from deephpo.engine.events import Disband, Event, Start, Stop
from deephpo.errors import LaunchError
from deephpo.hardware.devices import share_out, visible_devices
from deephpo.worker.messages import Meeting
from deephpo.worker.process import PROCESS_LIMITS, SHORTAGES
from deephpo.worker.workplace import Workplace


def cores_here() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalDriver:
    """Keeps W children, the workers 1 to W.

    Raises LaunchError if the machine has no room for so many processes.
    """

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self._workplace = workplace
        self._began = time.monotonic()
        cores = cores_here() / workers
        # On a machine of one's own several trials may share what is there.
        owned = share_out([visible_devices()] * workers, share=True)
        self._keepers: dict[int, Keeper] = {}
        try:
            for worker, devices in enumerate(owned, start=1):
                self._keepers[worker] = Keeper(worker, workplace, cores, devices, self._post)
        except OSError as error:
            self.close()
            if error.errno not in SHORTAGES:
                raise
            raise LaunchError(
                f"{len(self._keepers)} of {workers} workers could be started on this machine, then no more: "
                f"{error.strerror}. Say fewer with --workers, or raise the limit: {PROCESS_LIMITS}."
            ) from error

    def now(self) -> float:
        """Return the seconds since this driver began."""
        return time.monotonic() - self._began

    def poll(self, patience_s: float) -> list[Event]:
        """Return what happened to the children; waits at most so long while nothing does."""
        wait([source for keeper in self._keepers.values() for source in keeper.sources], patience_s)
        return [event for keeper in self._keepers.values() for event in keeper.poll()]

    def start(self, start: Start) -> None:
        """Send a trial to a child, or to several."""
        hosts = (platform.node(),) * len(start.workers)
        for worker, assignment in assignments(self._workplace, start, hosts):
            self._keepers[worker].submit(assignment)

    def stop(self, stop: Stop) -> None:
        """Tell a child's trial that it is to end."""
        self._keepers[stop.worker].stop(stop.trial_id, stop.grace_s)

    def disband(self, disband: Disband) -> None:
        """Let a child's part of a trial end that is over."""
        self._keepers[disband.worker].disband(disband.trial_id)

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

    def _post(self, workers: Sequence[int], meeting: Meeting) -> None:
        for worker in workers:
            self._keepers[worker].pass_on(meeting)
