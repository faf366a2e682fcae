"""The simulated driver: real evaluations in one child, durations in virtual time, any number of workers.

The order of all results follows from the durations alone, so a simulation with a seed repeats to the byte.
What the master's thinking would have cost is kept on a second clock beside it: there the master is one server
that works off events one after the other, each at the CPU time that it really took, and a worker waits until
its answer is there.  ``utilisation`` is read off that clock.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from deephpo.engine.events import Event, Start, TrialEnded, TrialReported, WorkerReady
from deephpo.errors import ProblemError
from deephpo.trial import Outcome, Report, Trial
from deephpo.worker.messages import Gone, Lasted
from deephpo.worker.process import TrialProcess
from deephpo.worker.workplace import Workplace


class SimulatedDriver:
    """W workers in virtual time.

    durations: from a trial's id to its seconds.
    problem_decides: whether a problem that says how long a trial takes is believed.
    until_s: the time limit of the search; virtual time does not go beyond it.
    """

    def __init__(
        self,
        workplace: Workplace,
        workers: int,
        durations: Callable[[int], float],
        problem_decides: bool = True,
        until_s: float = math.inf,
    ) -> None:
        self._workplace = workplace
        self._durations = durations
        self._problem_decides = problem_decides
        self._until_s = until_s
        self._process = TrialProcess(workplace.target)
        self._queue: list[tuple[float, int, Event]] = []
        self._posted = 0
        self._now_s = 0.0
        self.clock = MasterClock()
        for worker in range(1, workers + 1):
            self._post(0.0, WorkerReady(worker, "simulated"))

    def now(self) -> float:
        """Return the virtual seconds since the search began."""
        return self._now_s

    def poll(self, patience_s: float) -> list[Event]:
        """Return the next event and move the clock to it; nothing if the search answers first."""
        self.clock.stop()
        if patience_s == 0.0 or not self._queue:
            self.clock.go_on()
            return []
        if self._queue[0][0] > self._until_s:
            self._now_s = self._until_s
            return []
        self._now_s, _, event = heapq.heappop(self._queue)
        self.clock.go_on(event.worker if isinstance(event, TrialEnded | WorkerReady) else None)
        return [event]

    def start(self, start: Start) -> None:
        """Evaluate the trial now, and let its reports and its end come when they are due."""
        worker, trial = start.worker, start.trial
        self.clock.stop()
        reports, outcome, duration_s = self._evaluate(trial)
        for k, report in enumerate(reports, start=1):
            self._post(self._now_s + duration_s * k / (len(reports) + 1), TrialReported(worker, report))
        self._post(self._now_s + duration_s, TrialEnded(worker, outcome))
        self.clock.go_on()
        self.clock.started(worker, duration_s)

    def shut_down(self, worker: int) -> None:
        """Send a worker home, which takes no time here."""

    def close(self) -> None:
        """Kill the child."""
        self.clock.stop()
        self._process.kill()

    def _post(self, time_s: float, event: Event) -> None:
        heapq.heappush(self._queue, (time_s, self._posted, event))
        self._posted += 1

    def _evaluate(self, trial: Trial) -> tuple[list[Report], Outcome, float]:
        from multiprocessing.connection import wait

        assignment = self._workplace.assignment(trial)
        self._process.submit(replace(assignment, wants_duration=self._problem_decides))
        reports: list[Report] = []
        duration_s = self._durations(trial.id)
        while True:
            wait(self._process.sources, timeout=1.0)
            for message in self._process.poll():
                match message:
                    case Report():
                        reports.append(message)
                    case Lasted():
                        duration_s = max(1e-3, message.duration_s)
                    case Outcome():
                        return reports, message, duration_s
                    case Gone():
                        raise ProblemError(message.reason)


class MasterClock:
    """The clock on which the master's own CPU time passes; it runs between :meth:`go_on` and :meth:`stop`."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        """CPU seconds that the master has used."""
        self._mark: float | None = None
        self._free_s = 0.0
        self._ready_s: dict[int, float] = defaultdict(float)
        self._busy_s = 0.0
        self._waited_s = 0.0

    def stop(self) -> None:
        """Charge what was used since the clock went on."""
        if self._mark is not None:
            used = time.process_time() - self._mark
            self.cpu_s += used
            self._free_s += used
            self._mark = None

    def go_on(self, worker: int | None = None) -> None:
        """Let the clock run; if the master turns to a free worker, not before that worker is free."""
        if worker is not None:
            self._free_s = max(self._free_s, self._ready_s[worker])
        self._mark = time.process_time()

    def started(self, worker: int, duration_s: float) -> None:
        """Note that a worker got a trial just now."""
        used = time.process_time() - self._mark if self._mark is not None else 0.0
        start_s = self._free_s + used
        self._waited_s += start_s - self._ready_s[worker]
        self._busy_s += duration_s
        self._ready_s[worker] = start_s + duration_s

    @property
    def utilisation(self) -> float:
        """The share of the workers' time that went into trials rather than into waiting for the next one."""
        total_s = self._busy_s + self._waited_s
        return self._busy_s / total_s if total_s else 0.0
