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
from dataclasses import dataclass, field, replace

from deephpo.engine.events import (
    Disband,
    Event,
    PartDone,
    Start,
    Stop,
    TrialEnded,
    TrialReported,
    WorkerReady,
)
from deephpo.errors import ProblemError
from deephpo.trial import Outcome, Report, Trial, TrialState
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
        self._queue: list[_Due] = []
        self._posted = 0
        self._running: dict[int, _Course] = {}
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
        while self._queue and _is_over(self._queue[0]):
            heapq.heappop(self._queue)
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
        course = _Course(start, self._now_s + duration_s)
        self._running[trial.id] = course
        for k, report in enumerate(reports, start=1):
            due_s = self._now_s + duration_s * k / (len(reports) + 1)
            self._post(due_s, TrialReported(worker, report), course)
        self._post_end(course, course.ends_s, outcome)
        course.trainings = [self.clock.started(duration_s) for _ in start.workers]
        self.clock.go_on()

    def stop(self, stop: Stop) -> None:
        """Let a trial end with its next report, as one does that never asks whether it should."""
        if course := self._running.get(stop.trial_id):
            course.told_to_stop = True

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
            due = heapq.heappop(self._queue)
            if _is_over(due):
                continue
            self._now_s, _, event, course = due
            events.append(event)
            if isinstance(event, TrialEnded):
                del self._running[event.outcome.trial_id]
            elif course is not None and course.told_to_stop and isinstance(event, TrialReported):
                self._cut_short(course)
        if not events:
            self._now_s = self._until_s
        return events

    def _cut_short(self, course: _Course) -> None:
        """Let a trial end now, and what it would still have said not happen."""
        trial_id, left_s = course.start.trial.id, course.ends_s - self._now_s
        course.over = True
        for training in course.trainings:
            self.clock.cut_short(training, left_s)
        again = self._running[trial_id] = _Course(course.start, self._now_s)
        self._post_end(again, self._now_s, Outcome(trial_id, TrialState.STOPPED))

    def _post_end(self, course: _Course, time_s: float, outcome: Outcome) -> None:
        for other in course.start.others:
            self._post(time_s, PartDone(other, outcome.trial_id), course)
        self._post(time_s, TrialEnded(course.start.worker, outcome), course)

    def _post(self, time_s: float, event: Event, course: _Course | None = None) -> None:
        heapq.heappush(self._queue, (time_s, self._posted, event, course))
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


@dataclass(slots=True, eq=False)
class _Course:
    """A running trial, whose reports and end are known beforehand here."""

    start: Start
    ends_s: float
    trainings: list[Training] = field(default_factory=list)
    """What the master's clock knows of it, for each of its workers."""
    told_to_stop: bool = False
    over: bool = False
    """Whether it ended otherwise than was known beforehand."""


Training = tuple[float, bool]
"""When a trial ends on the master's clock, and whether its time counts there."""


_Due = tuple[float, int, Event, _Course | None]
"""What happens when, the how manieth of all, and in the course of which trial."""


def _is_over(due: _Due) -> bool:
    return due[3] is not None and due[3].over


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
        self._trainings: list[Training] = []
        """The running trials; a heap."""
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
            ended_s, _ = heapq.heappop(self._trainings)
            self._free_since_s.append(ended_s)
            self._now_s = max(self._now_s, ended_s)

    def started(self, duration_s: float) -> Training:
        """Note that a worker got a trial just now; returns what :meth:`cut_short` takes."""
        free_since_s = self._free_since_s.popleft()
        training = self._now_s + duration_s, free_since_s is not None
        heapq.heappush(self._trainings, training)
        if free_since_s is None:
            self.startup_s = self._now_s
        else:
            self._waited_s += self._now_s - free_since_s
            self._trained_s += duration_s
        return training

    def cut_short(self, training: Training, left_s: float) -> None:
        """Let a trial end so much sooner, unless its end already stood for another's."""
        if training not in self._trainings:
            return
        self._trainings.remove(training)
        ends_s, counts = training
        self._trainings.append((ends_s - left_s, counts))
        heapq.heapify(self._trainings)
        self._trained_s -= left_s * counts

    @property
    def utilisation(self) -> float | None:
        """The share of the workers' time that went into trials rather than into waiting for the next one.

        None as long as no worker had a second trial.
        """
        total_s = self._trained_s + self._waited_s
        return self._trained_s / total_s if total_s else None
