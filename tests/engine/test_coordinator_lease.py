"""Workers that say nothing for too long, and what they say after all."""

import pytest

from deephpo.engine.events import Start, Tell, TrialReported, WorkerAlive, WorkerGone, WorkerReady
from deephpo.storage.records import Ignored, WorkerLost
from deephpo.trial import Outcome, Report, TrialState
from tests.engine.game import Game, ended, kinds, of, outcome, trial


class TestTheLease:
    def game(self, workers=2, **terms):
        game = Game(workers=workers, lease_s=60.0, **terms)
        game.start_all()
        return game

    def test_a_silent_worker_is_lost_and_its_trial_goes_out_again(self):
        game = self.game()
        game.tell(WorkerAlive(2), after_s=50.0)
        assert kinds(game.wait(1.0)) == []
        actions = game.wait(15.0)
        assert kinds(actions) == ["Ended", "WorkerLost"]
        why = "not a word from it for 60 s"
        assert actions[0].record.outcome == Outcome(0, TrialState.PREEMPTED, reason=why)
        assert actions[1].record == WorkerLost(game.now_s, 1, why)
        assert of(game.tell(ended(2, 1)), Start) == [Start(2, trial(0), attempt=1)]

    @pytest.mark.parametrize(
        "word", [WorkerAlive(1), TrialReported(1, Report(0, 1, {"loss": 0.5})), ended(1, 0)]
    )
    def test_any_word_renews_the_lease(self, word):
        game = self.game(workers=1)
        game.tell(word, after_s=40.0)
        game.start_all()
        assert "WorkerLost" not in kinds(game.wait(55.0))
        assert "WorkerLost" in kinds(game.wait(15.0))

    def test_without_a_lease_silence_means_nothing(self):
        game = Game(workers=1)
        game.answer()
        assert game.wait(1e9) == []

    def test_the_late_result_of_a_silent_worker_is_ignored_and_the_worker_welcome_again(self):
        game = self.game()
        game.tell(WorkerAlive(2), after_s=50.0)
        game.wait(30.0)
        actions = game.tell(ended(1, 0))
        assert kinds(actions)[:2] == ["Ignored", "WorkerJoined"]
        why = "it came after its worker's lease had run out"
        assert actions[0].record == Ignored(game.now_s, 1, 0, why)
        assert of(actions, Tell) == []
        assert of(actions, Start) == [Start(1, trial(0), attempt=1)]
        game.tell(ended(1, 0))
        assert [tell.trial.id for tell in game.of(Tell)] == [0]

    def test_the_late_result_does_not_disturb_the_retry_that_runs_elsewhere(self):
        game = self.game()
        game.tell(ended(2, 1), after_s=50.0)
        game.wait(30.0)
        game.tell(ended(2, game.running[2]))
        assert game.running == {2: 0}
        game.tell(ended(1, 0))
        assert len(game.records(Ignored)) == 1
        assert game.tell(ended(2, 0))[1] == Tell(trial(0), outcome(0))

    def test_a_silent_worker_that_was_free_is_welcome_at_its_next_word(self):
        game = Game(workers=1, lease_s=60.0)  # the search still owes the answer
        game.wait(100.0)
        assert kinds(game.tell(WorkerAlive(1))) == ["WorkerJoined"]
        assert of(game.answer(), Start) == [Start(1, trial(0))]

    def test_a_silent_worker_that_still_has_its_trial_is_not(self):
        game = self.game(workers=1)
        game.wait(100.0)
        assert game.tell(WorkerAlive(1)) == []
        assert game.tell(TrialReported(1, Report(0, 1, {"loss": 0.5}))) == []

    def test_a_silent_worker_may_start_anew(self):
        game = self.game(workers=1)
        game.wait(100.0)
        assert kinds(game.tell(WorkerReady(1, "node1"))) == ["WorkerJoined", "Started", "Start"]
        assert kinds(game.tell(ended(1, 0)))[:2] == ["Ended", "Tell"]

    def test_a_silent_worker_that_then_is_gone_stays_so(self):
        game = self.game(workers=2)
        game.tell(WorkerAlive(2), after_s=50.0)
        game.wait(30.0)
        assert game.tell(WorkerGone(1, "rank 1 died")) == []
        assert game.tell(WorkerAlive(1)) == []
        assert kinds(game.tell(ended(1, 0))) == ["Ignored"]
        assert len(game.records(WorkerLost)) == 1

    def test_word_from_one_that_is_not_ready_yet_is_no_welcome(self):
        game = Game(lease_s=60.0)
        assert game.tell(WorkerAlive(1)) == []
