"""Nothing starts that would not be done in time, and what the end of the time means."""

import pytest

from deephpo.engine.deadline import Deadline
from deephpo.engine.events import Ask, Start, WorkerGone
from deephpo.trial import Outcome, TrialState
from tests.engine.game import Game, ended, kinds


class TestTheDeadline:
    def game(self, workers=1, durations=(10.0, 10.0, 10.0), **terms):
        """Return a game whose only worker had trials that lasted so long, and has the next one."""
        game = Game(workers=workers, **terms)
        game.start_all()
        for duration_s in durations:
            game.tell(ended(1, game.running[1]), after_s=duration_s)
            game.start_all(after_s=0.0)
        return game

    @pytest.mark.parametrize("asked_for", [True, False])
    @pytest.mark.parametrize("trials", [None, 100])
    @pytest.mark.parametrize("success", [True, False])
    def test_only_the_users_own_limit_without_a_number_of_trials_is_an_end_as_asked(
        self, asked_for, trials, success
    ):
        game = Game(workers=1, trials=trials, deadline=Deadline(100.0, asked_for))
        game.answer()
        game.tell(ended(1, 0, TrialState.COMPLETED if success else TrialState.FAILED))
        game.answer()
        actions = game.wait(100.0)
        assert kinds(actions) == ["Ended", "Finished", "ShutDown"]
        assert actions[0].record.outcome == Outcome(1, TrialState.PREEMPTED, reason="the time is up")
        assert actions[1].record.reason == "the time is up"
        expected = 75 if trials or not asked_for else 0 if success else 3
        assert game.coordinator.exit_code == expected

    def test_a_trial_is_told_how_long_the_search_goes_on(self):
        game = Game(workers=1, deadline=Deadline(100.0))
        game.answer()
        assert game.of(Start)[0].left_s == 98.0

    @pytest.mark.parametrize(("left_s", "starts"), [(10.5, True), (10.0, True), (9.5, False)])
    def test_nothing_starts_that_would_not_be_done_in_time(self, left_s, starts):
        game = self.game(deadline=Deadline(1000.0))
        game.coordinator.handle([ended(1, game.running[1])], 1000.0 - left_s)
        assert (game.coordinator.exit_code is None) == starts

    def test_nothing_new_is_asked_for_either(self):
        game = self.game(workers=2, deadline=Deadline(1000.0))
        asks = len(game.of(Ask))
        actions = game.tell(ended(1, game.running[1]), after_s=993.0 - game.now_s)
        assert kinds(actions) == ["Ended", "Tell"]
        assert len(game.of(Ask)) == asks
        assert game.coordinator.exit_code is None  # worker 2 still has a trial

    def test_the_search_ends_early_when_nothing_runs_and_nothing_may_start(self):
        game = self.game(workers=2, deadline=Deadline(1000.0))
        game.tell(ended(1, game.running[1]), after_s=993.0 - game.now_s)
        actions = game.tell(ended(2, game.running[2]))
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown", "ShutDown"]
        assert actions[2].record.reason == "no trial would be done before the time is up"
        assert game.coordinator.exit_code == 0

    @pytest.mark.parametrize(("trials", "asked_for"), [(100, True), (None, False)])
    def test_such_an_early_end_is_to_be_resumed_if_more_was_wanted(self, trials, asked_for):
        game = self.game(trials=trials, deadline=Deadline(1000.0, asked_for))
        game.coordinator.handle([ended(1, game.running[1])], 995.0)
        assert game.coordinator.exit_code == 75

    def test_a_trial_that_would_go_on_from_its_checkpoint_starts_to_the_last(self):
        game = self.game(deadline=Deadline(1000.0), resumable=True)
        game.tell(ended(1, game.running[1]), after_s=998.0 - game.now_s)
        game.answer()
        assert game.of(Start)[-1].left_s == 1.0
        assert game.coordinator.exit_code is None

    def test_two_durations_say_nothing_yet(self):
        game = self.game(durations=(400.0,), deadline=Deadline(1000.0))
        game.tell(ended(1, game.running[1]), after_s=400.0)
        game.answer()
        assert len(game.of(Start)) == 3

    def test_the_median_decides_and_not_one_long_trial(self):
        game = self.game(durations=(10.0, 700.0, 10.0, 10.0), deadline=Deadline(1000.0))
        game.coordinator.handle([ended(1, game.running[1])], 985.0)
        assert game.coordinator.exit_code is None

    def test_failures_say_nothing_about_durations(self):
        game = Game(workers=1, deadline=Deadline(1000.0))
        for _ in range(9):
            game.answer()
            game.tell(ended(1, game.running[1], TrialState.FAILED), after_s=100.0)
        game.answer()
        assert game.coordinator.exit_code is None
        assert len(game.of(Start)) == 10

    def test_a_retry_is_not_started_either_if_it_is_too_late(self):
        game = self.game(workers=2, deadline=Deadline(1000.0))
        game.wait(994.0 - game.now_s)
        game.tell(WorkerGone(1, "killed"))
        actions = game.tell(ended(2, game.running[2]))
        assert kinds(actions) == ["Ended", "Tell", "Finished", "ShutDown"]
