"""Trials that need more workers than there are left."""

from deephpo.engine.backlog import backlog_of
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.demand import MOST_ASIDE
from deephpo.engine.events import (
    PartDone,
    Start,
    SuggestionsMade,
    Tell,
    WorkerAlive,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.engine.terms import Terms
from deephpo.storage.records import Finished
from deephpo.trial import TrialState
from tests.engine.game import ended, of, records, trial
from tests.engine.gang_game import Game

COMPLETED = TrialState.COMPLETED
TOO_FEW = "what is left to do needs up to 4 workers, and 3 are left: resume it with more"


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
