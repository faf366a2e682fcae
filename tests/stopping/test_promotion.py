"""Whom the judge lets go on after all, and that a resumed search lets the same ones."""

import math

import pytest

from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.stopping.lesson import LESSONS
from deephpo.storage.records import Ended, Promoted, Reported
from deephpo.trial import Outcome, Report, TrialState

SUBJECT = Subject("loss", last_step=8)
COMPLETED, STOPPED, FAILED = TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED


def judge_of(eta=2.0, lesson="best"):
    """Return a judge with rungs at the steps 1, 2 and 4 for eta 2."""
    return Judge(SuccessiveHalving(SUBJECT, eta=eta, first=1), SUBJECT, lesson, promote=True)


class Life:
    """A judge, and the journal of what it heard and said."""

    def __init__(self, lesson="best"):
        self.judge = judge_of(lesson=lesson)
        self.records = []

    def report(self, trial_id, loss, step=1):
        self.records.append(Reported(0.0, Report(trial_id, step, {"loss": loss})))
        reason = self.judge.hear(self.records[-1].report)
        self._promote()
        return reason

    def end(self, trial_id, state=STOPPED):
        outcome = self.judge.close(Outcome(trial_id, state, 0.5 if state is COMPLETED else None))
        self.records.append(Ended(0.0, 1, outcome))
        self._promote()
        return outcome

    def _promote(self):
        while (trial_id := self.judge.promotion()) is not None:
            self.records.append(Promoted(0.0, trial_id))

    @property
    def promoted(self):
        return [record.trial_id for record in self.records if isinstance(record, Promoted)]


def one_that_stops_late():
    """Let trial 1 be among the best while it has not yet stopped, and no more when it has."""
    life = Life()
    for trial_id, loss in enumerate((0.1, 0.2, 0.3, 0.4, 0.05)):
        life.report(trial_id, loss)
    return life


def test_one_that_was_among_the_best_before_it_stopped_goes_on_as_soon_as_it_has():
    life = one_that_stops_late()
    assert life.promoted == []
    life.end(1)
    assert life.promoted == [1]


def test_a_resumed_search_lets_the_same_ones_go_on():
    life = one_that_stops_late()
    cuts = [len(life.records)]
    life.end(1)
    cuts += [len(life.records) - 1, len(life.records)]
    for cut in cuts:
        again = Life()
        again.records = life.records[:cut]
        again.judge.recall(again.records)
        if cut == cuts[0]:
            again.end(1)
        again._promote()
        assert again.promoted == [1], cut
        assert again.report(1, 0.9) is None, "it was at this rung before, and its curve goes on"


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_one_that_ends_otherwise_before_it_heard_of_its_verdict_does_not_go_on(state):
    life = one_that_stops_late()
    life.end(1, state)
    assert life.promoted == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_one_without_a_value_does_not_go_on(lesson):
    """A search was told that it failed."""
    life = Life(lesson)
    life.report(0, 0.1)
    assert life.report(1, math.nan) is not None
    assert life.end(1).value is None
    for trial_id in (2, 3, 4, 5):
        life.report(trial_id, math.nan)
    assert life.promoted == []


def test_who_goes_on_by_the_journal_goes_on_once_under_a_stricter_rule_too():
    life = Life()
    life.judge = judge_of(eta=1.5)
    for trial_id, loss in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):
        life.report(trial_id, loss)
        life.end(trial_id, COMPLETED if trial_id < 2 else STOPPED)
    assert life.promoted == [2]
    judge = judge_of(eta=3.0)
    judge.recall(life.records)
    for trial_id in range(5, 30):
        judge.hear(Report(trial_id, 1, {"loss": 0.9}))
    assert judge.promotion() != 2
