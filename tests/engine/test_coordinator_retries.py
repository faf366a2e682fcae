"""Trials that lose their worker, or are told to end, go out again: so often, and then they have failed."""

import pytest

from deephpo.engine.backlog import backlog_of
from deephpo.engine.events import Ask, ShutDown, Start, StopRequested, Tell, WorkerGone, WorkerReady, Write
from deephpo.engine.retries import MOST_INTERRUPTIONS
from deephpo.engine.terms import RETRIES
from deephpo.storage.records import Ended, Ignored, Resumed, WorkerJoined, WorkerLost
from deephpo.trial import Outcome, TrialState
from tests.engine.game import DECLARATION, Game, ended, kinds, of, trial

RESUMED = Resumed(0.0, "0.1.0", "head", DECLARATION, {})


class TestLosses:
    def test_the_trial_of_a_lost_worker_goes_out_first_again(self):
        game = Game(workers=2)
        game.answer()
        game.answer()
        actions = game.tell(WorkerGone(1, "no heartbeat"))
        assert kinds(actions)[:2] == ["Ended", "WorkerLost"]
        assert actions[0].record.outcome == Outcome(0, TrialState.PREEMPTED, reason="no heartbeat")
        assert of(actions, Tell) == []
        actions = game.tell(ended(2, 1))
        assert of(actions, Start) == [Start(2, trial(0), attempt=1)]

    def test_a_late_outcome_of_a_lost_worker_is_ignored_and_the_worker_gets_nothing(self):
        game = Game(workers=2)
        game.answer()
        game.tell(WorkerGone(1, "no heartbeat"))
        assert game.tell(ended(1, 0)) == [Write(Ignored(game.now_s, 1, 0, "nobody waits for it"))]
        assert game.records(WorkerJoined)[-1].worker == 2

    def test_a_lost_worker_gets_nothing_more(self):
        game = Game(workers=2)
        game.tell(WorkerGone(2, "gone"))
        game.answer()
        assert [start.worker for start in game.of(Start)] == [1]
        game.tell(StopRequested("enough"))
        assert game.of(ShutDown) == [ShutDown(1)]

    def test_a_preempted_trial_is_retried_and_not_told_to_the_search(self):
        game = Game(trials=1, workers=1)
        game.answer()
        actions = game.tell(ended(1, 0, TrialState.PREEMPTED))
        assert kinds(actions) == ["Ended", "Started", "Start"]
        game.tell(ended(1, 0))
        assert game.coordinator.exit_code == 0
        assert len(game.of(Ask)) == len(game.of(Tell)) == 1

    def test_the_loss_of_a_worker_that_never_was_ready_is_recorded(self):
        game = Game()
        assert game.tell(WorkerGone(5, "no child")) == [Write(WorkerLost(1.0, 5, "no child"))]

    def test_a_worker_is_lost_once(self):
        game = Game(workers=1)
        game.answer()
        game.tell(WorkerGone(1, "killed"))
        assert game.tell(WorkerGone(1, "its rank died too")) == []
        assert len(game.records(Ended)) == len(game.records(WorkerLost)) == 1


class TestRetries:
    def lose(self, game, trial_id, worker, why):
        """Lose the only worker, which has this trial, and welcome the next one; returns both's actions."""
        assert game.running == {worker: trial_id}
        return game.tell(WorkerGone(worker, why)), game.tell(WorkerReady(worker + 1, "node"))

    @pytest.mark.parametrize("retries", [0, 1, RETRIES, 5])
    def test_a_trial_that_loses_its_worker_goes_out_so_often_and_then_has_failed(self, retries):
        game = Game(workers=1, retries=retries)
        game.answer()
        for loss in range(retries):
            lost, welcome = self.lose(game, 0, loss + 1, f"loss {loss}")
            assert kinds(lost) == ["Ended", "WorkerLost"]
            assert of(welcome, Start) == [Start(loss + 2, trial(0), attempt=loss + 1)]
        lost, welcome = self.lose(game, 0, retries + 1, "the last")
        assert kinds(lost) == ["Ended", "Tell", "WorkerLost"]
        why = f"given up: it lost {retries + 1} workers, the last one because: the last"
        assert lost[1] == Tell(trial(0), Outcome(0, TrialState.FAILED, reason=why))
        assert lost[0].record.outcome == lost[1].outcome
        assert kinds(welcome) == ["WorkerJoined", "Asked", "Ask"]
        assert len(game.of(Tell)) == 1

    def test_a_trial_that_is_given_up_is_settled_once(self):
        game = Game(workers=1, retries=0, trials=2)
        game.answer()
        game.tell(WorkerGone(1, "killed"))
        assert kinds(game.tell(ended(1, 0))) == ["Ignored"]
        assert game.coordinator.exit_code is None
        game.tell(WorkerReady(2, "node"))
        game.answer()
        game.tell(ended(2, 1))
        assert game.coordinator.exit_code == 0
        assert [tell.trial.id for tell in game.of(Tell)] == [0, 1]

    def test_the_last_trial_given_up_ends_the_search(self):
        game = Game(workers=1, retries=0, trials=1)
        game.answer()
        actions = game.tell(WorkerGone(1, "killed"))
        assert kinds(actions) == ["Ended", "Tell", "WorkerLost", "Finished"]
        assert game.coordinator.exit_code == 3

    def test_each_trial_has_retries_of_its_own(self):
        game = Game(workers=2, retries=1)
        game.start_all()
        game.tell(WorkerGone(1, "killed"))
        game.tell(WorkerGone(2, "killed"))
        assert [record.outcome.state for record in game.records(Ended)] == [TrialState.PREEMPTED] * 2
        game.tell(WorkerReady(3, "node"))
        game.tell(WorkerReady(4, "node"))
        assert {start.trial.id for start in game.of(Start)[-2:]} == {0, 1}
        game.tell(WorkerGone(3, "killed"))
        game.tell(WorkerGone(4, "killed"))
        assert [record.outcome.state for record in game.records(Ended)[2:]] == [TrialState.FAILED] * 2

    def test_retries_go_out_before_what_is_kept_ahead_and_before_anything_new(self):
        game = Game(workers=3)
        game.start_all()
        game.tell(WorkerGone(1, "killed"))
        game.tell(WorkerGone(2, "killed"))
        game.tell(WorkerReady(4, "node"))
        game.tell(ended(3, 2))
        assert {start.trial.id for start in game.of(Start)[3:5]} == {0, 1}
        assert len(game.of(Tell)) == 1


class TestInterruptions:
    """A trial's process was told to end, by a batch system that ends its job, or by the trial itself."""

    SIGTERM = "the trial's process was killed by signal 15 (SIGTERM)"

    def interrupt(self, game):
        (at_work,) = game.running.items()
        return game.tell(ended(*at_work, TrialState.PREEMPTED, self.SIGTERM))

    def test_in_one_job_that_happens_so_often_and_then_it_has_failed(self):
        game = Game(workers=1, retries=0)
        game.answer()
        for _ in range(MOST_INTERRUPTIONS):
            assert kinds(self.interrupt(game)) == ["Ended", "Started", "Start"]
        actions = self.interrupt(game)
        assert kinds(actions)[:2] == ["Ended", "Tell"]
        why = f"given up: it was told to end 3 times while the search went on, the last time: {self.SIGTERM}"
        assert of(actions, Tell)[0].outcome == Outcome(0, TrialState.FAILED, reason=why)

    def test_the_ends_of_many_jobs_do_not_add_up(self):
        records = []
        for job in range(6):
            game = Game(workers=1, backlog=backlog_of(records), trials=1)
            if job == 0:
                game.answer()
            assert game.of(Start)[-1].attempt == 2 * job
            self.interrupt(game)
            game.tell(StopRequested("stopped by SIGTERM"))
            records += [*(action.record for action in game.of(Write)), RESUMED]
        assert {end.outcome.state for end in records if isinstance(end, Ended)} == {TrialState.PREEMPTED}

    def test_they_are_no_lost_workers_and_those_do_not_count_among_them(self):
        game = Game(workers=1, retries=1)
        game.answer()
        for worker in (1, 2):
            self.interrupt(game)
            if worker == 1:
                game.tell(WorkerGone(1, "killed"))
                game.tell(WorkerReady(2, "node"))
        assert [record.outcome.state for record in game.records(Ended)] == [TrialState.PREEMPTED] * 3
        game.tell(WorkerGone(2, "killed"))
        assert game.records(Ended)[-1].outcome.reason.startswith("given up: it lost 2 workers")


class TestAWorkerThatIsReadyTwice:
    def test_has_started_anew_and_its_trial_with_it(self):
        game = Game(workers=1)
        game.answer()
        actions = game.tell(WorkerReady(1, "node1"))
        assert kinds(actions) == ["Ended", "WorkerLost", "WorkerJoined", "Started", "Start"]
        assert actions[0].record.outcome == Outcome(0, TrialState.PREEMPTED, reason="it started anew")
        assert of(actions, Start) == [Start(1, trial(0), attempt=1)]

    def test_is_given_up_with_its_trial_when_that_happens_too_often(self):
        game = Game(workers=1, retries=1)
        game.answer()
        game.tell(WorkerReady(1, "node1"))
        actions = game.tell(WorkerReady(1, "node1"))
        assert kinds(actions) == ["Ended", "Tell", "WorkerLost", "WorkerJoined", "Asked", "Ask"]

    def test_has_one_place_among_the_free_ones(self):
        game = Game(workers=1)
        game.tell(WorkerReady(1, "node1"))
        assert [ask.q for ask in game.of(Ask)] == [1]
        game.answer()
        assert [start.worker for start in game.of(Start)] == [1]
        assert not game.coordinator.thinking
