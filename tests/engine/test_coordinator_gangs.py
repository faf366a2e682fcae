"""Trials that several workers train together, as the coordinator sees them."""

import gc
import random
import statistics
import time
from collections import Counter, deque

import pytest

from deephpo import Float, Space
from deephpo.engine.backlog import backlog_of
from deephpo.engine.buffer import MOST_OVERTAKINGS
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.deadline import Deadline
from deephpo.engine.demand import MOST_ASIDE
from deephpo.engine.events import (
    Ask,
    Disband,
    PartDone,
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
from deephpo.engine.terms import RETRIES, Terms
from deephpo.problem import Declaration
from deephpo.storage.records import Ended, Finished, Resumed, Started, Suggested, WorkerJoined, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, Trial, TrialState

COMPLETED, FAILED, PREEMPTED = TrialState.COMPLETED, TrialState.FAILED, TrialState.PREEMPTED
TOO_FEW = "what is left to do needs up to 4 workers, and 3 are left: resume it with more"
DECLARATION = Declaration("demo", Space([Float("x", 0.0, 1.0)])).to_dict()


def trial(trial_id, ranks):
    return Trial(trial_id, {"x": trial_id}, ranks=ranks)


def ended(worker, trial_id, state=COMPLETED, reason=""):
    return TrialEnded(worker, Outcome(trial_id, state, 0.5 if state is COMPLETED else None, reason=reason))


def of(actions, kind):
    return [action for action in actions if isinstance(action, kind)]


def records(actions, kind):
    return [action.record for action in of(actions, Write) if isinstance(action.record, kind)]


def kinds(actions):
    return [type(a.record if isinstance(a, Write) else a).__name__ for a in actions]


class Game:
    """Plays a coordinator a second a turn; the search answers at once, with trials of the sizes given.

    sizes: those of the first trials, one after the other; then the last of them for ever.  workers: so many
    are ready, on so many hosts in turn.  places: so many there can be.
    """

    def __init__(self, workers, sizes, hosts=1, places=None, ranks_per_trial=None, **terms):
        expected = float(sizes[0]) if ranks_per_trial is None else ranks_per_trial
        self.coordinator = Coordinator(Terms(**terms, workers=places, ranks_per_trial=expected))
        self.sizes = list(sizes)
        self.now_s = 0.0
        self.made = 0
        self.actions = []
        if workers:
            self.tell(*(WorkerReady(w, f"node{(w - 1) % hosts}") for w in range(1, workers + 1)))

    def tell(self, *events, after_s=1.0):
        """Let events happen in one turn; returns the actions, those after the search's answers too."""
        self.now_s += after_s
        actions = self.coordinator.handle(events, self.now_s)
        while asked := of(actions[-1:], Ask):
            trials = tuple(self.make() for _ in range(asked[0].q))
            actions = actions[:-1] + self.coordinator.handle([SuggestionsMade(trials, False)], self.now_s)
        self.actions += actions
        return actions

    def running(self):
        """Return the trials that run, each with its workers."""
        at = {}
        for action in self.actions:
            match action:
                case Start(trial=started):
                    at[started.id] = action.workers
                case Write(record=Ended(outcome=outcome)):
                    del at[outcome.trial_id]
                case _:
                    pass
        return list(at.items())

    def make(self):
        made = trial(self.made, self.sizes[min(self.made, len(self.sizes) - 1)])
        self.made += 1
        return made

    @property
    def starts(self):
        """All starts so far: the trial, and its workers."""
        return [(start.trial.id, start.workers) for start in of(self.actions, Start)]


class TestTheBeginning:
    def test_a_trial_starts_once_on_all_of_its_workers_the_leader_first(self):
        game = Game(4, [4], hosts=2)
        (start,) = of(game.actions, Start)
        assert (start.trial.ranks, start.workers) == (4, (1, 3, 2, 4))
        assert (start.worker, start.others) == (1, (3, 2, 4))
        assert records(game.actions, Started) == [Started(1.0, 0, 1, (3, 2, 4))]

    def test_it_waits_until_there_are_enough(self):
        game = Game(0, [3])
        for worker in (1, 2):
            assert of(game.tell(WorkerReady(worker, "node")), Start) == []
        assert of(game.tell(WorkerReady(3, "node")), Start)[0].workers == (1, 2, 3)

    def test_gangs_keep_to_their_hosts_where_they_can(self):
        game = Game(16, [4], hosts=4)
        for _, workers in game.starts:
            assert len({worker % 4 for worker in workers}) == 1
        assert len(game.starts) == 4

    def test_trials_are_asked_for_by_the_workers_that_they_need(self):
        game = Game(16, [4])
        assert game.made == 4 + 1  # one ahead
        game = Game(64, [8])
        assert game.made == 8 + 1

    def test_a_search_whose_trials_need_all_workers_knows_the_newest_result(self):
        game = Game(4, [4])
        assert game.made == 1
        for k in range(5):
            actions = game.tell(*(PartDone(worker, k) for worker in (2, 3, 4)), ended(1, k))
            assert of(actions, Tell)[0].trial.id == k
            assert game.made == k + 2

    def test_as_many_trials_are_made_as_are_wanted(self):
        game = Game(8, [2, 4, 1], trials=5)
        for _ in range(20):
            for start in [s for s in of(game.actions, Start) if game.coordinator.exit_code is None]:
                game.tell(*(PartDone(worker, start.trial.id) for worker in start.others))
                game.tell(ended(start.worker, start.trial.id))
        assert (game.coordinator.exit_code, game.made) == (0, 5)


class TestTheEndOfATrial:
    @pytest.fixture
    def game(self):
        """One trial on three workers of four."""
        return Game(4, [3], hosts=4)

    def test_members_that_are_done_first_are_free_and_the_trial_ends_with_its_leader(self, game):
        assert game.starts == [(0, (1, 2, 3))]
        assert game.tell(PartDone(2, 0)) == []
        # Two free ones and the fourth are enough for the next.
        actions = game.tell(PartDone(3, 0))
        assert of(actions, Start)[0].workers == (4, 2, 3)
        actions = game.tell(ended(1, 0))
        assert kinds(actions)[:2] == ["Ended", "Tell"]
        assert of(actions, Disband) == []

    def test_the_leader_first_stops_the_others_whose_parts_change_nothing_more(self, game):
        actions = game.tell(ended(1, 0))
        assert kinds(actions)[:4] == ["Disband", "Disband", "Ended", "Tell"]
        assert of(actions, Disband) == [Disband(2, 0), Disband(3, 0)]
        assert records(actions, Ended)[0].outcome.value == 0.5
        # They are not free before they say so.
        assert of(actions, Start) == []
        assert set(of(game.tell(PartDone(2, 0)), Start)[0].workers) == {1, 2, 4}
        late = game.tell(ended(3, 0, FAILED, "its trial was over"))
        assert of(late, Tell) == of(late, Start) == records(late, Ended) == []
        assert 3 in game.coordinator._roster.idle

    @pytest.mark.parametrize(("worker", "rank"), [(1, 0), (2, 1), (3, 2)])
    def test_whoever_fails_ends_it_for_all_and_is_named_when_the_last_one_is_out(self, game, worker, rank):
        actions = game.tell(ended(worker, 0, FAILED, "ValueError: no"))
        others = [w for w in (1, 2, 3) if w != worker]
        assert of(actions, Disband) == [Disband(w, 0) for w in others]
        assert records(actions, Ended) == of(actions, Tell) == []
        assert of(game.tell(ended(others[0], 0, FAILED, "connection closed")), Tell) == []
        actions = game.tell(ended(others[1], 0))
        (end,) = records(actions, Ended)
        assert (end.worker, end.outcome.reason) == (worker, f"on rank {rank} of its 3: ValueError: no")
        assert of(actions, Tell)[0].outcome == end.outcome
        assert len(of(game.actions, Tell)) == 1

    def test_one_of_which_all_others_are_out_fails_at_once(self, game):
        game.tell(PartDone(2, 0), PartDone(3, 0))
        assert kinds(game.tell(ended(1, 0, FAILED, "no")))[:2] == ["Ended", "Tell"]

    def test_a_trial_that_was_stopped_did_not_do_so_on_one_rank(self, game):
        actions = game.tell(ended(1, 0, TrialState.STOPPED, "no progress"))
        assert records(actions, Ended)[0].outcome.reason == "no progress"

    def test_a_member_that_ended_with_it_in_one_turn_is_free_in_it(self):
        game = Game(3, [3])
        actions = game.tell(ended(1, 0), PartDone(2, 0), ended(3, 0, FAILED, "the others are gone"))
        assert of(actions, Start)[0].workers == (1, 2, 3)
        assert len(of(actions, Tell)) == 1

    def test_only_what_its_own_workers_report_is_noted(self, game):
        report = Report(0, 1, {"loss": 1.0})
        assert kinds(game.tell(TrialReported(1, report))) == ["Reported"]
        assert game.tell(TrialReported(4, report)) == []
        game.tell(ended(1, 0))
        assert game.tell(TrialReported(2, report)) == []

    def test_a_part_of_another_trial_frees_nobody(self, game):
        assert game.tell(PartDone(2, 7)) == []
        assert 2 not in game.coordinator._roster.idle


class TestALoss:
    def test_ends_the_trial_for_all_and_it_goes_out_again_first(self):
        game = Game(5, [3, 1, 1, 3, 3, 3])
        assert game.starts == [(0, (1, 2, 3)), (1, (4,)), (2, (5,))]
        actions = game.tell(WorkerGone(2, "rank 2 died"))
        assert kinds(actions) == ["Disband", "Disband", "Ended", "WorkerLost"]
        assert of(actions, Disband) == [Disband(1, 0), Disband(3, 0)]
        outcome = records(actions, Ended)[0].outcome
        assert outcome == Outcome(0, PREEMPTED, reason="rank 2 died")
        assert of(game.tell(PartDone(1, 0)), Start) == []
        game.tell(ended(3, 0, FAILED, "its trial was over"))
        actions = game.tell(ended(4, 1))
        assert of(actions, Start) == [Start(1, trial(0, 3), attempt=1, others=(3, 4))]

    def test_of_a_whole_node_is_one_loss_of_the_trial(self):
        game = Game(8, [4], hosts=2, retries=1)
        node = game.starts[0][1]
        actions = game.tell(*(WorkerGone(worker, "the node died") for worker in node))
        assert len(records(actions, Ended)) == 1
        assert len(records(actions, WorkerLost)) == 4
        assert of(actions, Disband) == [Disband(worker, 0) for worker in node[1:]]
        leader, *others = game.starts[1][1]
        (again,) = of(game.tell(*(PartDone(worker, 1) for worker in others), ended(leader, 1)), Start)
        assert (again.trial.id, again.attempt) == (0, 1)
        actions = game.tell(WorkerGone(again.workers[-1], "another one"))
        assert records(actions, Ended)[0].outcome.reason.startswith("given up: it lost 2 workers")

    def test_after_its_part_was_done_does_not_touch_the_trial(self):
        game = Game(2, [2])
        game.tell(PartDone(2, 0))
        assert kinds(game.tell(WorkerGone(2, "gone"))) == ["WorkerLost"]
        assert kinds(game.tell(ended(1, 0)))[:2] == ["Ended", "Tell"]

    def test_after_the_leader_was_done_does_not_touch_the_trial(self):
        game = Game(3, [2], trials=9)
        assert kinds(game.tell(ended(1, 0)))[:3] == ["Disband", "Ended", "Tell"]
        assert kinds(game.tell(WorkerGone(2, "gone")))[:1] == ["WorkerLost"]
        assert len(records(game.actions, Ended)) == 1

    @pytest.mark.parametrize("survivor", [1, 2])
    def test_of_which_the_other_one_failed_first_lets_the_trial_go_out_again(self, survivor):
        """The connection breaks in the survivor's hands before anybody has told the master."""
        game = Game(2, [2], places=2, retries=1)
        lost = 3 - survivor
        game.tell(ended(survivor, 0, FAILED, "Horovod has been shut down"))
        actions = game.tell(WorkerGone(lost, "its rank died"), WorkerReady(lost, "node0"))
        assert kinds(actions)[:3] == ["Ended", "WorkerLost", "WorkerJoined"]
        preempted = Outcome(0, PREEMPTED, reason="its rank died")
        assert records(actions, Ended) == [Ended(game.now_s, lost, preempted)]
        assert of(game.actions, Tell) == of(actions, Disband) == []
        (again,) = of(actions, Start)
        assert (again.trial.id, again.attempt) == (0, 1)
        # It is one of the losses that it may have.
        actions = game.tell(ended(again.worker, 0, FAILED, "and again"), WorkerGone(again.others[0], "next"))
        assert of(actions, Tell)[0].outcome.reason.startswith("given up: it lost 2 workers")
        assert [end.outcome.state for end in records(game.actions, Ended)] == [PREEMPTED, FAILED]

    def test_and_a_failure_in_one_turn_are_one_loss_in_either_order(self):
        for order in (1, -1):
            game = Game(4, [2], places=4)
            news = [ended(1, 0, FAILED, "connection closed"), WorkerGone(2, "its rank died")]
            actions = game.tell(*news[::order])
            assert [end.outcome.state for end in records(actions, Ended)] == [PREEMPTED]
            assert of(actions, Tell) == []
            assert backlog_of(a.record for a in of(game.actions, Write)).losses == {0: 1}

    def test_lets_nobody_begin_anew_before_the_last_one_is_out(self):
        game = Game(8, [4], places=8, trials=2)
        first = game.starts[0][1]
        game.tell(WorkerGone(first[3], "its rank died"))
        # There would be enough free ones.
        leader, *others = game.starts[1][1]
        game.tell(*(PartDone(worker, 1) for worker in others), ended(leader, 1))
        game.tell(ended(first[0], 0, FAILED, "connection closed"), PartDone(first[1], 0))
        assert [trial_id for trial_id, _ in game.starts].count(0) == 1
        assert len(game.coordinator._roster.idle) >= 4
        actions = game.tell(PartDone(first[2], 0))
        assert of(actions, Start)[0].trial.id == 0

    def test_nothing_is_asked_for_in_the_place_of_a_trial_that_goes_out_again(self):
        for synchronous in (False, True):
            game = Game(4, [4], synchronous=synchronous)
            game.tell(WorkerGone(4, "gone"), PartDone(2, 0), WorkerReady(4, "node0"))
            game.tell(PartDone(3, 0))
            assert game.made == 1
            assert of(game.tell(PartDone(1, 0)), Start)[0].attempt == 1
            assert game.made == 1

    def test_a_batch_is_over_for_those_that_are_free_when_the_first_of_it_has_failed(self):
        game = Game(4, [2], synchronous=True)
        (_, (leader, other)), (_, (second, third)) = game.starts
        game.tell(ended(leader, 0, FAILED, "no"))
        game.tell(ended(second, 1), PartDone(third, 1))
        assert game.made == 2
        game.tell(PartDone(other, 0))
        assert game.made == 4

    def test_too_many_make_it_a_failure(self):
        game = Game(2, [2], retries=RETRIES, trials=2)
        for loss in range(RETRIES + 1):
            assert records(game.actions, Started)[-1].trial_id == 0
            actions = game.tell(WorkerGone(2, f"loss {loss}"))
            assert of(actions, Disband) == [Disband(1, 0)]
            if loss < RETRIES:
                game.tell(PartDone(1, 0), WorkerReady(2, "node0"))
        why = f"given up: it lost {RETRIES + 1} workers, the last one because: loss {RETRIES}"
        assert of(actions, Tell)[0].outcome == Outcome(0, FAILED, reason=why)


class TestAnInterruption:
    """One of the members was told to end with its job; the others' collective operation fails of it."""

    @pytest.mark.parametrize("survivor", [1, 2])
    @pytest.mark.parametrize("turns", [1, 2])
    def test_of_which_the_other_one_failed_first_lets_the_trial_go_out_again(self, survivor, turns):
        game = Game(2, [2])
        told = 3 - survivor
        news = [ended(survivor, 0, FAILED, "connection closed"), ended(told, 0, PREEMPTED, "SIGTERM")]
        for events in [news] if turns == 1 else [[event] for event in news]:
            actions = game.tell(*events)
        preempted = Ended(game.now_s, told, Outcome(0, PREEMPTED, reason="SIGTERM"))
        assert records(game.actions, Ended) == [preempted]
        assert of(game.actions, Tell) == []
        (again,) = of(actions, Start)
        assert (again.trial.id, again.attempt) == (0, 1)

    def test_waits_for_the_last_one_although_another_one_failed_of_it(self):
        game = Game(3, [3])
        game.tell(ended(1, 0, FAILED, "connection closed"))
        assert kinds(game.tell(ended(3, 0, PREEMPTED, "SIGTERM"))) == ["Ended"]
        assert of(game.tell(ended(2, 0, FAILED, "connection closed")), Start)[0].attempt == 1
        assert of(game.actions, Tell) == []

    def test_of_all_members_is_one(self):
        game = Game(2, [2])
        for _ in range(MOST_INTERRUPTIONS):
            actions = game.tell(*(ended(worker, 0, PREEMPTED, "SIGTERM") for worker in (1, 2)))
            assert [end.outcome.state for end in records(actions, Ended)] == [PREEMPTED]
        actions = game.tell(*(ended(worker, 0, PREEMPTED, "SIGTERM") for worker in (1, 2)))
        why = "given up: it was told to end 3 times while the search went on, the last time: SIGTERM"
        assert of(actions, Tell)[0].outcome == Outcome(0, FAILED, reason=why)

    def test_after_the_leader_was_done_does_not_touch_the_trial(self):
        game = Game(3, [2], trials=9)
        game.tell(ended(1, 0))
        assert records(game.tell(ended(2, 0, PREEMPTED, "SIGTERM")), Ended) == []


class TestSilence:
    @pytest.fixture
    def game(self):
        """A trial on three workers of four; the third says nothing for longer than its lease."""
        game = Game(4, [3, 1, 3], lease_s=60.0)
        assert game.starts == [(0, (1, 2, 3)), (1, (4,))]
        game.tell(*(WorkerAlive(worker) for worker in (1, 2, 4)), after_s=50.0)
        return game

    def test_of_one_member_ends_the_trial_for_all(self, game):
        actions = game.tell(after_s=20.0)
        assert records(actions, Ended)[0].outcome.state is PREEMPTED
        assert records(actions, WorkerLost)[0].worker == 3
        assert {disband.worker for disband in of(actions, Disband)} >= {1, 2}

    def test_the_silent_member_itself_is_told_for_it_would_wait_for_the_others(self, game):
        actions = game.tell(after_s=20.0)
        assert Disband(3, 0) in actions

    @pytest.mark.parametrize(
        "word", [PartDone(3, 0), ended(3, 0, FAILED, "its trial was over")], ids=["done", "failed"]
    )
    def test_it_is_welcome_again_when_its_part_has_ended_and_not_before(self, game, word):
        game.tell(after_s=20.0)
        assert game.tell(WorkerAlive(3)) == []
        actions = game.tell(word)
        assert records(actions, WorkerJoined)[0].worker == 3
        assert of(actions, Tell) == []
        game.tell(PartDone(1, 0))
        actions = game.tell(PartDone(2, 0))
        (start,) = of(actions, Start)
        assert (start.trial.id, start.attempt, set(start.workers)) == (0, 1, {1, 2, 3})

    def test_of_a_member_that_had_only_to_end_its_part_is_remembered_too(self, game):
        game.tell(ended(1, 0), PartDone(2, 0))
        actions = game.tell(after_s=20.0)
        assert kinds(actions) == ["WorkerLost", "Disband"]
        assert game.tell(WorkerAlive(3)) == []
        assert records(game.tell(PartDone(3, 0)), WorkerJoined)[0].worker == 3

    def test_of_the_leader_lets_the_members_go(self):
        game = Game(2, [2], lease_s=60.0)
        game.tell(WorkerAlive(2), after_s=50.0)
        actions = game.tell(after_s=20.0)
        assert Disband(2, 0) in actions
        late = game.tell(ended(1, 0))
        assert kinds(late)[:2] == ["Ignored", "WorkerJoined"]
        assert of(late, Tell) == []
        assert of(game.tell(PartDone(2, 0)), Start)[0].attempt == 1


class TestTheEndOfTheSearch:
    def test_in_the_middle_of_a_gang_preempts_it_once_and_sends_all_home(self):
        game = Game(4, [3, 1])
        game.tell(PartDone(2, 0))
        actions = game.tell(StopRequested("enough"))
        ends = records(actions, Ended)
        assert [(end.worker, end.outcome.trial_id) for end in ends[:2]] == [(1, 0), (4, 1)]
        assert all(end.outcome.state is PREEMPTED for end in ends)
        assert of(actions, ShutDown) == [ShutDown(worker) for worker in (1, 2, 3, 4)]
        assert of(actions, Disband) == []

    def test_preempts_a_trial_too_of_which_it_is_not_decided_whether_it_failed(self):
        """As if the process had been killed: it goes out again when the search is resumed."""
        game = Game(4, [3, 1])
        game.tell(ended(2, 0, FAILED, "connection closed"))
        actions = game.tell(StopRequested("the job ends"))
        (end,) = [end for end in records(actions, Ended) if end.outcome.trial_id == 0]
        assert end.outcome == Outcome(0, PREEMPTED, reason="the job ends")
        assert of(game.actions, Tell) == []
        assert 0 in [t.id for t in backlog_of(a.record for a in of(game.actions, Write)).waiting]

    def test_writes_nothing_more_of_a_trial_that_was_to_go_out_again(self):
        game = Game(4, [3, 1])
        game.tell(WorkerGone(2, "gone"))
        actions = game.tell(StopRequested("enough"))
        assert 0 not in [end.outcome.trial_id for end in records(actions, Ended)]

    def test_does_not_come_while_it_is_open_whether_the_last_trial_failed(self):
        game = Game(2, [2], trials=1)
        game.tell(ended(1, 0, FAILED, "no"))
        assert game.coordinator.exit_code is None
        assert kinds(game.tell(PartDone(2, 0)))[:3] == ["Ended", "Tell", "Finished"]
        assert game.coordinator.exit_code == 3

    def test_comes_with_the_last_result_although_members_are_still_at_it(self):
        game = Game(2, [2], trials=1)
        actions = game.tell(ended(1, 0))
        assert kinds(actions) == ["Disband", "Ended", "Tell", "Finished", "ShutDown", "ShutDown"]
        assert game.coordinator.exit_code == 0

    def test_does_not_come_too_soon_while_members_end_their_parts(self):
        game = Game(2, [2], deadline=Deadline(100.0))
        for k in range(4):
            game.tell(ended(1, k), after_s=10.0)
            game.tell(PartDone(2, k))
        assert len(game.starts) == 5
        game.tell(ended(1, 4), after_s=45.0)  # another would take 10 s, and 5 s are left
        assert game.coordinator.exit_code is None or game.now_s >= 90.0


class TestTooFewWorkers:
    def test_a_trial_that_needs_more_waits_for_them_and_the_search_goes_on(self):
        game = Game(4, [2, 4, 1], places=4, trials=9)
        game.tell(WorkerGone(4, "gone"))
        assert [t.id for t in game.coordinator._buffer.aside] == [1]
        done = 0
        while len(game.starts) < 6:
            trial_id, workers = game.starts[done]
            game.tell(*(PartDone(worker, trial_id) for worker in workers[1:]), ended(workers[0], trial_id))
            done += 1
        assert 1 not in [trial_id for trial_id, _ in game.starts]
        assert [t.outcome.state for t in of(game.actions, Tell)] == [COMPLETED] * done

    def test_it_goes_first_when_they_are_back(self):
        game = Game(4, [4, 4, 1], places=4, ranks_per_trial=1.0)
        game.tell(WorkerGone(4, "gone"))
        game.tell(*(PartDone(worker, 0) for worker in (1, 2, 3)))
        small = game.starts[1:]
        assert {len(workers) for _, workers in small} == {1}
        actions = game.tell(WorkerReady(4, "node0"), *(ended(w, trial_id) for trial_id, (w,) in small))
        assert of(actions, Start)[0].trial.id == 0

    def test_it_is_only_waited_for_when_all_else_is_done_and_the_others_are_told(self):
        game = Game(4, [1, 4, 1, 1], places=4, trials=4, ranks_per_trial=1.0)
        game.tell(WorkerGone(game.starts[0][1][0], "gone"))
        for trial_id, (worker, *_) in list(game.starts)[1:]:
            game.tell(ended(worker, trial_id))
        while game.coordinator.exit_code is None and (rest := game.running()):
            game.tell(*(ended(worker, trial_id) for trial_id, (worker, *_) in rest))
        game.tell()
        assert game.coordinator.exit_code == 75
        (finished,) = records(game.actions, Finished)
        assert finished.reason == TOO_FEW
        assert [tell.trial.id for tell in of(game.actions, Tell) if tell.trial.id == 1] == []
        assert [t.id for t in backlog_of(a.record for a in of(game.actions, Write)).waiting] == [1]

    def test_a_search_with_nothing_untried_but_what_waits_can_be_resumed(self):
        coordinator = Coordinator(Terms(workers=2))
        coordinator.handle([WorkerReady(1, "a"), WorkerReady(2, "a")], 1.0)
        coordinator.handle([SuggestionsMade((trial(0, 1), trial(1, 2)), True)], 2.0)
        coordinator.handle([WorkerGone(2, "gone")], 3.0)
        assert coordinator.exit_code is None
        actions = coordinator.handle([ended(1, 0)], 4.0)
        assert coordinator.exit_code == 75
        assert "needs up to 2 workers, and 1 are left" in records(actions, Finished)[0].reason

    def test_a_worker_that_is_back_in_the_turn_of_the_last_other_result_is_not_too_late(self):
        coordinator = Coordinator(Terms(workers=2))
        coordinator.handle([WorkerReady(1, "a"), WorkerReady(2, "a")], 1.0)
        coordinator.handle([SuggestionsMade((trial(0, 1), trial(1, 2)), True)], 2.0)
        coordinator.handle([WorkerGone(2, "gone")], 3.0)
        actions = coordinator.handle([ended(1, 0), WorkerReady(2, "a")], 4.0)
        assert of(actions, Start)[0].trial.id == 1
        assert coordinator.exit_code is None

    def test_no_more_are_made_than_so_many_that_wait(self):
        game = Game(8, [1, 8], places=8, ranks_per_trial=1.0)
        game.tell(WorkerGone(8, "gone"))
        while game.coordinator.exit_code is None:
            game.tell(*(ended(workers[0], trial_id) for trial_id, workers in game.running()))
        assert game.coordinator.exit_code == 75
        assert len(game.coordinator._buffer.aside) == MOST_ASIDE == game.made - 1

    def test_a_search_of_small_and_large_trials_does_not_pile_up_large_ones_for_ever(self):
        game = Game(4, [1, 4] * 1200, places=4, ranks_per_trial=2.5)
        game.tell(WorkerGone(4, "gone"))
        while game.coordinator.exit_code is None:
            game.tell(*(ended(workers[0], trial_id) for trial_id, workers in game.running()))
            assert len(game.coordinator._buffer.aside) <= MOST_ASIDE + 4
        assert game.coordinator.exit_code == 75
        assert len(of(game.actions, Tell)) > MOST_ASIDE / 2

    def test_a_synchronous_search_goes_on_with_its_next_batch(self):
        game = Game(4, [2, 4, 1], places=4, synchronous=True, ranks_per_trial=2.0)
        assert [trial_id for trial_id, _ in game.starts] == [0]
        (_, (leader, other)), free = game.starts[0], {1, 2, 3, 4} - set(game.starts[0][1])
        game.tell(WorkerGone(free.pop(), "gone"))
        game.tell(PartDone(other, 0), ended(leader, 0))
        assert [trial_id for trial_id, _ in game.starts] == [0, 2]
        game.tell(ended(game.starts[1][1][0], 2))
        assert [trial_id for trial_id, _ in game.starts[:3]] == [0, 2, 3]
        assert [t.id for t in game.coordinator._buffer.aside] == [1]

    def test_it_waits_where_more_workers_may_come(self):
        game = Game(4, [6])
        assert of(game.actions, Tell) == []
        assert of(game.tell(WorkerReady(5, "b"), WorkerReady(6, "b")), Start)[0].trial.id == 0

    def test_it_waits_for_those_that_are_not_there_yet(self):
        game = Game(2, [4], places=4)
        assert of(game.actions, Tell) == []
        assert len(of(game.tell(WorkerReady(3, "b"), WorkerReady(4, "b")), Start)[0].workers) == 4

    def test_a_search_of_which_every_trial_is_too_large_now_ends_with_one_question_more(self):
        """It can be resumed with the workers that it had; suggestions without results are worth little."""
        game = Game(4, [4], places=4, trials=100)
        game.tell(*(PartDone(worker, 0) for worker in (2, 3, 4)), ended(1, 0))
        game.tell(WorkerGone(3, "rank 3 died on node0"))
        game.tell(*(PartDone(worker, 1) for worker in (1, 2, 4)))
        game.tell()
        assert game.coordinator.exit_code == 75
        assert (len(of(game.actions, Tell)), game.made) == (1, 2)
        (finished,) = records(game.actions, Finished)
        assert finished.reason == TOO_FEW

    def test_a_silent_worker_that_is_back_counts_again(self):
        game = Game(4, [1, 1, 1, 1, 4, 1], places=4, lease_s=60.0)
        game.tell(*(WorkerAlive(worker) for worker in (1, 2, 3)), after_s=50.0)
        game.tell(after_s=20.0)
        game.tell(ended(4, 3))
        assert 4 in game.coordinator._roster


class TestTheOrder:
    def test_a_large_trial_is_overtaken_so_often_and_then_what_is_free_is_kept_for_it(self):
        game = Game(8, [1] * 8 + [8, 1])
        running = dict.fromkeys(range(8))
        assert sorted(trial_id for trial_id, _ in game.starts) == sorted(running)
        at = {workers[0]: trial_id for trial_id, workers in game.starts}
        results = 0
        while 8 not in at.values():
            results += 1
            worker = min(at, key=at.get)
            actions = game.tell(ended(worker, at.pop(worker)))
            at |= {start.worker: start.trial.id for start in of(actions, Start)}
        assert results == MOST_OVERTAKINGS + 8
        assert of(actions, Start)[0].trial.ranks == 8

    @pytest.mark.parametrize("seed", range(10))
    def test_no_trial_waits_for_long_whatever_its_size(self, seed):
        """How many that were suggested later begin before one that was suggested earlier."""
        rng = random.Random(seed)
        sizes = [rng.choice([1, 2, 4, 8]) for _ in range(600)]
        game = Game(8, sizes, trials=600, ranks_per_trial=3.75)
        at = {}
        seen = 0
        while game.coordinator.exit_code is None:
            for start in of(game.actions[seen:], Start):
                at[start.trial.id] = start.workers
            seen = len(game.actions)
            leader, *others = at.pop(ended_id := rng.choice(sorted(at)))
            game.tell(*(PartDone(worker, ended_id) for worker in others), ended(leader, ended_id))
        order = [trial_id for trial_id, _ in game.starts]
        assert sorted(order) == list(range(600))
        for place, trial_id in enumerate(order):
            assert sum(other > trial_id for other in order[:place]) <= 5 * MOST_OVERTAKINGS

    def test_smaller_trials_are_asked_for_while_a_large_one_waits(self):
        game = Game(8, [4, 8, 2, 2])
        # 4 run, 8 waits, 2 and 2 were asked for to use the others.
        assert [len(workers) for _, workers in game.starts] == [4, 2, 2]

    def test_and_not_when_they_may_not_overtake_it_any_more(self):
        game = Game(8, [1] * 8 + [8, 1])
        waiting = []
        for _ in range(30):
            running = {s.worker: s.trial.id for s in of(game.actions, Start)}
            done = {tell.trial.id for tell in of(game.actions, Tell)}
            busy = {worker: trial_id for worker, trial_id in running.items() if trial_id not in done}
            if 8 in busy.values():
                break
            worker = min(busy, key=busy.get)
            game.tell(ended(worker, busy[worker]))
            waiting.append(len(game.coordinator._buffer))
        assert 8 in busy.values()
        assert max(waiting) <= 2

    def test_a_synchronous_batch_fills_the_workers_and_ends_with_its_last_trial(self):
        game = Game(8, [4, 4, 8, 2, 2, 4], synchronous=True)
        assert [trial_id for trial_id, _ in game.starts] == [0, 1]
        assert game.made == 2
        (_, first), (_, second) = game.starts
        game.tell(*(PartDone(worker, 0) for worker in first[1:]), ended(first[0], 0))
        assert game.made == 2
        game.tell(*(PartDone(worker, 1) for worker in second[1:]), ended(second[0], 1))
        assert game.starts[2][0] == 2


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


def test_a_result_costs_about_the_same_on_one_host_and_on_five_thousand(figure):
    workers, turns, blocks = 20_000, 400, 15

    class Table:
        """A coordinator with a trial on each worker, of which it ends the oldest ones."""

        def __init__(self, hosts):
            self.game = Game(0, [1])
            everybody = [WorkerReady(w, f"node{w % hosts}") for w in range(1, workers + 1)]
            self.game.tell(*everybody)
            self.running = deque((start.worker, start.trial.id) for start in of(self.game.actions, Start))
            random.Random(1).shuffle(self.running)

        def block_s(self):
            """Return the CPU seconds that some turns with a result each take."""
            handle, now_s = self.game.coordinator.handle, self.game.now_s
            began_s = time.process_time()
            for _ in range(turns):
                worker, trial_id = self.running.popleft()
                actions = handle([ended(worker, trial_id)], now_s)
                if isinstance(actions[-1], Ask):
                    made = tuple(self.game.make() for _ in range(actions[-1].q))
                    actions += handle([SuggestionsMade(made, False)], now_s)
                self.running.extend((start.worker, start.trial.id) for start in of(actions, Start))
            return time.process_time() - began_s

    one, many = Table(1), Table(5000)
    assert len(one.running) == len(many.running) == workers
    gc.disable()
    try:
        ratios = [many.block_s() / one.block_s() for _ in range(blocks)]
    finally:
        gc.enable()
    figure(f"a result on 5,000 hosts costs {statistics.median(ratios):.2f} of one on a single host")
    assert statistics.median(ratios) < 1.5
