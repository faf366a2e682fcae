"""Trials that several workers train together: how they end, and how a search ends in the middle of them."""

import pytest

from deephpo.engine.backlog import backlog_of
from deephpo.engine.deadline import Deadline
from deephpo.engine.events import (
    Disband,
    PartDone,
    ShutDown,
    Start,
    StopRequested,
    Tell,
    TrialReported,
    WorkerGone,
    Write,
)
from deephpo.storage.records import Ended
from deephpo.trial import Outcome, Report, TrialState
from tests.engine.game import ended, kinds, of, records
from tests.engine.gang_game import Game

FAILED, PREEMPTED = TrialState.FAILED, TrialState.PREEMPTED


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
