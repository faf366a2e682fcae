"""Gangs against random losses, silence, failures and cuts: every trial is settled once."""

import random
from collections import Counter, deque

import pytest

from deephpo.engine.backlog import backlog_of
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import (
    Ask,
    Disband,
    PartDone,
    Start,
    SuggestionsMade,
    TrialEnded,
    WorkerAlive,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.engine.terms import RETRIES, Terms
from deephpo.storage.records import Ended, Finished, Resumed, Started, Suggested, WorkerJoined, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState
from tests.engine.game import DECLARATION, ended, of, trial

COMPLETED, FAILED, PREEMPTED = TrialState.COMPLETED, TrialState.FAILED, TrialState.PREEMPTED


class Crew:
    """Workers as they really are: each ends what it was given exactly once, late, or never.

    It knows nothing of the engine but what that does, and keeps its own books of every trial.
    """

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.places = rng.choice([4, 8, 12, 16])
        self.largest = rng.choice([2, 4, self.places])
        self.goal = rng.choice([40, 80])
        self.host_of = {w: f"node{w % rng.choice([1, 2, 4])}" for w in range(1, self.places + 1)}
        self.calm = rng.random() < 0.2
        self.terms = Terms(
            trials=self.goal,
            retries=rng.choice([0, 1, RETRIES]),
            lease_s=rng.choice([None, 40.0]),
            workers=rng.choice([None, self.places]),
            synchronous=rng.random() < 0.2,
            ranks_per_trial=rng.choice([1.0, 2.5]),
        )
        self.now_s, self.turns, self.history, self.made = 0.0, 0, [], 0
        self.settled, self.running = {}, {}
        self.begin(None)

    def begin(self, backlog):
        """Let a process begin, all of whose workers are new."""
        self.coordinator = Coordinator(self.terms, backlog)
        self.asked = None
        self.running = {}
        """By trial: those of its workers that the engine counts on."""
        self.failed = set()
        """Of those, the trials of which some worker has said that they failed."""
        self.interrupted = set()
        """Those of which some worker has said that it was told to end."""
        self.alive, self.mute = set(), set()
        self.dead = {}
        """Those that died without the engine's knowing yet, and the turn in which it learns of it."""
        self.listed = set()
        """Whom the engine takes for present."""
        self.at, self.told_to_stop = {}, set()
        """What each worker is really at, until the engine has heard of its end; and who is to end it."""
        self.alone = set()
        """Those that train a trial by themselves: it ends by itself, also when nobody waits for it."""
        self.unheard = {worker: deque() for worker in range(1, self.places + 1)}

    def play(self, most_turns=6000):
        """Play until the search ends; returns the exit code."""
        last = self.turns + most_turns
        while self.coordinator.exit_code is None:
            assert self.turns < last, "it does not end"
            self.turn()
        return self.coordinator.exit_code

    def turn(self):
        self.turns += 1
        self.now_s += self.rng.choice([0.1, 1.0, 5.0])
        # After a while nothing bad happens any more, so that all that is left can end.
        wild = not self.calm and self.turns % 400 < 250
        events = [event for _ in range(self.rng.choice([1, 2, 6])) for event in self.happen(wild)]
        events += [event for worker in sorted(self.alive - self.mute) for event in self.hear(worker)]
        self.rng.shuffle(events)
        events.sort(key=lambda event: not isinstance(event, WorkerReady))
        if self.asked is not None and self.rng.random() < 0.7:
            events.insert(self.rng.randrange(len(events) + 1), self.answer())
        for event in events:
            self.deliver(event)
        actions = self.coordinator.handle(events, self.now_s)
        self.history += [action.record for action in of(actions, Write)]
        for action in actions:
            self.take(action)
        self.compare()

    def answer(self):
        q, self.asked = self.asked, None
        sizes = [self.rng.choice([1, 1, 2, self.largest]) for _ in range(q)]
        if self.terms.workers is not None and self.rng.random() < 0.02:
            sizes[0] = self.places + 1
        trials = tuple(trial(self.made + k, size) for k, size in enumerate(sizes))
        self.made += q
        return SuggestionsMade(trials, False)

    def happen(self, wild):
        """Let something happen to some worker; yields what the engine learns of it now."""
        worker, choice = self.rng.randint(1, self.places), self.rng.random()
        if worker in self.dead:
            if self.turns >= self.dead[worker]:
                self.forget(worker)
                yield WorkerGone(worker, f"rank {worker} died")
        elif worker not in self.alive:
            if choice < (0.1 if wild else 0.5):
                self.alive.add(worker)
                yield WorkerReady(worker, self.host_of[worker])
        elif wild and choice < 0.01:
            self.dead[worker] = self.turns + self.rng.choice([0, 1, 5])
            self.alive.discard(worker)
            self.unheard[worker].clear()
            self.echo(worker)
        elif wild and choice < 0.015 and worker not in self.mute:
            self.forget(worker)
            yield WorkerReady(worker, self.host_of[worker])
        elif wild and choice < 0.03:
            self.mute.add(worker)
        elif worker in self.mute and choice < (0.1 if wild else 0.9):
            self.mute.discard(worker)
        elif wild and worker in self.at and not self.unheard[worker] and choice < 0.04:
            self.unheard[worker].append(ended(worker, self.at[worker][0], PREEMPTED, "SIGTERM"))
            self.echo(worker)
        elif worker in self.at and not self.unheard[worker] and choice < 0.6:
            self.unheard[worker].append(self.end_of(worker))

    def forget(self, worker):
        """Let a worker's process end with all that it was at."""
        self.mute.discard(worker)
        self.dead.pop(worker, None)
        self.unheard[worker].clear()
        self.at.pop(worker, None)

    def echo(self, lost):
        """Let those fail that train together with a worker that died or was told to end."""
        trial_id, _ = self.at.get(lost, (None, 0))
        for worker in self.alive & self.running.get(trial_id, set()):
            if self.at.get(worker, (None, 0))[0] == trial_id and not self.unheard[worker]:
                self.unheard[worker].append(ended(worker, trial_id, FAILED, "connection closed"))

    def end_of(self, worker):
        """Return how a worker's part ends, as its keeper would say it."""
        trial_id, rank = self.at[worker]
        if worker in self.told_to_stop and self.rng.random() < 0.5:
            return ended(worker, trial_id, FAILED, "its trial was over")
        if self.rng.random() < 0.1:
            return ended(worker, trial_id, FAILED, "ValueError: no")
        return PartDone(worker, trial_id) if rank else ended(worker, trial_id)

    def hear(self, worker):
        yield from self.unheard[worker]
        self.unheard[worker].clear()
        if self.terms.lease_s is not None:
            yield WorkerAlive(worker)

    def deliver(self, event):
        match event:
            case TrialEnded(worker=worker) | PartDone(worker=worker):
                # A worker that died in this very turn is heard of no more.
                trial_id, _ = self.at.pop(worker, (None, 0))
                members = self.running.get(trial_id, set())
                if worker in members and isinstance(event, TrialEnded):
                    if event.outcome.state is FAILED:
                        self.failed.add(trial_id)
                    elif event.outcome.state is PREEMPTED:
                        self.interrupted.add(trial_id)
                members.discard(worker)
                self.told_to_stop.discard(worker)
            case WorkerGone(worker=worker) | WorkerReady(worker=worker):
                self.told_to_stop.discard(worker)
            case _:
                pass

    def take(self, action):
        match action:
            case Ask(q=q):
                assert self.asked is None
                self.asked = q
            case Start(trial=started):
                self.check_start(action)
                assert started.id not in self.running
                self.running[started.id] = set(action.workers)
                for rank, worker in enumerate(action.workers):
                    self.at[worker] = started.id, rank
                self.alone -= set(action.workers)
                self.alone |= {action.worker} if not action.others else set()
            case Disband(worker=worker, trial_id=trial_id):
                assert self.at.get(worker, (trial_id,))[0] == trial_id
                if worker in self.at:
                    self.told_to_stop.add(worker)
            case Write(record=Ended(outcome=outcome)):
                members = self.running.pop(outcome.trial_id)
                self.failed.discard(outcome.trial_id)
                if outcome.state is FAILED and not outcome.reason.startswith("given up"):
                    assert not members, "it is still open whether one of them is lost"
                    assert outcome.trial_id not in self.interrupted
                self.interrupted.discard(outcome.trial_id)
                if outcome.state is not PREEMPTED:
                    assert outcome.trial_id not in self.settled
                    self.settled[outcome.trial_id] = outcome
            case Write(record=WorkerJoined(worker=worker)):
                assert worker not in self.listed
                self.listed.add(worker)
            case Write(record=WorkerLost(worker=worker)):
                self.listed.discard(worker)
                assert all(worker not in members for members in self.running.values())
            case _:
                pass

    def check_start(self, start):
        there = [worker for worker, (trial_id, _) in self.at.items() if trial_id == start.trial.id]
        assert self.listed.isdisjoint(there), "somebody is still at it"
        assert len(set(start.workers)) == len(start.workers) == start.trial.ranks
        assert start.trial.id not in self.settled
        for worker in start.workers:
            assert worker in self.listed
            assert worker not in self.at, f"worker {worker} is busy"
        of_trial = [r for r in self.history if isinstance(r, Started) and r.trial_id == start.trial.id]
        assert start.attempt == len(of_trial) - 1

    def compare(self):
        if self.coordinator.exit_code is not None:
            return
        busy_with = {trial_id for worker, (trial_id, _) in self.at.items() if worker in self.listed}
        assert set(self.running) <= busy_with
        assert len(self.coordinator._gangs) == len(busy_with - set(self.settled))
        for worker, (trial_id, _) in self.at.items():
            over = trial_id in self.failed or worker not in self.running.get(trial_id, ())
            if over and worker in self.alive - self.alone:
                assert worker in self.told_to_stop, f"worker {worker} is at {trial_id}, which is over"
        idle = self.coordinator._roster.idle
        assert all((worker in idle) == (worker not in self.at) for worker in self.listed)

    def resume_at(self, cut):
        """Kill the process with so much of the journal, and let another one go on."""
        self.history = self.history[:cut]
        suggested = [r for r in self.history if isinstance(r, Suggested)]
        self.made = sum(len(r.trials) for r in suggested)
        ends = [r.outcome for r in self.history if isinstance(r, Ended)]
        self.settled = {o.trial_id: o for o in ends if o.state is not PREEMPTED}
        backlog = backlog_of(self.history)
        assert backlog.settled == len(self.settled)
        assert {t.id: t for t in backlog.waiting} == {
            t.id: t for r in suggested for t in r.trials if t.id not in self.settled
        }
        sizes = [t.ranks for r in suggested for t in r.trials]
        assert backlog.sizes == Counter(sizes)
        self.history.append(Resumed(self.now_s, "0.1.0", "head", DECLARATION, {}))
        self.begin(backlog)

    def check_end(self, code):
        finished = self.history[-1]
        assert isinstance(finished, Finished)
        state = RunState(self.history)
        assert state.running == set()
        assert state.counts.total() == len(state.ended)
        assert state.counts == Counter(entry.state for entry in state.ended)
        if code == 75:
            assert self.terms.workers is not None
            left = self.coordinator._left
            waiting = backlog_of(self.history).waiting
            assert left == 0 or (waiting and all(t.ranks > left for t in waiting)), finished.reason
            assert self.coordinator._demand.is_over(self.coordinator._buffer) or left == 0
            return
        assert len(self.settled) == self.made == self.goal == state.done
        assert code == (0 if any(o.state is COMPLETED for o in self.settled.values()) else 3)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_every_trial_is_settled_once_and_nobody_is_at_two(seed):
    crew = Crew(seed)
    crew.check_end(crew.play())


@pytest.mark.parametrize("seed", range(15))
def test_a_search_that_is_cut_anywhere_goes_on_and_settles_everything_once(seed):
    crew = Crew(1000 + seed)
    crew.play()
    whole = list(crew.history)
    for _ in range(5):
        crew.history = list(whole)
        crew.resume_at(crew.rng.randrange(len(whole)))
        crew.check_end(crew.play())
