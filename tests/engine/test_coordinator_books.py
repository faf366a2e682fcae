"""Random events against the promises of the engine, and its books against those of another bookkeeper."""

import itertools
import random
from collections import Counter

import pytest

from deephpo.engine.backlog import backlog_of
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.deadline import Deadline
from deephpo.engine.events import (
    Ask,
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
from deephpo.engine.retries import MOST_INTERRUPTIONS
from deephpo.engine.standing import HOPELESS_AFTER
from deephpo.engine.terms import Terms
from deephpo.storage.records import (
    Asked,
    Ended,
    Finished,
    Ignored,
    Reported,
    Resumed,
    Started,
    WorkerJoined,
    WorkerLost,
)
from deephpo.storage.run_state import RunState
from deephpo.trial import Report, TrialState
from tests.engine.game import DECLARATION, Game, ended, of, trial


class World:
    """Random events, late and wrong ones among them, against the promises of the engine.

    It keeps books of its own, by the actions alone, and compares.
    """

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.goal, self.size = rng.choice([None, 1, 40, 100]), rng.choice([None, 5, 100])
        self.places, self.retries = rng.choice([None, 3, 8]), rng.choice([0, 1, 2])
        self.deadline = rng.choice([None, Deadline(300.0, rng.random() < 0.5)])
        self.states = rng.choice(
            [list(TrialState), [TrialState.FAILED], [TrialState.COMPLETED], [TrialState.COMPLETED]]
        )
        self.terms = {
            "trials": self.goal,
            "deadline": self.deadline,
            "retries": self.retries,
            "lease_s": rng.choice([None, 25.0]),
            "resumable": rng.random() < 0.3,
            "synchronous": rng.random() < 0.3,
        }
        self.game = Game(places=self.places, **self.terms)
        self.known = itertools.count(1)
        self.history = []
        """All records, of all processes."""
        self.at_work, self.running = {}, {}
        """What each worker has, as it believes itself, and as the engine believes."""
        self.there, self.lost, self.open_asks, self.waiting_first = set(), set(), [], set()
        self.handed, self.losses, self.told = Counter(), Counter(), Counter()
        self.interruptions = Counter()
        """How often each trial was told to end, in this process."""
        self.settled = self.succeeded = 0
        self.batch_has_results = False

    def event(self):
        """Return a likely event, or None; the world is free to say things twice, late, or of strangers."""
        rng, choice = self.rng, self.rng.random()
        anybody = sorted(self.there | set(self.at_work) | self.lost) or [1]
        if choice < 0.12 and len(self.there) < 8:
            return WorkerReady(rng.randint(1, self.places) if self.places else next(self.known), "node")
        if choice < 0.15:
            return WorkerGone(rng.choice(anybody), "gone")
        if choice < 0.40 and self.open_asks:
            return SuggestionsMade(*self.answer(self.open_asks.pop()))
        if choice < 0.60 and self.at_work:
            worker = rng.choice(sorted(self.at_work))  # perhaps one whose trial runs elsewhere by now
            return ended(worker, self.at_work.pop(worker), rng.choice(self.states), rng.choice("abc"))
        if choice < 0.65:
            return ended(rng.randrange(20), rng.randrange(50))
        if choice < 0.72:
            worker = rng.choice([*self.at_work, rng.randrange(20)])
            trial_id = self.at_work.get(worker, rng.randrange(50))
            return TrialReported(worker, Report(trial_id, 1, {"loss": 1.0}))
        if choice < 0.90:
            return WorkerAlive(rng.choice(anybody))
        return StopRequested("enough") if rng.random() < 0.01 else None

    def answer(self, q):
        count = q if self.size is None else min(q, self.size - self.game.made)
        trials = tuple(trial(self.game.made + k) for k in range(count))
        self.game.made += count
        return trials, count < q

    def events(self, most):
        """Return what happens in one turn: a wish to stop comes last, as from the loop."""
        drawn = [event for event in (self.event() for _ in range(most)) if event is not None]
        return sorted(drawn, key=lambda event: isinstance(event, StopRequested))

    def turn(self):
        events = self.events(self.rng.choice([1, 1, 1, 3, 10]))
        actions = self.game.tell(*events)
        self.history += [action.record for action in of(actions, Write)]
        for before, action in itertools.pairwise([None, *actions]):
            self.take(events, before, action)
        self.compare()
        assert len(of(actions, Ask)) <= 1

    def take(self, events, before, action):
        now_s = self.game.now_s
        anew = {event.worker for event in events if isinstance(event, WorkerReady)}
        gone = {event.worker for event in events if isinstance(event, WorkerGone)}
        match action:
            case Write(record=WorkerJoined(worker=worker)):
                assert worker not in self.there
                self.there.add(worker)
                self.lost.discard(worker)
                if worker in anew:
                    self.at_work.pop(worker, None)
            case Write(record=WorkerLost(worker=worker)):
                assert worker not in self.lost | set(self.running)
                self.there.discard(worker)
                self.lost.add(worker)
                if worker in anew | gone:
                    self.at_work.pop(worker, None)
                match before:
                    case Write(record=Ended(worker=ended_on, outcome=result)) if (
                        ended_on == worker and result.reason == action.record.reason
                    ):
                        self.losses[result.trial_id] += 1
            case Write(record=Ended(worker=worker, outcome=result)):
                assert self.running.pop(worker) == result.trial_id
                if result.state is TrialState.PREEMPTED:
                    self.waiting_first.add(result.trial_id)
                    self.interruptions[result.trial_id] += result.reason in "abc"
                else:
                    self.settled += 1
                    self.succeeded += result.state is TrialState.COMPLETED
                if result.reason.startswith("given up"):
                    assert result.state is TrialState.FAILED
                    often = self.interruptions if "told to end" in result.reason else self.losses
                    most = MOST_INTERRUPTIONS if "told to end" in result.reason else self.retries
                    assert often[result.trial_id] == most
            case Write(record=Reported(report=report)):
                said = [event for event in events if isinstance(event, TrialReported)]
                assert any(self.running.get(e.worker) == report.trial_id for e in said if e.report is report)
            case Write(record=Ignored(worker=worker, trial_id=trial_id)):
                late = [event for event in events if isinstance(event, TrialEnded)]
                assert (worker, trial_id) in {(event.worker, event.outcome.trial_id) for event in late}
                assert self.running.get(worker) != trial_id
            case Start(worker=worker, trial=started, attempt=attempt, left_s=left_s):
                assert before == Write(Started(now_s, started.id, worker))
                assert worker in self.there
                assert worker not in self.running
                assert started.id not in self.running.values()
                assert self.told[started.id] == 0
                assert attempt == self.handed[started.id]
                assert left_s == (self.deadline and self.deadline.time_s - now_s)
                assert not self.waiting_first or started.id in self.waiting_first
                self.waiting_first.discard(started.id)
                self.running[worker] = self.at_work[worker] = started.id
                self.handed[started.id] += 1
            case Ask(q=q):
                assert before == Write(Asked(now_s, q))
                if self.terms["synchronous"]:
                    assert q <= len(self.there) - len(self.running)
                    out = self.game.made - self.settled
                    assert not (self.batch_has_results and out)
                    self.batch_has_results = False
                assert not self.open_asks
                assert q > 0
                self.open_asks.append(q)
            case Tell(trial=told, outcome=result):
                assert before.record.outcome == result
                self.told[told.id] += 1
                self.batch_has_results = True
            case ShutDown(worker=worker):
                assert worker in self.there

    def compare(self):
        coordinator = self.game.coordinator
        assert max(self.told.values(), default=0) <= 1
        assert self.goal is None or len(self.handed) <= self.goal
        assert sum(self.told.values()) == self.settled
        assert max(self.losses.values(), default=0) <= self.retries + 1
        assert max(self.interruptions.values(), default=0) <= MOST_INTERRUPTIONS
        assert coordinator.thinking == bool(self.open_asks) or coordinator.exit_code is not None
        # Nobody waits while there is something to do: a free worker means that the search owes an answer,
        # has none to give any more, or that there is no time left for another trial.
        if coordinator.exit_code is None and len(self.running) < len(self.there):
            spent = self.goal is not None and self.game.made >= self.goal
            late = coordinator._is_too_late(self.game.now_s)
            batch = self.terms["synchronous"] and self.running
            assert self.open_asks or spent or late or batch or coordinator._demand.exhausted
            assert not self.waiting_first or late

    def crash(self):
        """Kill the process and resume: all that goes on is what the journal says."""
        backlog = self.check_backlog()
        self.history.append(Resumed(self.game.now_s, "0.1.0", "head", DECLARATION, {}))
        self.waiting_first |= {k for k in self.handed if not self.told[k]}
        self.running, self.at_work, self.there, self.lost, self.open_asks = {}, {}, set(), set(), []
        self.interruptions.clear()
        self.game.coordinator = Coordinator(Terms(**self.terms, workers=self.places), backlog)
        self.batch_has_results = True

    def check_backlog(self):
        backlog = backlog_of(self.history)
        counts = (backlog.suggested, backlog.settled, backlog.succeeded)
        assert counts == (self.game.made, self.settled, self.succeeded)
        waiting = [k for k in range(self.game.made) if not self.told[k]]
        assert [waits.id for waits in backlog.waiting] == sorted(
            waiting, key=lambda k: (not self.handed[k], k)
        )
        for counter, truth in ((backlog.starts, self.handed), (backlog.losses, self.losses)):
            assert counter == {k: truth[k] for k in waiting if truth[k]}
        state = RunState(self.history)
        assert state.done == self.settled
        assert state.running == set(self.running.values())
        assert state.counts[TrialState.COMPLETED] == self.succeeded
        return backlog

    def check_end(self):
        game, code = self.game, self.game.coordinator.exit_code
        if code is None:
            return
        finished = [record for record in self.history if isinstance(record, Finished)]
        reason = finished[-1].reason
        assert self.history[-1] == finished[-1] == Finished(game.now_s, reason, code)
        homewards = list(itertools.takewhile(lambda a: isinstance(a, ShutDown), reversed(game.actions)))
        assert [action.worker for action in reversed(homewards)] == sorted(self.there)
        assert self.running == {}
        as_asked = 0 if self.succeeded else 3
        if "trials are done" in reason:
            assert (code, self.settled) == (as_asked, self.goal)
        elif "nothing more to try" in reason:
            assert (code, self.settled, game.made) == (as_asked, self.size, self.size)
        elif "of the first" in reason:
            assert (code, self.succeeded) == (3, 0)
            assert self.settled >= HOPELESS_AFTER
        elif "no worker is left" in reason:
            assert (code, len(self.lost)) == (75, self.places)
        elif "the time is up" in reason:
            assert code == (as_asked if self.deadline.asked_for and self.goal is None else 75)
            assert game.now_s >= 300.0 or (reason.startswith("no trial") and not self.terms["resumable"])
        else:
            assert (code, reason) == (75, "enough")


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_the_books_are_right(seed):
    world = World(seed)
    crashes = world.rng.choice([0.0, 0.0, 0.005])
    for _ in range(600):
        world.turn()
        if world.game.coordinator.exit_code is not None:
            break
        if world.rng.random() < crashes:
            world.crash()
    world.check_backlog()
    world.check_end()
