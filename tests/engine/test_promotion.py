"""A trial that was stopped at a rung goes on when it is one of the best there after all."""

from deephpo.engine.backlog import backlog_of
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import (
    Start,
    Stop,
    SuggestionsMade,
    Tell,
    TrialEnded,
    TrialReported,
    WorkerReady,
    Write,
)
from deephpo.engine.terms import Terms
from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.storage.records import Begun, Ended, Promoted, Started, Suggested, WorkerLost
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, Trial, TrialState

SUBJECT = Subject("loss", last_step=8)
TRIALS = tuple(Trial(k, {"x": k}) for k in range(4))
BEGUN = Begun(0.0, "0.1.0", "here", "p.py", {"direction": "minimize"}, {})


class Game:
    """One worker, four trials, rungs at the steps 1, 2 and 4; and all that was written."""

    def __init__(self, promote=True, backlog=None, records=(), plateau=None):
        judge = Judge(SuccessiveHalving(SUBJECT, eta=2.0, first=1), SUBJECT, promote=promote)
        judge.recall(records)
        self.coordinator = Coordinator(Terms(trials=4, promote=promote, plateau=plateau), backlog, judge)
        self.records = list(records) or [BEGUN]
        self.actions = []

    def tell(self, *events):
        self.actions = self.coordinator.handle(events, float(len(self.records)))
        self.records += [action.record for action in self.actions if isinstance(action, Write)]
        return self

    def did(self, kind):
        return [action for action in self.actions if isinstance(action, kind)]

    def start(self):
        return self.tell(WorkerReady(1, "here")).tell(SuggestionsMade(TRIALS, exhausted=False))

    def report(self, trial_id, step, loss):
        return self.tell(TrialReported(1, Report(trial_id, step, {"loss": loss})))

    def end(self, trial_id, state=TrialState.STOPPED, value=None):
        return self.tell(TrialEnded(1, Outcome(trial_id, state, value)))

    def stop_all_but_the_first(self):
        """Let the first complete with 0.1, and the others have 0.2, 0.3 and 0.4 at the first rung."""
        self.start().report(0, 1, 0.1).end(0, TrialState.COMPLETED, 0.1)
        for trial_id in (1, 2):
            self.report(trial_id, 1, (trial_id + 1) / 10).end(trial_id)
        return self.report(3, 1, 0.4)


def test_it_goes_out_next_and_knows_that_it_was_started_before():
    game = Game().stop_all_but_the_first()
    assert game.did(Stop)[0].trial_id == 3
    assert [write.record for write in game.did(Write) if isinstance(write.record, Promoted)]
    game.end(3)
    [start] = game.did(Start)
    assert (start.trial, start.attempt) == (TRIALS[1], 1)


def test_the_search_is_told_of_both_its_ends():
    game = Game().start().report(0, 1, 0.1).end(0, TrialState.COMPLETED, 0.1).report(1, 1, 0.2).end(1)
    assert [tell.outcome.value for tell in game.did(Tell)] == [0.2]
    game.report(2, 1, 0.3).end(2).report(3, 1, 0.4).end(3)
    game.report(1, 2, 0.15).end(1, TrialState.COMPLETED, 0.05)
    assert [(tell.trial.id, tell.outcome.value) for tell in game.did(Tell)] == [(1, 0.05)]


def test_the_search_ends_when_it_has_ended_for_good():
    game = Game().stop_all_but_the_first().end(3)
    assert game.coordinator.exit_code is None
    game.end(1, TrialState.COMPLETED, 0.05)
    assert game.coordinator.exit_code == 0
    state = RunState(game.records[1:])
    assert (state.counts[TrialState.COMPLETED], state.counts[TrialState.STOPPED]) == (2, 2)


def test_what_it_said_of_the_steps_before_is_heard_once():
    """It may begin anew, if it has lost its checkpoint; it is judged where it was not before."""
    game = Game().stop_all_but_the_first().end(3)
    assert not game.report(1, 1, 0.9).did(Stop)
    assert not game.report(1, 2, 0.15).did(Stop)


def test_among_the_trials_that_brought_no_new_best_it_counts_once():
    game = Game(plateau=3).stop_all_but_the_first()
    assert backlog_of(game.records).since_best == {2}  # that one was stopped, and this one goes on
    game.end(3)
    assert game.coordinator.exit_code is None
    game.end(1, TrialState.STOPPED, 0.2)
    assert backlog_of(game.records).since_best == {1, 2, 3}
    assert game.coordinator.exit_code == 0


def test_without_it_nobody_goes_on():
    game = Game(promote=False).stop_all_but_the_first().end(3)
    assert not game.did(Start)
    assert game.coordinator.exit_code == 0


def test_one_that_is_cut_off_keeps_the_value_that_it_had():
    game = Game().stop_all_but_the_first().end(3)
    game.end(1, TrialState.PREEMPTED)
    entry = RunState(game.records[1:]).trials[1]
    assert entry.value == 0.2


def test_a_search_that_is_resumed_promotes_what_it_would_have_promoted():
    whole = Game().stop_all_but_the_first().end(3)
    for cut in range(4, len(whole.records) + 1):
        records = whole.records[:cut]
        backlog = backlog_of(records)
        game = Game(backlog=backlog, records=records).tell(WorkerReady(1, "here"))
        for _ in range(20):
            starts = game.did(Start)
            if not starts:
                break
            trial_id = starts[0].trial.id
            game.report(trial_id, 1, (trial_id + 1) / 10)
            if not game.did(Stop):
                game.end(trial_id, TrialState.COMPLETED, 0.1)
            else:
                game.end(trial_id)
        promoted = [record.trial_id for record in game.records if isinstance(record, Promoted)]
        assert promoted == [1], cut
        assert game.coordinator.exit_code == 0


def test_after_a_resume_too_it_may_lose_as_many_workers_as_another():
    lost = Outcome(1, TrialState.PREEMPTED, reason="killed")
    records = [
        BEGUN,
        Suggested(0.0, TRIALS, exhausted=False),
        Started(0.0, 1, 1),
        Ended(1.0, 1, lost),
        WorkerLost(1.0, 1, "killed"),
        Started(1.0, 1, 2),
    ]
    assert backlog_of(records).losses == {1: 1}
    records += [Ended(2.0, 2, Outcome(1, TrialState.STOPPED, 0.2)), Promoted(3.0, 1)]
    assert not backlog_of(records).losses
