"""The simulated driver: real evaluations in one child, durations in virtual time, any number of workers.

There are two clocks.  Virtual time orders everything: it passes with the drawn durations alone, thinking
takes none of it, and so a simulation with a seed repeats to the byte.  What the master's work would have cost
is kept on a second clock beside it (:class:`MasterClock`), and ``utilisation`` is read there.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from deephpo.engine.events import Disband, Event, PartDone, Start, TrialEnded, TrialReported, WorkerReady
from deephpo.errors import ProblemError
from deephpo.trial import Outcome, Report, Trial
from deephpo.worker.messages import Gone, Lasted
from deephpo.worker.process import TrialProcess
from deephpo.worker.workplace import Workplace

GRAIN_S = 0.02
"""What is due within so much of the first event comes with it, as to a master that looks now and then."""


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
        """Return what happens next and move time to the last of it; nothing if the search answers first."""
        self.clock.stop()
        events = self._next_events() if patience_s and self._queue else []
        self.clock.turn_to(
            new=sum(isinstance(event, WorkerReady) for event in events),
            freed=sum(isinstance(event, TrialEnded | PartDone) for event in events),
        )
        self.clock.go_on()
        return events

    def start(self, start: Start) -> None:
        """Evaluate the trial now, and let its reports and its end come when they are due."""
        worker, trial = start.worker, start.trial
        self.clock.stop()
        reports, outcome, duration_s = self._evaluate(trial)
        for other in start.others:
            self._post(self._now_s + duration_s, PartDone(other, trial.id))
        for k, report in enumerate(reports, start=1):
            self._post(self._now_s + duration_s * k / (len(reports) + 1), TrialReported(worker, report))
        self._post(self._now_s + duration_s, TrialEnded(worker, outcome))
        for _ in start.workers:
            self.clock.started(duration_s)
        self.clock.go_on()

    def disband(self, disband: Disband) -> None:
        """Let a worker's part of a trial end, which it does at the same time as the others' here."""

    def shut_down(self, worker: int) -> None:
        """Send a worker home, which takes no time here."""

    def close(self) -> None:
        """Kill the child."""
        self.clock.stop()
        self._process.kill()

    def _next_events(self) -> list[Event]:
        until_s = min(self._queue[0][0] + GRAIN_S, self._until_s)
        events: list[Event] = []
        while self._queue and self._queue[0][0] <= until_s:
            self._now_s, _, event = heapq.heappop(self._queue)
            events.append(event)
        if not events:
            self._now_s = self._until_s
        return events

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
    """The second clock: the master is one server that works off turn after turn, at the CPU time each took.

    A turn is not begun before the last of its results came, and each worker that is started in it waits until
    it is its own trial's turn.  Workers have no names here: the one that is free for longest gets the next
    trial, and those whose trials end next on this clock stand for those whose results came in virtual time.
    Else a delay, the start-up's above all, would be charged anew whenever the two clocks differ in the order.

    What counts is each worker's wait for its second trial and the following ones, and these trials.  The
    first wave is start-up and stands apart.  Nor is the tail counted, when the time is nearly up and a free
    worker gets nothing more.  All this is pessimistic: here the master does one thing after the other, while
    on a real machine thinking and message handling are two threads.

    process_s: returns the CPU seconds that this process has used.  The clock runs between :meth:`go_on` and
    :meth:`stop`; evaluations are done in between, and free.
    """

    def __init__(self, process_s: Callable[[], float] = time.process_time) -> None:
        self.cpu_s = 0.0
        """CPU seconds that the master has used."""
        self.startup_s = 0.0
        """When the last worker got its first trial."""
        self._process_s = process_s
        self._mark_s: float | None = None
        self._now_s = 0.0
        self._ends_s: list[float] = []
        """When each running trial ends; a heap."""
        self._free_since_s: deque[float | None] = deque()
        """The free workers, the one that is so for longest first; None is one that never had a trial."""
        self._trained_s = 0.0
        self._waited_s = 0.0

    def stop(self) -> None:
        """Charge what was used since the clock went on."""
        if self._mark_s is not None:
            used_s = self._process_s() - self._mark_s
            self.cpu_s += used_s
            self._now_s += used_s
            self._mark_s = None

    def go_on(self) -> None:
        """Let the clock run."""
        self._mark_s = self._process_s()

    def turn_to(self, new: int, freed: int) -> None:
        """Take note of so many new workers, and of so many ended trials; not before the last one ended."""
        self._free_since_s.extend([None] * new)
        for _ in range(freed):
            ended_s = heapq.heappop(self._ends_s)
            self._free_since_s.append(ended_s)
            self._now_s = max(self._now_s, ended_s)

    def started(self, duration_s: float) -> None:
        """Note that a worker got a trial just now."""
        free_since_s = self._free_since_s.popleft()
        heapq.heappush(self._ends_s, self._now_s + duration_s)
        if free_since_s is None:
            self.startup_s = self._now_s
        else:
            self._waited_s += self._now_s - free_since_s
            self._trained_s += duration_s

    @property
    def utilisation(self) -> float | None:
        """The share of the workers' time that went into trials rather than into waiting for the next one.

        None as long as no worker had a second trial.
        """
        total_s = self._trained_s + self._waited_s
        return self._trained_s / total_s if total_s else None
