"""The coordinator: a pure state machine, events in, actions out.

It knows no MPI, no clock and no file: the time comes with the events.  So what is simulated with any number
of workers is, line for line, what runs on the machine.

Its unit is the turn: everything that happened since the last one is taken in first, then free workers get
their trials, then the search is asked once for all that is missing.  No work is done for workers to which
nothing happened, so a turn costs the same whatever their number.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from deephpo.engine.backlog import Backlog
from deephpo.engine.buffer import SuggestionBuffer, depth_for
from deephpo.engine.deadline import Deadline, Durations
from deephpo.engine.events import (
    Action,
    Ask,
    Event,
    Foretell,
    PartDone,
    ShutDown,
    Start,
    Disband,
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
from deephpo.engine.gangs import Gang, Gangs
from deephpo.engine.roster import Roster
from deephpo.engine.sizes import Sizes
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
NOBODY = 0
"""The worker of a trial that was never started: there is none of that number."""
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
    ranks_per_trial: float = 1.0
    """How many workers train a trial, on the average."""


class Coordinator:
    """Decides what every worker does; one instance for one search."""

    def __init__(self, terms: Terms, backlog: Backlog | None = None) -> None:
        backlog = backlog or Backlog()
        self.exit_code: int | None = None
        """None while the search runs; then what the program is to end with."""
        self._terms = terms
        self._roster = Roster(terms.lease_s)
        self._gangs = Gangs()
        self._buffer = SuggestionBuffer()
        self._buffer.fill(backlog.waiting)
        self._suggested = backlog.suggested
        self._sizes = Sizes(terms.ranks_per_trial, backlog.sizes)
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
            case PartDone():
                return self._release(event, now_s)
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
        actions = self._lose(worker, "it started anew", now_s) if worker in self._roster else []
        self._roster.join(worker, host, now_s)
        return [*actions, Write(WorkerJoined(now_s, worker, host))]

    def _hear(self, worker: int, now_s: float) -> list[Action]:
        if worker in self._roster:
            self._roster.renew_lease(worker, now_s)
        elif self._roster.is_silent_and_free(worker):  # one that has a trial is welcome when that ends
            return self._welcome(worker, "", now_s)
        return []

    def _call_the_roll(self, now_s: float) -> list[Action]:
        """Give up the workers whose lease ran out."""
        actions: list[Action] = []
        while (worker := self._roster.overdue(now_s)) is not None:
            gang = self._gangs.of(worker)
            actions += self._lose(worker, f"not a word from it for {self._terms.lease_s:g} s", now_s)
            self._roster.fall_silent(worker, had_trial=gang is not None)
            if gang is not None and len(gang.workers) > 1:  # it would wait for the others, which are gone
                actions.append(Disband(worker, gang.trial.id))
        return actions

    def _lose(self, worker: int, reason: str, now_s: float) -> list[Action]:
        was_lost = worker in self._roster.lost
        self._roster.lose(worker, reason)
        if was_lost:
            return []
        actions: list[Action] = []
        gang = self._gangs.of(worker)
        self._gangs.release(worker)
        if gang is not None and self._gangs.runs(gang):
            actions = self._preempt_or_give_up(worker, gang, reason, now_s)
        return [*actions, Write(WorkerLost(now_s, worker, reason))]

    def _preempt_or_give_up(self, worker: int, gang: Gang, reason: str, now_s: float) -> list[Action]:
        """Let a trial that lost a worker go out again, unless it lost too many."""
        trial, released = gang.trial, self._dissolve(gang)
        self._losses[trial.id] += 1
        if self._losses[trial.id] <= self._terms.retries:
            self._buffer.put_back(trial)
            return [*released, _preempted(worker, trial, reason, now_s)]
        why = f"given up: it lost {self._losses[trial.id]} workers, the last one because: {reason}"
        outcome = Outcome(trial.id, TrialState.FAILED, reason=why)
        return released + self._record_end(worker, trial, outcome, now_s)

    # Trials report and end.

    def _note(self, event: TrialReported, now_s: float) -> list[Action]:
        gang = self._gangs.at(event.worker, event.report.trial_id)
        if gang is None or not self._gangs.runs(gang):
            return []
        self._roster.renew_lease(event.worker, now_s)
        actions: list[Action] = [Write(Reported(now_s, event.report))]
        metric = self._terms.interim
        if metric is not None and metric in event.report.metrics:
            actions.append(Foretell(event.report.trial_id, event.report.metrics[metric]))
        return actions

    def _settle(self, event: TrialEnded, now_s: float) -> list[Action]:
        worker, outcome = event.worker, event.outcome
        gang = self._gangs.at(worker, outcome.trial_id)
        if gang is None:
            return self._ignore(worker, outcome, now_s)
        self._set_free(worker, now_s)
        if not self._gangs.runs(gang):  # it was over before, and this worker's part with it
            return []
        trial, released = gang.trial, self._dissolve(gang)
        if outcome.state is TrialState.PREEMPTED:  # not its own fault, and not told to the search
            self._buffer.put_back(trial)
            return [*released, Write(Ended(now_s, worker, outcome))]
        if outcome.state is TrialState.COMPLETED:
            self._durations.add(now_s - gang.started_s)
        elif outcome.state is TrialState.FAILED and len(gang.workers) > 1:
            place = gang.workers.index(worker)
            reason = f"on rank {place} of its {len(gang.workers)}: {outcome.reason}"
            outcome = replace(outcome, reason=reason)
        return released + self._record_end(worker, trial, outcome, now_s)

    def _release(self, event: PartDone, now_s: float) -> list[Action]:
        """Let a worker be free that did its part; its trial goes on as long as the others are at it."""
        if self._gangs.at(event.worker, event.trial_id) is not None:
            self._set_free(event.worker, now_s)
        elif self._roster.is_silent(event.worker):
            return self._welcome(event.worker, "", now_s)
        return []

    def _set_free(self, worker: int, now_s: float) -> None:
        self._gangs.release(worker)
        self._roster.renew_lease(worker, now_s)
        self._roster.free(worker)

    def _dissolve(self, gang: Gang) -> list[Action]:
        """Let a trial be over for all of its workers."""
        return [Disband(worker, gang.trial.id) for worker in self._gangs.dissolve(gang)]

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
        silent = self._roster.is_silent(worker)
        why = "it came after its worker's lease had run out" if silent else "nobody waits for it"
        actions: list[Action] = [Write(Ignored(now_s, worker, outcome.trial_id, why))]
        return actions + self._welcome(worker, "", now_s) if silent else actions

    # Suggestions come in, trials go out.

    def _receive(self, event: SuggestionsMade, now_s: float) -> list[Action]:
        self._buffer.awaited = 0
        self._buffer.fill(event.trials)
        self._sizes.add(event.trials)
        self._suggested += len(event.trials)
        self._exhausted = event.exhausted
        return [Write(Suggested(now_s, event.trials, event.exhausted))]

    def _go_on(self, now_s: float) -> list[Action]:
        if self._is_too_late(now_s):
            return []
        return self._give_up_too_large(now_s) + self._hand_out(now_s) + self._ask(now_s)

    def _give_up_too_large(self, now_s: float) -> list[Action]:
        """Let trials fail that need more workers than are left."""
        actions: list[Action] = []
        left = self._left
        while (trial := self._buffer.take_too_large(left)) is not None:
            why = f"it needs {trial.ranks} workers, but only {left} are left"
            outcome = Outcome(trial.id, TrialState.FAILED, reason=why)
            actions += self._record_end(NOBODY, trial, outcome, now_s)
        return actions

    def _hand_out(self, now_s: float) -> list[Action]:
        """Start what can be started."""
        actions: list[Action] = []
        left_s, idle = self._left_s(now_s), self._roster.idle
        while idle and (trial := self._buffer.take(len(idle))) is not None:
            leader, *rest = self._gangs.form(trial, idle.take(trial.ranks), now_s).workers
            others, attempt = tuple(rest), self._starts[trial.id]
            self._starts[trial.id] = attempt + 1
            actions += [
                Write(Started(now_s, trial.id, leader, others)),
                Start(leader, trial, attempt, left_s, others),
            ]
        return actions

    def _ask(self, now_s: float) -> list[Action]:
        """Ask for what is missing; one Ask at a time, so that each knows all results before it."""
        if self._buffer.awaited or self._exhausted or not self._roster:
            return []
        missing = self._missing_of_batch() if self._terms.synchronous else self._missing()
        if self._terms.trials is not None:
            missing = min(missing, self._terms.trials - self._suggested)
        if missing <= 0:
            return []
        self._buffer.awaited = missing
        return [Write(Asked(now_s, missing)), Ask(missing)]

    def _missing(self) -> int:
        """Return how many trials are missing for the free workers, and for those that will soon be."""
        free = len(self._roster.idle)
        # Where there is room for one trial only the search is sequential, however many workers train it.
        ahead = depth_for(len(self._roster)) if self._sizes.leave_room(len(self._roster)) else 0
        missing = self._sizes.trials_for(free + ahead - self._buffer.ranks)
        if missing <= 0 and self._buffer.wants_smaller(free) and self._sizes.least <= free:
            return 1
        return min(missing, MOST_PER_ASK)

    def _missing_of_batch(self) -> int:
        """Return how many trials a batch lacks: one for each free worker until the first of its results.

        So workers that come one after the other are in the first batch too; nothing was learnt in between.
        """
        if not self._gangs and not len(self._buffer):
            self._batch_is_closed = False
        if self._batch_is_closed:
            return 0
        return self._sizes.trials_for(len(self._roster.idle) - self._buffer.ranks)

    # The end.

    @property
    def _left(self) -> float:
        """How many workers there can still be."""
        return math.inf if self._terms.workers is None else self._terms.workers - len(self._roster.lost)

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
        if self._exhausted and not self._gangs and not len(self._buffer):
            return self._end(
                f"nothing untried is left: all {self._suggested} configurations were tried", now_s
            )
        if self._unproven and self._settled >= HOPELESS_AFTER:
            reason = self._failures.most_common(1)[0][0]
            return self._end(f"all of the first {self._settled} trials failed, most often: {reason}", now_s)
        if (too_few := self._too_few()) is not None:
            return self._finish(too_few, CAN_BE_RESUMED, now_s)
        left_s = self._left_s(now_s)
        if left_s is not None and left_s <= 0:
            return self._run_out_of_time("the time is up", now_s)
        if not self._gangs and self._roster.idle and self._is_too_late(now_s):
            return self._run_out_of_time("no trial would be done before the time is up", now_s)
        return []

    def _too_few(self) -> str | None:
        """Return that there are too few workers for any trial, if so; with all of them it could go on."""
        left, last, least = self._left, self._roster.last_loss, math.ceil(self._sizes.least)
        if left <= 0:
            return f"no worker is left; the last one: {last}"
        if left < least <= (self._terms.workers or 0):
            return f"no trial is known that needs fewer than {least} workers, and {left} are left: {last}"
        return None

    def _run_out_of_time(self, reason: str, now_s: float) -> list[Action]:
        deadline = self._terms.deadline
        if self._terms.trials is None and deadline is not None and deadline.asked_for:
            return self._end(reason, now_s)
        return self._finish(reason, CAN_BE_RESUMED, now_s)

    def _end(self, reason: str, now_s: float) -> list[Action]:
        return self._finish(reason, ENDED_AS_ASKED if self._succeeded else NOTHING_SUCCEEDED, now_s)

    def _finish(self, reason: str, exit_code: int, now_s: float) -> list[Action]:
        self.exit_code = exit_code
        actions: list[Action] = [_preempted(gang.leader, gang.trial, reason, now_s) for gang in self._gangs]
        actions.append(Write(Finished(now_s, reason, exit_code)))
        return actions + [ShutDown(worker) for worker in self._roster.present()]


def _preempted(worker: int, trial: Trial, reason: str, now_s: float) -> Write:
    return Write(Ended(now_s, worker, Outcome(trial.id, TrialState.PREEMPTED, reason=reason)))
