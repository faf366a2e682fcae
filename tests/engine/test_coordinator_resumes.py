"""A coordinator begins with what an earlier process of its search left."""

from collections import Counter

import pytest

from deephpo.engine.backlog import Backlog
from deephpo.engine.events import Ask, Start, WorkerGone, WorkerReady
from deephpo.storage.records import Ended, Finished
from deephpo.trial import TrialState
from tests.engine.game import Game, ended, kinds, trial


class TestResuming:
    def backlog(self, **changes):
        given = {"waiting": (trial(3), trial(7), trial(8)), "suggested": 9, "settled": 6, "succeeded": 4}
        return Backlog(**(given | {"starts": Counter({3: 2, 7: 1}), "losses": Counter({3: 1})} | changes))

    def test_waiting_trials_go_out_first_in_their_order_with_their_attempts(self):
        game = Game(workers=3, trials=20, backlog=self.backlog())
        starts = [(start.worker, start.trial.id, start.attempt) for start in game.of(Start)]
        assert starts == [(1, 3, 2), (2, 7, 1), (3, 8, 0)]
        assert game.of(Ask) == [Ask(1)]  # the one ahead

    def test_nothing_new_is_asked_for_while_enough_is_waiting(self):
        game = Game(workers=1, trials=20, backlog=self.backlog())
        for trial_id in (3, 7):
            game.tell(ended(1, trial_id))
            assert game.of(Ask) == []
        game.tell(ended(1, 8))
        assert game.of(Ask) == [Ask(1)]

    def test_what_was_suggested_and_settled_before_counts(self):
        game = Game(workers=3, trials=10, backlog=self.backlog())
        assert game.of(Ask) == [Ask(1)]
        for start in game.of(Start):
            game.tell(ended(start.worker, start.trial.id))
        game.answer()
        assert game.of(Ask) == [Ask(1)]
        assert game.coordinator.exit_code is None
        game.tell(ended(game.of(Start)[-1].worker, 9))
        assert game.records(Finished)[0].reason == "all 10 trials are done"
        assert game.coordinator.exit_code == 0

    @pytest.mark.parametrize(("succeeded", "code"), [(0, 3), (1, 0)])
    def test_a_success_of_before_is_a_success(self, succeeded, code):
        game = Game(workers=1, trials=1, backlog=Backlog((trial(0),), suggested=1, succeeded=succeeded))
        game.tell(ended(1, 0, TrialState.FAILED))
        assert game.coordinator.exit_code == code

    def test_workers_lost_before_count_among_the_retries(self):
        game = Game(workers=1, retries=2, backlog=self.backlog())
        game.tell(WorkerGone(1, "killed"))
        assert game.records(Ended)[0].outcome.state is TrialState.PREEMPTED
        game.tell(WorkerReady(2, "node"))
        game.tell(WorkerGone(2, "killed"))
        assert game.records(Ended)[1].outcome.reason.startswith("given up: it lost 3 workers")

    @pytest.mark.parametrize("settled", [10, 12])
    def test_a_search_that_was_done_ends_at_once(self, settled):
        backlog = Backlog(suggested=settled, settled=settled, succeeded=1)
        game = Game(trials=10, backlog=backlog)
        assert kinds(game.wait(1.0)) == ["Finished"]
        assert game.coordinator.exit_code == 0

    def test_a_search_that_found_nothing_untried_is_asked_again(self):
        # The problem may have wider bounds now.
        game = Game(workers=1, trials=10, backlog=Backlog(suggested=4, settled=4, succeeded=4))
        assert game.of(Ask) == [Ask(1)]
        game.answer(count=0, exhausted=True)
        assert (
            game.records(Finished)[0].reason
            == "the search has nothing more to try: 4 configurations were tried"
        )
        assert game.coordinator.exit_code == 0
