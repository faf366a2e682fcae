"""Trials that several workers train together: one of these is lost, told to end, or silent."""

import pytest

from deephpo.engine.backlog import backlog_of
from deephpo.engine.events import Disband, PartDone, Start, Tell, WorkerAlive, WorkerGone, WorkerReady, Write
from deephpo.engine.retries import MOST_INTERRUPTIONS
from deephpo.engine.terms import RETRIES
from deephpo.storage.records import Ended, Started, WorkerJoined, WorkerLost
from deephpo.trial import Outcome, TrialState
from tests.engine.game import ended, kinds, of, records, trial
from tests.engine.gang_game import Game

FAILED, PREEMPTED = TrialState.FAILED, TrialState.PREEMPTED


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
