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
from dataclasses import replace

from deephpo.engine.backlog import Backlog
from deephpo.engine.buffer import SuggestionBuffer
from deephpo.engine.deadline import Durations
from deephpo.engine.demand import Demand
from deephpo.engine.events import (
    Action,
    Ask,
    Disband,
    Event,
    Foretell,
    PartDone,
    ShutDown,
    Start,
    Stop,
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
from deephpo.engine.retries import Retries
from deephpo.engine.roster import Roster
from deephpo.engine.standing import Standing
from deephpo.engine.terms import Terms
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.storage.records import (
    CAN_BE_RESUMED,
    ENDED_AS_ASKED,
    NOTHING_SUCCEEDED,
    Asked,
    Ended,
    Finished,
    Ignored,
    Judged,
    Promoted,
    Reported,
    Started,
    Suggested,
    WorkerJoined,
    WorkerLost,
)
from deephpo.trial import Outcome, Report, Trial, TrialState


class Coordinator:
    """Decides what every worker does; one instance for one search.

    backlog: what is left to do, as an earlier process left it.  judge: stops hopeless trials.
    """

    def __init__(self, terms: Terms, backlog: Backlog | None = None, judge: Judge | None = None) -> None:
        backlog = backlog or Backlog()
        self.exit_code: int | None = None
        """None while the search runs; then what the program is to end with."""
        self._terms = terms
        self._roster = Roster(terms.lease_s, backlog.node_s)
        self._gangs = Gangs()
        self._buffer = SuggestionBuffer()
        self._buffer.fill(backlog.waiting)
        self._demand = Demand(terms.trials, terms.synchronous, terms.ranks_per_trial, backlog)
        self._standing = Standing(terms, backlog)
        self._starts = Counter(backlog.starts)
        self._retries = Retries(terms.retries, backlog.losses)
        self._durations = Durations()
        self._judge = judge or Judge(None, Subject(""))
        self._paused = {trial.id: trial for trial in backlog.paused} if terms.promote else {}
        """The stopped trials that may go on."""

    @property
    def thinking(self) -> bool:
        """Whether the search owes an answer."""
        return self._buffer.awaited > 0

    def handle(self, events: Iterable[Event], now_s: float) -> list[Action]:
        """Return what is to be done about all that happened since the last turn, in this order.

        To be called without events too, since time goes by.  A result counts although it comes together with
        the end of the search, or with the loss of its worker; a failure with the wish to end does not.
        """
        if self.exit_code is not None:
            return []
        actions: list[Action] = []
        for event in _without_victims(events):
            actions += self._take(event, now_s)
            if self.exit_code is not None:
                return actions
        actions += self._call_the_roll(now_s)
        actions += self._promote(now_s)
        self._buffer.fit_to(self._left)
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
        self._roster.lose(worker, reason, now_s)
        if was_lost:
            return []
        gang = self._gangs.of(worker)
        undecided = self._gangs.release(worker)
        if gang is not None and self._gangs.is_open(gang):
            given_up = self._retries.lose(gang.trial.id, reason)
            outcome = Outcome(gang.trial.id, TrialState.PREEMPTED, reason=reason)
            actions = self._preempt_or_give_up(worker, gang, outcome, given_up, now_s)
        else:
            actions = self._conclude(undecided, now_s)
        return [*actions, Write(WorkerLost(now_s, worker, reason))]

    def _preempt_or_give_up(
        self, worker: int, gang: Gang, outcome: Outcome, given_up: str | None, now_s: float
    ) -> list[Action]:
        """Let a trial that was cut off go out again, unless that happened too often; given_up: then why."""
        released = self._dissolve(gang)
        gang.verdict = None  # if it failed, then of this
        if given_up is None:
            preempted = Write(Ended(now_s, worker, outcome))
            return [*released, preempted, *self._conclude(self._gangs.leave(gang), now_s)]
        self._gangs.decide(gang)
        failed = replace(outcome, state=TrialState.FAILED, reason=given_up)
        return released + self._record_end(worker, gang.trial, failed, now_s)

    # Trials report and end.

    def _note(self, event: TrialReported, now_s: float) -> list[Action]:
        gang = self._gangs.at(event.worker, event.report.trial_id)
        if gang is None or not self._gangs.runs(gang):
            return []
        self._roster.renew_lease(event.worker, now_s)
        report, metric = event.report, self._terms.interim
        actions: list[Action] = [Write(Reported(now_s, report))]
        if metric is not None and metric in report.metrics:
            actions.append(Foretell(report.trial_id, report.metrics[metric]))
        return actions + self._judge_trial(gang, report, now_s)

    def _judge_trial(self, gang: Gang, report: Report, now_s: float) -> list[Action]:
        """Tell a trial that a rule takes for hopeless to stop; once in each attempt."""
        gang.reports += 1
        reason = self._judge.hear(report)
        if reason is None or gang.told_to_stop:
            return []
        gang.told_to_stop = True
        stop = Stop(gang.leader, report.trial_id, gang.grace_s(now_s))
        return [Write(Judged(now_s, report.trial_id, reason)), stop]

    def _settle(self, event: TrialEnded, now_s: float) -> list[Action]:
        worker, outcome = event.worker, event.outcome
        gang = self._gangs.at(worker, outcome.trial_id)
        if gang is None:
            return self._ignore(worker, outcome, now_s)
        undecided = self._part(worker, now_s)
        if outcome.state is TrialState.PREEMPTED and self._gangs.is_open(gang):
            given_up = self._retries.interrupt(outcome.trial_id, outcome.reason)
            return self._preempt_or_give_up(worker, gang, outcome, given_up, now_s)
        if not self._gangs.runs(gang):  # it was over before, and this worker's part with it
            return self._conclude(undecided, now_s)
        actions = self._dissolve(gang)
        if outcome.state is TrialState.FAILED:
            self._demand.close_batch()
            gang.fail(worker, outcome)
            return actions + self._conclude(self._gangs.leave(gang), now_s)
        if outcome.state is TrialState.COMPLETED:
            self._durations.add(now_s - gang.started_s)
        return actions + self._record_end(worker, gang.trial, outcome, now_s)

    def _release(self, event: PartDone, now_s: float) -> list[Action]:
        """Let a worker be free that did its part; its trial goes on as long as the others are at it."""
        if self._gangs.at(event.worker, event.trial_id) is not None:
            return self._conclude(self._part(event.worker, now_s), now_s)
        if self._roster.is_silent(event.worker):
            return self._welcome(event.worker, "", now_s)
        return []

    def _part(self, worker: int, now_s: float) -> Gang | None:
        """Let a worker be free; returns the undecided gang whose last one it was."""
        self._roster.renew_lease(worker, now_s)
        self._roster.free(worker)
        return self._gangs.release(worker)

    def _conclude(self, gang: Gang | None, now_s: float) -> list[Action]:
        """Decide about the trial of a gang whose last worker is out: it has failed, or goes out again."""
        if gang is None:
            return []
        if gang.verdict is None:
            self._buffer.put_back(gang.trial)
            return []
        worker, outcome = gang.verdict
        return self._record_end(worker, gang.trial, outcome, now_s)

    def _dissolve(self, gang: Gang) -> list[Action]:
        """Let a trial be over for all of its workers, if it is not yet."""
        if not self._gangs.runs(gang):
            return []
        return [Disband(worker, gang.trial.id) for worker in self._gangs.dissolve(gang)]

    def _record_end(self, worker: int, trial: Trial, outcome: Outcome, now_s: float) -> list[Action]:
        outcome = self._judge.close(outcome)
        self._standing.take(outcome)
        self._demand.close_batch()
        self._retries.forget(trial.id)
        if self._terms.promote and outcome.state is TrialState.STOPPED and outcome.value is not None:
            self._paused[trial.id] = trial
        else:
            del self._starts[trial.id]
        return [Write(Ended(now_s, worker, outcome)), Tell(trial, outcome)]

    def _promote(self, now_s: float) -> list[Action]:
        """Let stopped trials go on that are among the best by now; they go out before all others."""
        actions: list[Action] = []
        while (trial_id := self._judge.promotion()) is not None:
            self._standing.reopen(trial_id)
            self._buffer.put_back(self._paused.pop(trial_id))
            actions.append(Write(Promoted(now_s, trial_id)))
        return actions

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
        self._demand.take_note(event.trials, event.exhausted)
        return [Write(Suggested(now_s, event.trials, event.exhausted))]

    def _go_on(self, now_s: float) -> list[Action]:
        if self._is_too_late(now_s):
            return []
        return self._hand_out(now_s) + self._ask(now_s)

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
        if self._buffer.awaited or not self._roster:
            return []
        missing = self._demand.missing(self._roster, self._buffer, self._gangs)
        if missing <= 0:
            return []
        self._buffer.awaited = missing
        return [Write(Asked(now_s, missing)), Ask(missing)]

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
        if (reached := self._standing.end(self._roster.node_s(now_s))) is not None:
            return self._end(reached, now_s)
        if self._demand.exhausted and not self._has_work and not self._buffer.aside:
            tried = self._demand.suggested
            return self._end(f"the search has nothing more to try: {tried} configurations were tried", now_s)
        if (hopeless := self._standing.despair()) is not None:
            return self._end(hopeless, now_s)
        if (too_few := self._too_few()) is not None:
            return self._finish(too_few, CAN_BE_RESUMED, now_s)
        left_s = self._left_s(now_s)
        if left_s is not None and left_s <= 0:
            return self._run_out_of_time("the time is up", now_s)
        if not self._gangs and self._roster.idle and self._is_too_late(now_s):
            return self._run_out_of_time("no trial would be done before the time is up", now_s)
        return []

    @property
    def _has_work(self) -> bool:
        """Whether there are trials that run or wait for their turn, or were asked for."""
        return bool(self._gangs or len(self._buffer) or self._buffer.awaited)

    def _too_few(self) -> str | None:
        """Return that there are too few workers to go on, if so; with more of them it could."""
        left, aside = self._left, self._buffer.aside
        if left <= 0:
            return f"no worker is left; the last one: {self._roster.last_loss}"
        if aside and not self._has_work and self._demand.is_over(self._buffer):
            most = max(trial.ranks for trial in aside)
            return f"what is left to do needs up to {most} workers, and {left} are left: resume it with more"
        return None

    def _run_out_of_time(self, reason: str, now_s: float) -> list[Action]:
        deadline = self._terms.deadline
        if self._terms.trials is None and deadline is not None and deadline.asked_for:
            return self._end(reason, now_s)
        return self._finish(reason, CAN_BE_RESUMED, now_s)

    def _end(self, reason: str, now_s: float) -> list[Action]:
        return self._finish(reason, ENDED_AS_ASKED if self._standing.succeeded else NOTHING_SUCCEEDED, now_s)

    def _finish(self, reason: str, exit_code: int, now_s: float) -> list[Action]:
        self.exit_code = exit_code
        undone = [*self._gangs, *self._gangs.failing]  # whether those did fail will not be known
        actions: list[Action] = [_preempted(gang.leader, gang.trial, reason, now_s) for gang in undone]
        actions.append(Write(Finished(now_s, reason, exit_code)))
        return actions + [ShutDown(worker) for worker in self._roster.present()]


def _without_victims(events: Iterable[Event]) -> list[Event]:
    """Return what counts of a turn's events: a trial that fails together with a wish to end may fail of it.

    A batch system tells all processes at once.  Such a trial is preempted with the others, and so is one that
    was cut off, however often that was.
    """
    events = list(events)
    if not any(isinstance(event, StopRequested) for event in events):
        return events
    victims = (TrialState.FAILED, TrialState.PREEMPTED)
    return [
        event for event in events if not (isinstance(event, TrialEnded) and event.outcome.state in victims)
    ]


def _preempted(worker: int, trial: Trial, reason: str, now_s: float) -> Write:
    return Write(Ended(now_s, worker, Outcome(trial.id, TrialState.PREEMPTED, reason=reason)))
