"""The coordinator: a pure state machine, events in, actions out.

It knows no MPI, no clock and no file: the time comes with the events.  So what is simulated with any number
of workers is, line for line, what runs on the machine.

Its unit is the turn: everything that happened since the last one is taken in first, then free workers get
their trials, then the search is asked once for all that is missing.  No work is done for workers to which
nothing happened, so a turn costs the same whatever their number.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from deephpo.engine.backlog import Backlog
from deephpo.engine.buffer import SuggestionBuffer, depth_for
from deephpo.engine.deadline import Deadline, Durations
from deephpo.engine.events import (
    Action,
    Ask,
    Event,
    Foretell,
    ShutDown,
    Start,
    StopRequested,
    SuggestionsMade,
    Tell,
    TrialEnded,
    TrialReported,
    WorkerAlive,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.storage.records import (
    Asked,
    Ended,
    Finished,
    Ignored,
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

RETRIES = 2
MOST_PER_ASK = 1024
"""At the start of a search with very many workers the first of them need not wait for the trials of all."""
HOPELESS_AFTER = 20
"""If so many trials have ended and every one of them failed, something other than their values is wrong."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a search runs."""

    trials: int | None = None
    """It ends when so many are settled."""
    deadline: Deadline | None = None
    """It ends at this time, whatever is running."""
    retries: int = RETRIES
    """A trial that loses its worker goes out again, at most so often."""
    lease_s: float | None = None
    """A worker that is silent for longer is taken for lost; None: the driver always knows who is there."""
    resumable: bool = False
    """Whether a trial goes on from its own checkpoint when it is started again."""
    workers: int | None = None
    """How many workers there can be; when so many are lost the search ends.  None: more may come."""
    interim: str | None = None
    """The metric by which the search is told what running trials are worth so far; None: it is not told."""
    synchronous: bool = False
    """The next batch of trials is asked for only when every trial of the last one has ended."""


class Coordinator:
    """Decides what every worker does; one instance for one search."""

    def __init__(self, terms: Terms, backlog: Backlog | None = None) -> None:
        backlog = backlog or Backlog()
        self.exit_code: int | None = None
        """None while the search runs; then what the program is to end with."""
        self._terms = terms
        self._buffer = SuggestionBuffer()
        self._buffer.fill(backlog.waiting)
        self._suggested = backlog.suggested
        self._settled = backlog.settled
        self._succeeded = backlog.succeeded
        self._exhausted = False
        self._batch_is_closed = bool(backlog.waiting)
        """Whether a synchronous search asks for nothing more beside the trials that are out."""
        self._starts = Counter(backlog.starts)
        self._losses = Counter(backlog.losses)
        self._failures: Counter[str] = Counter()
        self._unproven = backlog.settled < HOPELESS_AFTER and not backlog.succeeded
        """Whether it is still to be seen that a trial need not fail."""
        self._durations = Durations()
        self._running: dict[int, tuple[Trial, float]] = {}
        """By worker: its trial, and when it was started."""
        self._idle: OrderedDict[int, None] = OrderedDict()
        """The workers that are free, the one that has been for longest first."""
        self._heard: OrderedDict[int, float] = OrderedDict()
        """The workers that are there, and when each was last heard of, the most silent one first."""
        self._silent: dict[int, bool] = {}
        """The workers whose lease ran out, and whether each had a trial then."""
        self._lost: set[int] = set()
        """The workers that are not there any more, the silent ones among them."""
        self._last_loss = ""

    @property
    def thinking(self) -> bool:
        """Whether the search owes an answer."""
        return self._buffer.awaited > 0

    def handle(self, events: Iterable[Event], now_s: float) -> list[Action]:
        """Return what is to be done about all that happened since the last turn, in this order.

        To be called without events too, since time goes by.  A result counts although it comes together with
        the end of the search, or with the loss of its worker.
        """
        if self.exit_code is not None:
            return []
        actions: list[Action] = []
        for event in events:
            actions += self._take(event, now_s)
            if self.exit_code is not None:
                return actions
        actions += self._call_the_roll(now_s)
        return actions + (self._end_if_done(now_s) or self._go_on(now_s))

    def _take(self, event: Event, now_s: float) -> list[Action]:
        match event:
            case TrialEnded():
                return self._settle(event, now_s)
            case TrialReported():
                return self._note(event, now_s)
            case WorkerAlive():
                return self._hear(event.worker, now_s)
            case SuggestionsMade():
                return self._receive(event, now_s)
            case WorkerReady():
                return self._welcome(event.worker, event.host, now_s)
            case WorkerGone():
                return self._lose(event.worker, event.reason, now_s)
            case StopRequested():
                return self._finish(event.reason, CAN_BE_RESUMED, now_s)

    # Workers come and go.

    def _welcome(self, worker: int, host: str, now_s: float) -> list[Action]:
        # One that is here already has started anew, and its trial with it.
        actions = self._lose(worker, "it started anew", now_s) if worker in self._heard else []
        self._silent.pop(worker, None)
        self._lost.discard(worker)
        self._heard[worker] = now_s
        self._idle[worker] = None
        return [*actions, Write(WorkerJoined(now_s, worker, host))]

    def _hear(self, worker: int, now_s: float) -> list[Action]:
        if worker in self._heard:
            self._renew_lease(worker, now_s)
        elif not self._silent.get(worker, True):  # one that still has a trial is welcome when that ends
            return self._welcome(worker, "", now_s)
        return []

    def _renew_lease(self, worker: int, now_s: float) -> None:
        self._heard[worker] = now_s
        self._heard.move_to_end(worker)

    def _call_the_roll(self, now_s: float) -> list[Action]:
        """Give up the workers whose lease ran out; only those are looked at, and the first that has time."""
        lease_s = self._terms.lease_s
        actions: list[Action] = []
        while lease_s is not None and self._heard:
            worker, heard_s = next(iter(self._heard.items()))
            if now_s - heard_s <= lease_s:
                break
            had_trial = worker in self._running
            actions += self._lose(worker, f"not a word from it for {lease_s:g} s", now_s)
            self._silent[worker] = had_trial
        return actions

    def _lose(self, worker: int, reason: str, now_s: float) -> list[Action]:
        self._silent.pop(worker, None)
        if worker in self._lost:
            return []
        self._lost.add(worker)
        self._heard.pop(worker, None)
        self._idle.pop(worker, None)
        self._last_loss = reason
        actions: list[Action] = []
        if worker in self._running:
            trial, _ = self._running.pop(worker)
            actions += self._preempt_or_give_up(worker, trial, reason, now_s)
        return [*actions, Write(WorkerLost(now_s, worker, reason))]

    def _preempt_or_give_up(self, worker: int, trial: Trial, reason: str, now_s: float) -> list[Action]:
        """Let a trial that lost its worker go out again, unless it lost too many."""
        self._losses[trial.id] += 1
        if self._losses[trial.id] <= self._terms.retries:
            self._buffer.put_back(trial)
            return [_preempted(worker, trial, reason, now_s)]
        why = f"given up: it lost {self._losses[trial.id]} workers, the last one because: {reason}"
        return self._record_end(worker, trial, Outcome(trial.id, TrialState.FAILED, reason=why), now_s)

    # Trials report and end.

    def _note(self, event: TrialReported, now_s: float) -> list[Action]:
        if not self._is_running(event.worker, event.report.trial_id):
            return []
        self._renew_lease(event.worker, now_s)
        actions: list[Action] = [Write(Reported(now_s, event.report))]
        metric = self._terms.interim
        if metric is not None and metric in event.report.metrics:
            actions.append(Foretell(event.report.trial_id, event.report.metrics[metric]))
        return actions

    def _settle(self, event: TrialEnded, now_s: float) -> list[Action]:
        worker, outcome = event.worker, event.outcome
        if not self._is_running(worker, outcome.trial_id):
            return self._ignore(worker, outcome, now_s)
        trial, started_s = self._running.pop(worker)
        self._renew_lease(worker, now_s)
        self._idle[worker] = None
        if outcome.state is TrialState.PREEMPTED:  # not its own fault, and not told to the search
            self._buffer.put_back(trial)
            return [Write(Ended(now_s, worker, outcome))]
        if outcome.state is TrialState.COMPLETED:
            self._durations.add(now_s - started_s)
        return self._record_end(worker, trial, outcome, now_s)

    def _record_end(self, worker: int, trial: Trial, outcome: Outcome, now_s: float) -> list[Action]:
        self._settled += 1
        self._batch_is_closed = True
        self._succeeded += outcome.state is TrialState.COMPLETED
        self._unproven = self._unproven and outcome.state is TrialState.FAILED
        if self._unproven:
            self._failures[outcome.reason] += 1
        del self._starts[trial.id], self._losses[trial.id]
        return [Write(Ended(now_s, worker, outcome)), Tell(trial, outcome)]

    def _ignore(self, worker: int, outcome: Outcome, now_s: float) -> list[Action]:
        """Say that a result came too late; a worker that was only slow is welcome again."""
        why = (
            "it came after its worker's lease had run out"
            if worker in self._silent
            else "nobody waits for it"
        )
        actions: list[Action] = [Write(Ignored(now_s, worker, outcome.trial_id, why))]
        if worker in self._silent:
            actions += self._welcome(worker, "", now_s)
        return actions

    def _is_running(self, worker: int, trial_id: int) -> bool:
        return worker in self._running and self._running[worker][0].id == trial_id

    # Suggestions come in, trials go out.

    def _receive(self, event: SuggestionsMade, now_s: float) -> list[Action]:
        self._buffer.awaited = 0
        self._buffer.fill(event.trials)
        self._suggested += len(event.trials)
        self._exhausted = event.exhausted
        return [Write(Suggested(now_s, event.trials, event.exhausted))]

    def _go_on(self, now_s: float) -> list[Action]:
        return [] if self._is_too_late(now_s) else self._hand_out(now_s) + self._ask(now_s)

    def _hand_out(self, now_s: float) -> list[Action]:
        """Start what can be started."""
        actions: list[Action] = []
        left_s = self._left_s(now_s)
        while self._idle and (trial := self._buffer.take()) is not None:
            worker, _ = self._idle.popitem(last=False)
            self._running[worker] = (trial, now_s)
            attempt = self._starts[trial.id]
            self._starts[trial.id] = attempt + 1
            actions += [Write(Started(now_s, trial.id, worker)), Start(worker, trial, attempt, left_s)]
        return actions

    def _ask(self, now_s: float) -> list[Action]:
        """Ask for what is missing; one Ask at a time, so that each knows all results before it."""
        if self._buffer.awaited or self._exhausted or not self._heard:
            return []
        if self._terms.synchronous:
            missing = self._missing_of_batch()
        else:
            missing = min(len(self._idle) + depth_for(len(self._heard)) - len(self._buffer), MOST_PER_ASK)
        if self._terms.trials is not None:
            missing = min(missing, self._terms.trials - self._suggested)
        if missing <= 0:
            return []
        self._buffer.awaited = missing
        return [Write(Asked(now_s, missing)), Ask(missing)]

    def _missing_of_batch(self) -> int:
        """Return how many trials a batch lacks: one for each free worker until the first of its results.

        So workers that come one after the other are in the first batch too; nothing was learnt in between.
        """
        if not self._running and not len(self._buffer):
            self._batch_is_closed = False
        return 0 if self._batch_is_closed else len(self._idle) - len(self._buffer)

    # The end.

    def _left_s(self, now_s: float) -> float | None:
        deadline = self._terms.deadline
        return None if deadline is None else deadline.time_s - now_s

    def _is_too_late(self, now_s: float) -> bool:
        """Return whether a trial that started now would, as trials go, not be done in time."""
        left_s = self._left_s(now_s)
        return left_s is not None and not self._terms.resumable and self._durations.typical_s > left_s

    def _end_if_done(self, now_s: float) -> list[Action]:
        trials = self._terms.trials
        if trials is not None and self._settled >= trials:
            return self._end(f"all {trials} trials are done", now_s)
        if self._exhausted and not self._running and not len(self._buffer):
            return self._end(
                f"nothing untried is left: all {self._suggested} configurations were tried", now_s
            )
        if self._unproven and self._settled >= HOPELESS_AFTER:
            reason = self._failures.most_common(1)[0][0]
            return self._end(f"all of the first {self._settled} trials failed, most often: {reason}", now_s)
        if self._terms.workers is not None and len(self._lost) >= self._terms.workers:
            return self._finish(f"no worker is left; the last one: {self._last_loss}", CAN_BE_RESUMED, now_s)
        left_s = self._left_s(now_s)
        if left_s is not None and left_s <= 0:
            return self._run_out_of_time("the time is up", now_s)
        if not self._running and self._idle and self._is_too_late(now_s):
            return self._run_out_of_time("no trial would be done before the time is up", now_s)
        return []

    def _run_out_of_time(self, reason: str, now_s: float) -> list[Action]:
        deadline = self._terms.deadline
        if self._terms.trials is None and deadline is not None and deadline.asked_for:
            return self._end(reason, now_s)
        return self._finish(reason, CAN_BE_RESUMED, now_s)

    def _end(self, reason: str, now_s: float) -> list[Action]:
        return self._finish(reason, ENDED_AS_ASKED if self._succeeded else NOTHING_SUCCEEDED, now_s)

    def _finish(self, reason: str, exit_code: int, now_s: float) -> list[Action]:
        self.exit_code = exit_code
        actions: list[Action] = [
            _preempted(worker, trial, reason, now_s) for worker, (trial, _) in self._running.items()
        ]
        actions.append(Write(Finished(now_s, reason, exit_code)))
        return actions + [ShutDown(worker) for worker in sorted(self._heard)]


def _preempted(worker: int, trial: Trial, reason: str, now_s: float) -> Write:
    return Write(Ended(now_s, worker, Outcome(trial.id, TrialState.PREEMPTED, reason=reason)))
