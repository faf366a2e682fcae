"""What ends a search, when, and with which exit code."""

import pytest

from deephpo.engine.backlog import Backlog
from deephpo.engine.deadline import Deadline
from deephpo.engine.events import Ask, Start, StopRequested, Tell, WorkerAlive, WorkerGone, WorkerReady, Write
from deephpo.engine.standing import HOPELESS_AFTER
from deephpo.storage.records import Ended, Finished
from deephpo.storage.run_state import RunState
from deephpo.trial import TrialState
from tests.engine.game import Game, ended, kinds, of


class TestTheEnd:
    @pytest.mark.parametrize(
        ("states", "code"),
        [
            ([TrialState.COMPLETED, TrialState.COMPLETED], 0),
            ([TrialState.FAILED, TrialState.COMPLETED], 0),
            ([TrialState.FAILED, TrialState.FAILED], 3),
            ([TrialState.STOPPED, TrialState.FAILED], 3),
        ],
    )
    def test_all_trials_done_is_a_success_if_one_of_them_is(self, states, code):
        game = Game(trials=2, workers=1)
        for k, state in enumerate(states):
            game.answer()
            actions = game.tell(ended(1, k, state))
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        assert game.records(Finished) == [Finished(game.now_s, "all 2 trials are done", code)]
        assert game.coordinator.exit_code == code

    def test_a_space_in_which_nothing_is_untried_ends_when_the_last_trial_did(self):
        game = Game(trials=10, workers=2)
        game.answer()
        game.answer(count=1, exhausted=True)
        game.tell(ended(1, 0))
        assert game.coordinator.exit_code is None
        game.tell(ended(2, 1))
        assert game.coordinator.exit_code == 0
        assert (
            game.records(Finished)[0].reason
            == "the search has nothing more to try: 2 configurations were tried"
        )
        assert len(game.of(Ask)) == 2

    def test_an_exhausted_search_still_retries_what_was_preempted(self):
        game = Game(workers=1)
        game.answer(count=1, exhausted=True)
        game.tell(WorkerGone(1, "gone"))
        assert game.coordinator.exit_code is None
        game.tell(WorkerReady(2, "node2"))
        game.tell(ended(2, 0))
        assert game.coordinator.exit_code == 0

    @pytest.mark.parametrize(
        ("trials", "success", "code"), [(None, True, 0), (None, False, 3), (100, True, 75)]
    )
    def test_the_end_of_the_time_preempts_what_runs(self, trials, success, code):
        game = Game(trials=trials, deadline=Deadline(10.0), workers=2)
        game.answer()
        game.answer()
        game.tell(ended(1, 0, TrialState.COMPLETED if success else TrialState.FAILED))
        assert game.coordinator.handle([], 9.99) == []
        actions = game.coordinator.handle([], 10.0)
        assert kinds(actions) == ["Ended", "Ended", "Finished", "ShutDown", "ShutDown"]
        assert {(a.record.outcome.trial_id, a.record.outcome.state) for a in actions[:2]} == {
            (1, TrialState.PREEMPTED),
            (2, TrialState.PREEMPTED),
        }
        assert game.coordinator.exit_code == code

    def test_a_result_at_the_very_end_of_the_time_still_counts(self):
        game = Game(deadline=Deadline(10.0), workers=1)
        game.answer()
        actions = game.coordinator.handle([ended(1, 0)], 12.0)
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        assert game.coordinator.exit_code == 0

    def test_all_results_that_come_with_the_end_count(self):
        game = Game(deadline=Deadline(10.0), workers=3)
        game.start_all()
        actions = game.coordinator.handle([ended(1, 0), ended(2, 1), StopRequested("enough")], 12.0)
        assert kinds(actions)[:5] == ["Ended", "Tell", "Ended", "Tell", "Ended"]
        assert actions[4].record.outcome.state is TrialState.PREEMPTED
        game = Game(deadline=Deadline(10.0), workers=3)
        game.start_all()
        actions = game.coordinator.handle([ended(1, 0), ended(2, 1)], 12.0)
        assert [r.record.outcome.state for r in of(actions, Write)[:3]] == [
            TrialState.COMPLETED,
            TrialState.COMPLETED,
            TrialState.PREEMPTED,
        ]

    def test_a_trial_that_fails_together_with_the_wish_to_end_may_have_failed_of_it(self):
        """A batch system tells every process of a job, and the trial may catch that and leave."""
        game = Game(workers=2)
        game.start_all()
        actions = game.tell(ended(2, 1, TrialState.FAILED, "sys.exit(143)"), StopRequested("SIGTERM"))
        assert kinds(actions) == ["Ended", "Ended", "Finished", "ShutDown", "ShutDown"]
        assert {end.outcome.state for end in game.records(Ended)} == {TrialState.PREEMPTED}
        assert RunState(game.records(object)).running == set()

    def test_a_trial_that_was_told_to_end_often_is_not_given_up_together_with_the_job(self):
        game = Game(workers=1)
        game.start_all()
        for _ in range(2):
            game.tell(ended(1, 0, TrialState.PREEMPTED, "told to end"))
            game.start_all()
        game.tell(ended(1, 0, TrialState.PREEMPTED, "told to end"), StopRequested("SIGTERM"))
        assert {end.outcome.state for end in game.records(Ended)} == {TrialState.PREEMPTED}
        assert game.coordinator.exit_code == 75

    def test_a_worker_that_is_gone_with_its_result_gets_no_other_trial(self):
        game = Game(workers=4)
        game.start_all()
        actions = game.tell(ended(1, game.running[1]), WorkerGone(1, "rank 1 died"))
        assert kinds(actions) == ["Ended", "Tell", "WorkerLost"]
        assert of(actions, Start) == []

    def test_a_wish_to_stop_ends_the_search_so_that_it_can_be_resumed(self):
        game = Game(trials=5, workers=2)
        game.answer()
        actions = game.tell(StopRequested("stopped by SIGTERM"))
        assert kinds(actions) == ["Ended", "Finished", "ShutDown", "ShutDown"]
        assert actions[0].record.outcome.reason == "stopped by SIGTERM"
        assert game.coordinator.exit_code == 75

    @pytest.mark.parametrize(
        "event", [WorkerReady(3, "x"), ended(1, 0), WorkerGone(1, "x"), StopRequested("again")]
    )
    def test_after_the_end_nothing_happens_any_more(self, event):
        game = Game(workers=1)
        game.answer()
        game.tell(StopRequested("enough"))
        assert game.tell(event) == []
        assert game.coordinator.exit_code == 75


class TestNoWorkerIsLeft:
    def test_the_search_ends_so_that_it_can_be_resumed(self):
        game = Game(places=2, trials=9)
        game.tell(WorkerReady(1, "a"))
        game.tell(WorkerGone(2, "its problem did not load"))
        assert game.coordinator.exit_code is None
        game.answer()
        actions = game.tell(WorkerGone(1, "rank 1 died"))
        assert kinds(actions) == ["Ended", "WorkerLost", "Finished"]
        assert actions[-1].record.reason == "no worker is left; the last one: rank 1 died"
        assert game.coordinator.exit_code == 75

    def test_silent_ones_do_not_count_as_left(self):
        game = Game(workers=2, places=2, lease_s=60.0)
        game.tell(WorkerGone(1, "rank 1 died"))
        game.wait(100.0)
        assert game.coordinator.exit_code == 75
        assert "not a word from it for 60 s" in game.records(Finished)[0].reason

    def test_one_that_came_back_counts_again(self):
        game = Game(workers=2, places=2, lease_s=60.0)
        game.tell(WorkerAlive(2), after_s=50.0)
        game.wait(30.0)
        game.tell(WorkerAlive(1))
        game.tell(WorkerGone(2, "rank 2 died"))
        assert game.coordinator.exit_code is None

    def test_where_more_may_come_the_search_waits_for_them(self):
        game = Game(workers=2)
        game.tell(WorkerGone(1, "gone"))
        game.tell(WorkerGone(2, "gone"))
        game.wait(1e6)
        assert game.coordinator.exit_code is None


class TestAHopelessSearch:
    def play(self, game, reasons):
        """Let the only worker's next trials end, each with a reason of failure or, for None, well."""
        actions = []
        for reason in reasons:
            game.start_all()
            if game.coordinator.exit_code is not None:
                break
            state = TrialState.COMPLETED if reason is None else TrialState.FAILED
            actions = game.tell(ended(1, game.running[1], state, reason or ""))
        return actions

    def test_ends_after_twenty_failures_and_names_the_most_frequent(self):
        game = Game(workers=1, trials=100)
        reasons = ["CUDA error", "ImportError: numpi", "ImportError: numpi", "CUDA error", "exit code 9"] * 4
        self.play(game, reasons[:-1])
        assert game.coordinator.exit_code is None
        actions = self.play(game, ["ImportError: numpi"])
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
        reason = f"all of the first {HOPELESS_AFTER} trials failed, most often: ImportError: numpi"
        assert game.records(Finished) == [Finished(game.now_s, reason, 3)]
        assert game.coordinator.exit_code == 3

    @pytest.mark.parametrize("place", [0, 7, 19])
    def test_not_if_one_trial_succeeded(self, place):
        game = Game(workers=1, trials=100)
        reasons = ["no"] * 30
        reasons[place] = None
        self.play(game, reasons)
        assert len(game.of(Tell)) == 30
        assert game.coordinator.exit_code is None

    def test_not_if_one_trial_was_only_stopped(self):
        game = Game(workers=1, trials=100)
        game.answer()
        game.tell(ended(1, 0, TrialState.STOPPED))
        self.play(game, ["no"] * 30)
        assert game.coordinator.exit_code is None

    def test_twenty_trials_that_were_all_that_was_wanted_are_done(self):
        game = Game(workers=1, trials=HOPELESS_AFTER)
        self.play(game, ["no"] * HOPELESS_AFTER)
        assert game.records(Finished)[0].reason == f"all {HOPELESS_AFTER} trials are done"
        assert game.coordinator.exit_code == 3

    def test_preempted_trials_do_not_count_and_given_up_ones_do(self):
        game = Game(workers=1, trials=100)
        game.answer()
        for _ in range(2 * HOPELESS_AFTER):
            game.tell(ended(1, 0, TrialState.PREEMPTED))
        assert game.coordinator.exit_code is None
        game = Game(workers=1, trials=100, retries=0)
        for worker in range(1, HOPELESS_AFTER + 1):
            game.start_all()
            game.tell(WorkerGone(worker, "killed"))
            game.tell(WorkerReady(worker + 1, "node"))
        assert game.coordinator.exit_code == 3

    @pytest.mark.parametrize(
        ("settled", "succeeded", "more"),
        [(20, 0, None), (33, 0, None), (10, 0, 10), (19, 0, 1), (10, 1, None)],
    )
    def test_who_resumes_it_knows_better_unless_it_was_not_seen_yet(self, settled, succeeded, more):
        backlog = Backlog(suggested=settled, settled=settled, succeeded=succeeded)
        game = Game(workers=1, trials=100, backlog=backlog)
        self.play(game, ["no"] * (30 if more is None else more - 1))
        assert game.coordinator.exit_code is None
        if more is not None:
            self.play(game, ["no"])
            assert game.coordinator.exit_code == 3

    def test_many_trials_given_up_at_once_do_not_step_over_the_limit(self):
        game = Game(workers=40, trials=100, retries=0, lease_s=60.0)
        game.start_all()
        game.wait(200.0)
        assert game.coordinator.exit_code == 3
        assert "all of the first 40 trials failed" in game.records(Finished)[0].reason
