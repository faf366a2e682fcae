"""The local driver: warm child processes on one machine, no MPI."""

from __future__ import annotations

import os
import platform
import time
from multiprocessing.connection import wait

from deephpo.engine.events import Event, StopRequested, TrialEnded, TrialReported, WorkerGone, WorkerReady
from deephpo.trial import Outcome, Report, Trial
from deephpo.worker.messages import Gone, Loaded
from deephpo.worker.process import TrialProcess
from deephpo.worker.workplace import Workplace, thread_limits


def cores_here() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalDriver:
    """Keeps W children, the workers 1 to W."""

    def __init__(self, workplace: Workplace, workers: int) -> None:
        self._workplace = workplace
        self._began = time.monotonic()
        self._host = platform.node()
        limits = thread_limits(cores_here() / workers)
        self._processes = {
            worker: TrialProcess(workplace.target, workplace.output_of(worker), limits)
            for worker in range(1, workers + 1)
        }
        self._welcomed: set[int] = set()

    def now(self) -> float:
        """Return the seconds since the search began."""
        return time.monotonic() - self._began

    def poll(self, patience_s: float) -> list[Event]:
        """Return what the children said; waits at most so long while they say nothing."""
        wait([source for process in self._processes.values() for source in process.sources], patience_s)
        return [event for worker in list(self._processes) for event in self._hear(worker)]

    def start(self, worker: int, trial: Trial) -> None:
        """Send a trial to a child; to one that is just lost, nothing: the engine hears of it next."""
        if worker in self._processes:
            self._processes[worker].submit(self._workplace.assignment(trial))

    def shut_down(self, worker: int) -> None:
        """Kill a child, and whatever it is doing; one that is lost is dead already."""
        if worker in self._processes:
            self._processes.pop(worker).kill()

    def close(self) -> None:
        """Kill all children that are left."""
        for worker in list(self._processes):
            self.shut_down(worker)

    def _hear(self, worker: int) -> list[Event]:
        events: list[Event] = []
        for message in self._processes[worker].poll():
            match message:
                case Loaded() if worker not in self._welcomed:
                    self._welcomed.add(worker)
                    events.append(WorkerReady(worker, self._host))
                case Report():
                    events.append(TrialReported(worker, message))
                case Outcome():
                    events.append(TrialEnded(worker, message))
                case Gone():
                    events += self._bury(worker, message.reason)
        return events

    def _bury(self, worker: int, reason: str) -> list[Event]:
        self._processes.pop(worker)
        events: list[Event] = [WorkerGone(worker, reason)]
        if not self._processes:
            events.append(StopRequested(f"no worker is left; the last one: {reason}"))
        return events
