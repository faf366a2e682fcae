"""Trials that a rule stops, and searches that end by what they reached, as the coordinator sees them."""

import pytest

from deephpo.engine.backlog import Backlog, backlog_of
from deephpo.engine.coordinator import Coordinator
from deephpo.engine.events import (
    Ask,
    Disband,
    Foretell,
    PartDone,
    ShutDown,
    Start,
    Stop,
    SuggestionsMade,
    Tell,
    TrialEnded,
    TrialReported,
    WorkerGone,
    WorkerReady,
    Write,
)
from deephpo.engine.gangs import STOP_GRACE_S
from deephpo.engine.terms import Terms
from deephpo.stopping.create import create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.storage.journal import Journal, read_journal
from deephpo.storage.records import Begun, Ended, Finished, Judged, Reported
from deephpo.storage.run_state import RunState
from deephpo.trial import Outcome, Report, Trial, TrialState
from tests.engine.game import kinds, of, records

COMPLETED, STOPPED, FAILED, PREEMPTED = (
    TrialState.COMPLETED,
    TrialState.STOPPED,
    TrialState.FAILED,
    TrialState.PREEMPTED,
)
LOSS = Subject("loss")
TOO_BAD = "at step 2, its best, {value}, is worse than 0.5"


def judge(lesson="best"):
    """Return a judge that stops who is worse than 0.5 at step 2."""
    return Judge(create_rule("threshold:at=2,value=0.5", LOSS), LOSS, lesson)


class Game:
    """Plays a coordinator a second a turn; the search answers at once, with trials of so many ranks."""

    def __init__(self, workers=1, ranks=1, backlog=None, stops=None, **terms):
        self.coordinator = Coordinator(Terms(**terms, ranks_per_trial=ranks), backlog, stops or judge())
        self.ranks, self.made = ranks, 0 if backlog is None else backlog.suggested
        self.now_s = 0.0
        self.actions = []
        self.tell(*(WorkerReady(worker, f"node{worker}") for worker in range(1, workers + 1)))

    def tell(self, *events, after_s=1.0):
        """Let events happen in one turn; returns the actions, those after the search's answers too."""
        self.now_s += after_s
        actions = self.coordinator.handle(events, self.now_s)
        while isinstance(actions[-1] if actions else None, Ask):
            ids = range(self.made, self.made + actions[-1].q)
            self.made += actions[-1].q
            trials = tuple(Trial(k, {"x": k}, ranks=self.ranks) for k in ids)
            actions = actions[:-1] + self.coordinator.handle([SuggestionsMade(trials, False)], self.now_s)
        self.actions += actions
        return actions

    def report(self, worker, trial_id, step, value, after_s=1.0):
        return self.tell(said(worker, trial_id, step, value), after_s=after_s)

    def end(self, worker, trial_id, state=STOPPED, value=None, reason=""):
        return self.tell(ended(worker, trial_id, state, value, reason))

    @property
    def exit_code(self):
        return self.coordinator.exit_code


def said(worker, trial_id, step, value):
    return TrialReported(worker, Report(trial_id, step, {"loss": value}))


def ended(worker, trial_id, state=STOPPED, value=None, reason=""):
    return TrialEnded(worker, Outcome(trial_id, state, value, reason=reason))


class TestOneWorkerEach:
    def test_the_verdict_is_written_down_before_the_trial_is_told(self):
        game = Game()
        assert kinds(game.report(1, 0, 1, 0.7)) == ["Reported"]
        actions = game.report(1, 0, 2, 0.7)
        assert kinds(actions) == ["Reported", "Judged", "Stop"]
        assert records(actions, Judged) == [Judged(3.0, 0, TOO_BAD.format(value=0.7))]
        (stop,) = of(actions, Stop)
        assert (stop.worker, stop.trial_id) == (1, 0)

    def test_it_is_told_once_although_it_goes_on_reporting(self):
        game = Game()
        for step in range(1, 6):
            game.report(1, 0, step, 0.7)
        assert len(of(game.actions, Stop)) == len(records(game.actions, Judged)) == 1
        assert len(records(game.actions, Reported)) == 5

    def test_of_several_trials_the_bad_one_is_told(self):
        game = Game(workers=3)
        trials = {start.worker: start.trial.id for start in of(game.actions, Start)}
        for worker, trial_id in trials.items():
            game.report(worker, trial_id, 2, 0.7 if worker == 2 else 0.3)
        assert [(stop.worker, stop.trial_id) for stop in of(game.actions, Stop)] == [(2, trials[2])]

    def test_its_end_has_value_and_reason_the_search_is_told_and_its_worker_goes_on_at_once(self):
        game = Game()
        game.report(1, 0, 1, 0.6)
        game.report(1, 0, 2, 0.7)
        game.report(1, 0, 3, 0.1)
        actions = game.end(1, 0)
        assert kinds(actions)[:2] == ["Ended", "Tell"]
        outcome = Outcome(0, STOPPED, 0.6, reason=TOO_BAD.format(value=0.6))
        assert records(actions, Ended)[0].outcome == of(actions, Tell)[0].outcome == outcome
        assert [start.trial.id for start in of(actions, Start)] == [1]

    def test_which_value_that_is_is_the_judges_matter(self):
        game = Game(stops=judge("last"))
        for step, value in enumerate((0.6, 0.7, 0.65), start=1):
            game.report(1, 0, step, value)
        assert records(game.end(1, 0), Ended)[0].outcome.value == 0.7

    def test_one_that_completes_although_it_was_told_is_complete(self):
        game = Game()
        game.report(1, 0, 2, 0.7)
        actions = game.end(1, 0, COMPLETED, 0.65)
        assert records(actions, Ended)[0].outcome == Outcome(0, COMPLETED, 0.65)
        assert of(actions, Tell)[0].outcome.value == 0.65

    def test_one_that_fails_although_it_was_told_has_failed(self):
        """As a rank's failure before the word came; the process says stopped of what failed afterwards."""
        game = Game()
        game.report(1, 0, 2, 0.7)
        actions = game.end(1, 0, FAILED, reason="ValueError: no")
        assert records(actions, Ended)[0].outcome == Outcome(0, FAILED, reason="ValueError: no")

    def test_one_that_stops_of_its_own_accord_has_the_value_that_it_reported(self):
        game = Game(stops=Judge(None, LOSS))
        game.report(1, 0, 1, 0.7)
        game.report(1, 0, 2, 0.9)
        actions = game.end(1, 0)
        assert records(actions, Ended)[0].outcome == Outcome(0, STOPPED, 0.7)
        assert (of(game.actions, Stop), records(game.actions, Judged)) == ([], [])

    def test_one_that_never_had_a_number_is_told_to_the_search_as_a_failure(self):
        game = Game()
        game.report(1, 0, 2, float("nan"))
        outcome = of(game.end(1, 0), Tell)[0].outcome
        assert (outcome.state, outcome.value) == (STOPPED, None)
        assert outcome.reason

    def test_a_verdict_in_the_turn_in_which_the_trial_ends_tells_nobody(self):
        game = Game()
        actions = game.tell(said(1, 0, 2, 0.7), ended(1, 0, COMPLETED, 0.65))
        assert [type(a.record).__name__ for a in of(actions, Write)][:3] == ["Reported", "Judged", "Ended"]
        assert records(actions, Ended)[0].outcome.state is COMPLETED

    def test_a_report_of_a_trial_that_is_over_or_anothers_is_not_judged(self):
        game = Game(workers=2)
        assert game.report(1, 1, 2, 0.7) == []
        game.end(1, 0, COMPLETED, 0.5)
        assert game.report(1, 0, 2, 0.7) == []

    def test_what_a_running_trial_is_worth_is_foretold_all_the_same(self):
        game = Game(interim="loss")
        assert kinds(game.report(1, 0, 2, 0.7)) == ["Reported", "Foretell", "Judged", "Stop"]
        assert of(game.actions, Foretell) == [Foretell(0, 0.7)]


class TestTheGrace:
    @pytest.mark.parametrize("interval_s", [0.01, 1.0, 600.0])
    def test_it_is_a_while_and_the_time_until_the_third_report_from_now(self, interval_s):
        game = Game()
        game.report(1, 0, 1, 0.4, after_s=interval_s)
        game.tell(ended(1, 0, COMPLETED, 0.4))
        for step in range(3):
            game.report(1, 1, step, 0.7, after_s=interval_s)
        (stop,) = of(game.actions, Stop)
        assert stop.grace_s == pytest.approx(STOP_GRACE_S + 3 * interval_s)

    def test_of_a_trial_that_was_started_again_its_own_reports_count(self):
        game = Game(workers=2)
        for step in range(2):
            game.report(1, 0, step, 0.7, after_s=0.001)
        game.tell(WorkerGone(1, "killed"), ended(2, 1, COMPLETED, 0.4), after_s=0.0)
        game.report(2, 0, 0, 0.7, after_s=100.0)
        game.report(2, 0, 1, 0.7, after_s=100.0)
        game.report(2, 0, 2, 0.7, after_s=100.0)
        (stop,) = of(game.actions, Stop)
        assert stop.grace_s == pytest.approx(STOP_GRACE_S + 300.0)


class TestLostWorkers:
    def test_a_trial_that_is_started_again_is_judged_on(self):
        game = Game(workers=2, trials=2)
        game.report(1, 0, 1, 0.7)
        game.tell(WorkerGone(1, "killed"))
        actions = game.tell(ended(2, 1, COMPLETED, 0.4))
        assert [(start.trial.id, start.attempt) for start in of(actions, Start)] == [(0, 1)]
        assert kinds(game.report(2, 0, 1, 0.2)) == ["Reported"]  # it was there before
        actions = game.report(2, 0, 2, 0.7)
        assert kinds(actions) == ["Reported", "Judged", "Stop"]
        assert (of(actions, Stop)[0].worker, of(actions, Stop)[0].trial_id) == (2, 0)
        assert records(game.end(2, 0), Ended)[0].outcome.value == 0.7

    def test_one_that_was_told_before_is_told_again_with_its_first_report(self):
        game = Game(workers=2, trials=2)
        game.report(1, 0, 2, 0.7)
        game.tell(WorkerGone(1, "killed"))
        game.tell(ended(2, 1, COMPLETED, 0.4))
        game.report(2, 0, 0, 0.9)
        game.report(2, 0, 1, 0.9)
        assert [(stop.worker, stop.trial_id) for stop in of(game.actions, Stop)] == [(1, 0), (2, 0)]
        assert {judged.reason for judged in records(game.actions, Judged)} == {TOO_BAD.format(value=0.7)}
        game.end(2, 0)
        assert game.exit_code == 0
        assert [r.outcome.state for r in records(game.actions, Ended)] == [PREEMPTED, COMPLETED, STOPPED]

    def test_one_whose_worker_is_lost_after_it_was_told_ends_once(self):
        game = Game(workers=2, trials=2, retries=0)
        game.report(1, 0, 2, 0.7)
        actions = game.tell(WorkerGone(1, "killed"))
        assert records(actions, Ended)[0].outcome.state is FAILED
        assert game.end(1, 0) != []  # the late word of a worker that was only slow
        assert len(of(game.actions, Tell)) == 1


class TestGangs:
    def test_the_leader_is_told_and_when_it_ends_the_others_are_disbanded(self):
        game = Game(workers=3, ranks=3)
        (start,) = of(game.actions, Start)
        game.report(start.worker, 0, 2, 0.7)
        assert [stop.worker for stop in of(game.actions, Stop)] == [start.worker]
        actions = game.end(start.worker, 0)
        assert kinds(actions)[:4] == ["Disband", "Disband", "Ended", "Tell"]
        assert of(actions, Disband) == [Disband(worker, 0) for worker in start.others]
        assert records(actions, Ended)[0].outcome.value == 0.7
        game.tell(*(PartDone(worker, 0) for worker in start.others))
        assert of(game.actions, Start)[-1].trial.id == 1

    def test_members_that_leave_first_are_not_disbanded(self):
        game = Game(workers=3, ranks=3)
        (start,) = of(game.actions, Start)
        game.report(start.worker, 0, 2, 0.7)
        game.tell(*(PartDone(worker, 0) for worker in start.others))
        actions = game.end(start.worker, 0)
        assert kinds(actions)[:2] == ["Ended", "Tell"]
        assert of(actions, Start)[0].trial.id == 1

    def test_a_member_that_has_to_be_ended_changes_nothing(self):
        game = Game(workers=2, ranks=2)
        (start,) = of(game.actions, Start)
        game.report(start.worker, 0, 2, 0.7)
        game.end(start.worker, 0)
        actions = game.end(start.others[0], 0, FAILED, reason="its trial was over")
        assert records(actions, Ended) == of(actions, Tell) == []
        assert of(actions, Start)[0].trial.id == 1

    def test_a_member_that_fails_when_it_is_told_makes_it_a_failure(self):
        """It is seen before the leader ends; a leader that ends first has stopped."""
        game = Game(workers=2, ranks=2)
        (start,) = of(game.actions, Start)
        game.report(start.worker, 0, 2, 0.7)
        game.end(start.others[0], 0, FAILED, reason="connection closed")
        actions = game.end(start.worker, 0)
        assert records(actions, Ended)[0].outcome.state is FAILED


class TestTheEndOfTheSearch:
    def test_a_search_of_which_every_trial_was_stopped_has_succeeded_if_they_have_values(self):
        game = Game(trials=3)
        for trial_id in range(3):
            game.report(1, trial_id, 2, 0.7)
            game.end(1, trial_id)
        assert game.exit_code == 0
        assert [type(a) for a in game.actions][-1] is ShutDown

    def test_it_has_not_if_none_has_one(self):
        game = Game(trials=3)
        for trial_id in range(3):
            game.end(1, trial_id)
        assert game.exit_code == 3

    @pytest.mark.parametrize(
        ("terms", "values", "reason"),
        [
            ({"goal": 0.1}, [0.5, 0.3, 0.1], "the goal of 0.1 is reached, with 0.1"),
            (
                {"goal": 0.9, "direction": "maximize"},
                [0.5, 0.3, 0.95],
                "the goal of 0.9 is reached, with 0.95",
            ),
            ({"plateau": 2}, [0.3, 0.5, 0.4], "2 trials in a row were no better than 0.3"),
            ({"plateau": 2, "direction": "maximize"}, [0.5, 0.3, 0.4], "2 trials in a row"),
        ],
    )
    def test_it_ends_by_what_its_trials_reached(self, terms, values, reason):
        game = Game(workers=2, **terms)
        for trial_id, value in enumerate(values):
            assert game.exit_code is None
            worker = next(s.worker for s in of(game.actions, Start) if s.trial.id == trial_id)
            game.end(worker, trial_id, COMPLETED, value)
        assert game.exit_code == 0
        (finished,) = records(game.actions, Finished)
        assert finished.reason.startswith(reason)
        # The other worker's trial is given up.
        assert [r.outcome.state for r in records(game.actions, Ended)] == [COMPLETED] * 3 + [PREEMPTED]
        assert game.actions[-2:] == [ShutDown(1), ShutDown(2)]

    def test_it_ends_when_its_node_hours_are_used_though_nothing_happens(self):
        game = Game(workers=2, node_hours=1.0)
        game.end(1, 0, COMPLETED, 0.5)
        game.tell(after_s=1790.0)
        assert game.exit_code is None
        game.tell(after_s=10.0)
        assert game.exit_code == 0
        assert records(game.actions, Finished)[0].reason == "1 node-hours are used"

    def test_a_search_that_has_nothing_when_its_node_hours_are_used_has_not_succeeded(self):
        game = Game(node_hours=1.0)
        game.tell(after_s=3600.0)
        assert game.exit_code == 3

    @pytest.mark.parametrize(
        ("terms", "exit_code"), [({"goal": 0.2}, 0), ({"plateau": 5}, 0), ({"node_hours": 2.0}, 0)]
    )
    def test_a_search_that_is_resumed_at_its_end_ends_at_once(self, terms, exit_code):
        backlog = Backlog(
            suggested=6, settled=6, succeeded=6, best=0.2, since_best=frozenset(range(1, 6)), node_s=7200.0
        )
        game = Game(backlog=backlog, **terms)
        assert (game.exit_code, of(game.actions, Start)) == (exit_code, [])

    def test_a_resumed_search_counts_on_from_where_it_was(self):
        backlog = Backlog(
            suggested=6, settled=6, succeeded=6, best=0.2, since_best=frozenset(range(2, 6)), node_s=7000.0
        )
        game = Game(backlog=backlog, plateau=5, node_hours=2.0)
        game.tell(after_s=190.0)
        assert game.exit_code is None
        game.end(1, 6, COMPLETED, 0.3)
        assert records(game.actions, Finished)[0].reason == "5 trials in a row were no better than 0.2"


def test_a_run_with_stopped_trials_comes_back_from_its_journal(tmp_path, declaration):
    game = Game(workers=2, trials=4)
    for _ in range(4):
        at = {s.trial.id: s.worker for s in of(game.actions, Start)}
        for record in records(game.actions, Ended):
            at.pop(record.outcome.trial_id, None)
        trial_id, worker = next(iter(at.items()))
        game.report(worker, trial_id, 1, 0.4 + trial_id / 100)
        game.report(worker, trial_id, 2, 0.3 if trial_id == 2 else float("nan"))
        game.end(worker, trial_id, *((COMPLETED, 0.3) if trial_id == 2 else (STOPPED, None)))
    written = [
        Begun(0.0, "0.1.0", "head", "demo.py", declaration.to_dict(), {}),
        *(action.record for action in of(game.actions, Write)),
    ]
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(written)
    journal.close()
    read = list(read_journal(tmp_path / "journal.jsonl"))
    assert list(map(repr, read)) == list(map(repr, written))  # NaN is not equal to itself
    state, backlog = RunState(read), backlog_of(read)
    assert state.counts == {STOPPED: 3, COMPLETED: 1}
    assert (backlog.settled, backlog.succeeded, backlog.best, backlog.since_best) == (4, 4, 0.3, {3})
    again = judge()
    again.recall(read)
    assert again.hear(Report(9, 2, {"loss": 0.7})) is not None
