"""The coordinator: a pure state machine, events in, actions out.

It knows no MPI, no clock and no file: the time comes with each event.  So what is simulated with any number
of workers is, line for line, what runs on the machine.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from deephpo.engine.buffer import SuggestionBuffer, depth_for
from deephpo.engine.events import (
    Action,
    Ask,
    Event,
    ShutDown,
    Start,
    StopRequested,
    SuggestionsMade,
    Tell,
    Tick,
    TrialEnded,
    TrialReported,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.storage.records import (
    Asked,
    Ended,
    Finished,
    Reported,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.trial import Outcome, Trial, TrialState

ENDED_AS_ASKED = 0
NOTHING_SUCCEEDED = 3
CAN_BE_RESUMED = 75


@dataclass(frozen=True, slots=True)
class Goal:
    """When a search is done: so many settled trials, or so many seconds, whichever comes first."""

    trials: int | None = None
    time_s: float | None = None


class Coordinator:
    """Decides what every worker does; one instance for one search."""

    def __init__(self, goal: Goal) -> None:
        self.exit_code: int | None = None
        """None while the search runs; then what the program is to end with."""
        self._goal = goal
        self._buffer = SuggestionBuffer()
        self._running: dict[int, Trial] = {}
        self._idle: deque[int] = deque()
        self._workers: set[int] = set()
        self._suggested = 0
        self._settled = 0
        self._succeeded = 0
        self._exhausted = False

    @property
    def thinking(self) -> bool:
        """Whether the search owes an answer."""
        return self._buffer.awaited > 0

    def handle(self, event: Event, now_s: float) -> list[Action]:
        """Return what is to be done about an event, in this order."""
        if self.exit_code is not None:
            return []
        match event:
            case WorkerReady():
                actions = self._welcome(event, now_s)
            case WorkerGone():
                actions = self._lose(event, now_s)
            case TrialReported():
                actions = self._note(event, now_s)
            case TrialEnded():
                actions = self._settle(event, now_s)
            case SuggestionsMade():
                actions = self._receive(event, now_s)
            case StopRequested():
                return self._finish(event.reason, CAN_BE_RESUMED, now_s)
            case Tick():
                actions = []
        return actions + (self._end_if_done(now_s) or self._hand_out(now_s))

    def _welcome(self, event: WorkerReady, now_s: float) -> list[Action]:
        self._workers.add(event.worker)
        self._idle.append(event.worker)
        return [Write(WorkerJoined(now_s, event.worker, event.host))]

    def _lose(self, event: WorkerGone, now_s: float) -> list[Action]:
        self._workers.discard(event.worker)
        if event.worker in self._idle:
            self._idle.remove(event.worker)
        actions: list[Action] = []
        trial = self._running.pop(event.worker, None)
        if trial is not None:
            self._buffer.put_back(trial)
            actions.append(_preempt(event.worker, trial, event.reason, now_s))
        return [*actions, Write(WorkerLost(now_s, event.worker, event.reason))]

    def _note(self, event: TrialReported, now_s: float) -> list[Action]:
        trial = self._running.get(event.worker)
        if trial is None or trial.id != event.report.trial_id:
            return []
        return [Write(Reported(now_s, event.report))]

    def _settle(self, event: TrialEnded, now_s: float) -> list[Action]:
        trial = self._running.get(event.worker)
        if trial is None or trial.id != event.outcome.trial_id:
            return []
        del self._running[event.worker]
        self._idle.append(event.worker)
        record = Write(Ended(now_s, event.worker, event.outcome))
        if event.outcome.state is TrialState.PREEMPTED:
            self._buffer.put_back(trial)
            return [record]
        self._settled += 1
        self._succeeded += event.outcome.state is TrialState.COMPLETED
        return [record, Tell(trial, event.outcome)]

    def _receive(self, event: SuggestionsMade, now_s: float) -> list[Action]:
        self._buffer.awaited = 0
        self._buffer.fill(event.trials)
        self._suggested += len(event.trials)
        self._exhausted = event.exhausted
        return [Write(Suggested(now_s, event.trials, event.exhausted))]

    def _hand_out(self, now_s: float) -> list[Action]:
        """Start what can be started, and ask for what will be missing."""
        actions: list[Action] = []
        while self._idle and (trial := self._buffer.take()) is not None:
            worker = self._idle.popleft()
            self._running[worker] = trial
            actions += [Write(Started(now_s, trial.id, worker)), Start(worker, trial)]
        missing = self._missing()
        if missing > 0:
            self._buffer.awaited = missing
            actions += [Write(Asked(now_s, missing)), Ask(missing)]
        return actions

    def _missing(self) -> int:
        """Return how many trials to ask for; one Ask at a time, so that each knows all results before it."""
        if self._buffer.awaited or self._exhausted or not self._workers:
            return 0
        wanted = len(self._idle) + depth_for(len(self._workers)) - len(self._buffer)
        if self._goal.trials is not None:
            wanted = min(wanted, self._goal.trials - self._suggested)
        return wanted

    def _end_if_done(self, now_s: float) -> list[Action]:
        if self._goal.trials is not None and self._settled >= self._goal.trials:
            return self._end(f"all {self._goal.trials} trials are done", now_s)
        if self._exhausted and not self._running and not len(self._buffer):
            return self._end(
                f"nothing untried is left: all {self._suggested} configurations were tried", now_s
            )
        if self._goal.time_s is not None and now_s >= self._goal.time_s:
            if self._goal.trials is None:
                return self._end("the time is up", now_s)
            return self._finish("the time is up before all trials were done", CAN_BE_RESUMED, now_s)
        return []

    def _end(self, reason: str, now_s: float) -> list[Action]:
        return self._finish(reason, ENDED_AS_ASKED if self._succeeded else NOTHING_SUCCEEDED, now_s)

    def _finish(self, reason: str, exit_code: int, now_s: float) -> list[Action]:
        self.exit_code = exit_code
        actions: list[Action] = [
            _preempt(worker, trial, reason, now_s) for worker, trial in self._running.items()
        ]
        actions.append(Write(Finished(now_s, reason, exit_code)))
        return actions + [ShutDown(worker) for worker in sorted(self._workers)]


def _preempt(worker: int, trial: Trial, reason: str, now_s: float) -> Write:
    return Write(Ended(now_s, worker, Outcome(trial.id, TrialState.PREEMPTED, reason=reason)))
