"""The judge: what becomes of reports and ends, whichever rule it asks."""

import math
import random

import pytest

from deephpo.stopping.create import create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.stopping.lesson import LESSONS
from deephpo.storage.records import Ended, Judged, Reported
from deephpo.trial import Outcome, Report, TrialState

COMPLETED, STOPPED, FAILED, PREEMPTED = (
    TrialState.COMPLETED,
    TrialState.STOPPED,
    TrialState.FAILED,
    TrialState.PREEMPTED,
)

TOO_BAD = "at step 2, 0.6 is bad"


class Strict:
    """Stops who is worse than a loss, and notes all that it is asked and told."""

    def __init__(self, most=0.5):
        self._most = most
        self.judged = []
        self.closed = []

    def judge(self, curve):
        self.judged.append((curve.trial_id, curve.steps[-1]))
        return f"{curve.losses[-1]:g} is bad" if curve.losses[-1] > self._most else None

    def close(self, curve, completed):
        self.closed.append((curve.trial_id, tuple(curve.losses), completed))


def judge_of(rule=None, direction="minimize", last_step=None, lesson="best"):
    return Judge(rule, Subject("loss", direction, last_step), lesson)


def say(judge, *values, trial_id=0, first=1):
    """Report values one after the other; returns what the judge answered to each."""
    return [judge.hear(Report(trial_id, first + k, {"loss": value})) for k, value in enumerate(values)]


def end(judge, state=STOPPED, trial_id=0, reason=""):
    return judge.close(Outcome(trial_id, state, 0.5 if state is COMPLETED else None, reason=reason))


def test_a_verdict_stands_and_is_not_asked_for_again():
    rule = Strict()
    assert say(judge_of(rule), 0.4, 0.6, 0.1, 0.9) == [None, TOO_BAD, TOO_BAD, TOO_BAD]
    assert rule.judged == [(0, 1), (0, 2)]


def test_the_verdict_names_the_step_as_the_problem_calls_it():
    judge = Judge(Strict(), Subject("loss", unit="epoch"))
    assert say(judge, 0.4, 0.6)[-1] == "at epoch 2, 0.6 is bad"


def test_trials_are_judged_each_by_itself():
    judge = judge_of(Strict())
    assert say(judge, 0.6, trial_id=1) == ["at step 1, 0.6 is bad"]
    assert say(judge, 0.4, trial_id=2) == [None]
    assert say(judge, 0.3, trial_id=1, first=2) == ["at step 1, 0.6 is bad"]


def test_what_lacks_the_objective_is_no_report_of_it():
    rule = Strict()
    judge = judge_of(rule)
    assert judge.hear(Report(0, 1, {"accuracy": 0.1})) is None
    assert say(judge, 0.6, first=2) == [TOO_BAD]
    assert rule.judged == [(0, 2)]


def test_steps_that_a_trial_was_at_before_its_restart_change_nothing():
    rule = Strict()
    judge = judge_of(rule)
    say(judge, 0.4, 0.3)
    assert say(judge, 0.9, 0.9) == [None, None]
    assert say(judge, 0.6, first=3) == ["at step 3, 0.6 is bad"]
    assert rule.judged == [(0, 1), (0, 2), (0, 3)]
    assert end(judge).value == 0.3
    assert rule.closed == [(0, (0.4, 0.3, 0.6), False)]


def test_a_trial_that_was_judged_before_its_restart_hears_it_with_its_first_report():
    judge = judge_of(Strict())
    say(judge, 0.4, 0.6)
    assert say(judge, 0.4) == [TOO_BAD]


def test_a_training_that_is_at_its_last_step_is_not_stopped():
    rule = Strict()
    judge = judge_of(rule, last_step=3)
    assert say(judge, 0.4, 0.4, 0.6, 0.7) == [None] * 4
    assert rule.judged[-2:] == [(0, 3), (0, 4)]  # others may be compared with it
    assert say(judge_of(Strict(), last_step=3), 0.4, 0.6, 0.7) == [None, TOO_BAD, TOO_BAD]


@pytest.mark.parametrize(
    ("direction", "lesson", "values", "value"),
    [
        ("minimize", "best", [0.4, 0.3, 0.7], 0.3),
        ("minimize", "last", [0.4, 0.3, 0.7], 0.7),
        ("maximize", "best", [0.4, 0.3, -0.7], 0.4),
        ("maximize", "last", [0.4, 0.3, -0.7], -0.7),
        ("minimize", "best", [math.nan, 0.3, math.inf], 0.3),
        ("maximize", "best", [math.inf, 0.3, math.nan], 0.3),
        ("minimize", "best", [-math.inf, 0.3, math.inf], 0.3),
        ("minimize", "last", [0.3, math.inf], None),
        ("maximize", "last", [0.3, math.nan], None),
        ("minimize", "best", [math.nan, math.inf], None),
        ("maximize", "best", [-math.inf], None),
    ],
)
@pytest.mark.parametrize("by_itself", [True, False])
def test_a_stopped_trial_stands_for_its_best_or_its_last_value_if_that_is_a_number(
    direction, lesson, values, value, by_itself
):
    """Also of a trial that raises TrialStopped of its own accord, without any rule."""

    class AtTheEnd(Strict):
        def judge(self, curve):
            return "enough" if curve.steps[-1] == len(values) else None

    judge = judge_of(None if by_itself else AtTheEnd(), direction, lesson=lesson)
    say(judge, *values)
    reason = "" if by_itself else f"at step {len(values)}, enough"
    assert end(judge) == Outcome(0, STOPPED, value, reason=reason)


def test_what_a_trial_says_until_it_hears_does_not_change_what_it_stands_for():
    for more in ([], [0.1], [0.1, 0.05]):
        judge = judge_of(Strict())
        say(judge, 0.4, 0.6, *more)
        assert end(judge).value == 0.4


def test_a_trial_that_never_reported_has_no_value():
    assert end(judge_of(Strict())) == Outcome(0, STOPPED)
    assert end(judge_of(None), reason="why") == Outcome(0, STOPPED, reason="why")


def test_the_reason_is_the_rules_and_says_what_else_happened():
    judge = judge_of(Strict())
    say(judge, 0.4, 0.6)
    assert end(judge, reason="it did not stop by itself").reason == f"{TOO_BAD} (it did not stop by itself)"


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_of_a_trial_that_was_not_stopped_the_outcome_stays_what_it_was(state):
    rule = Strict()
    judge = judge_of(rule)
    say(judge, 0.4, 0.6, 0.2)
    outcome = Outcome(0, state, 0.5 if state is COMPLETED else None, reason="its own")
    assert judge.close(outcome) == outcome
    assert rule.closed == [(0, (0.4, 0.6, 0.2), state is COMPLETED)]


def test_nothing_is_kept_of_a_trial_that_is_over():
    judge = judge_of(Strict())
    say(judge, 0.6)
    end(judge)
    assert say(judge, 0.4) == [None]


def test_every_trial_that_reported_is_closed_once():
    rule = Strict()
    judge = judge_of(rule)
    say(judge, 0.4)
    end(judge, COMPLETED, 1)  # never reported
    end(judge, COMPLETED)
    end(judge, COMPLETED)
    assert rule.closed == [(0, (0.4,), True)]


LAST = 12


class Play:
    """Trials in a random order of reports, preemptions and ends, each as a judge that is asked decides."""

    def __init__(self, judge, seed):
        self._judge = judge
        self._dice = random.Random(seed)
        self._steps = {}
        self._trials = iter(range(10**6))
        self.records = []
        """What the journal would hold."""
        self.answers = []
        """What the judge made of each."""

    def go_on(self, turns):
        for _ in range(turns):
            if len(self._steps) < 6:
                self._steps[next(self._trials)] = 0
            trial_id = self._dice.choice(list(self._steps))
            if self._dice.random() < 0.05:
                self._end(trial_id, PREEMPTED)
                self._steps[trial_id] = self._dice.choice([0, max(0, self._steps[trial_id] - 2)])
            else:
                self._train(trial_id)

    def _train(self, trial_id):
        self._steps[trial_id] += 1
        report = Report(trial_id, self._steps[trial_id], {"loss": self._loss(trial_id)})
        self._take(Reported(0.0, report), reason := self._judge.hear(report))
        if reason is not None:
            self.records.append(Judged(0.0, trial_id, reason))
        if reason is not None and self._dice.random() < 0.6:
            self._end(trial_id, STOPPED)
        elif report.step == LAST or self._dice.random() < 0.02:
            self._end(trial_id, COMPLETED if report.step == LAST else FAILED)

    def _loss(self, trial_id):
        if self._dice.random() < 0.03:
            return self._dice.choice([math.nan, math.inf, -math.inf])
        return (trial_id * 7919 % 101) / 100 + self._dice.random() / self._steps[trial_id]

    def _end(self, trial_id, state):
        outcome = Outcome(trial_id, state, 0.5 if state is COMPLETED else None, reason="over")
        if state is not PREEMPTED:
            del self._steps[trial_id]
            outcome = self._judge.close(outcome)
        self._take(Ended(0.0, 1, outcome), outcome)

    def _take(self, record, answer):
        self.records.append(record)
        self.answers.append(answer)


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize(
    "rule", ["asha:eta=2 + diverged", "median", "pace", "knock", "gradient", "compound", "plateau:patience=2"]
)
def test_a_judge_that_recalls_a_journal_goes_on_as_the_one_that_lived_it(rule, lesson):
    subject = Subject("loss", "minimize", LAST)
    for seed in range(4):
        play = Play(Judge(create_rule(rule, subject), subject, lesson), seed)
        play.go_on(600)
        cut = random.Random(seed).randrange(len(play.records))
        recalled = Judge(create_rule(rule, subject), subject, lesson)
        recalled.recall(play.records[:cut])
        again = [
            recalled.hear(record.report) if isinstance(record, Reported) else recalled.close(record.outcome)
            for record in play.records[cut:]
            if isinstance(record, Reported)
            or (isinstance(record, Ended) and record.outcome.state is not PREEMPTED)
        ]
        lived = [
            answer
            for answer in play.answers
            if not (isinstance(answer, Outcome) and answer.state is PREEMPTED)
        ]
        states = {answer.state for answer in play.answers if isinstance(answer, Outcome)}
        assert states >= {COMPLETED, PREEMPTED, STOPPED}
        assert _without_reasons(again) == _without_reasons(lived[len(lived) - len(again) :])


def _without_reasons(answers):
    """Return answers to compare: a recorded reason already holds the rule's, before which it is put again."""
    return [(a.trial_id, a.state, a.value, a.foreseen) if isinstance(a, Outcome) else a for a in answers]


def test_where_its_curve_was_heading_is_for_the_search_alone():
    subject = Subject("loss", last_step=40)
    judge = Judge(create_rule("threshold:at=10,value=0.5", subject), subject, "extrapolated")
    for step in range(1, 11):
        verdict = judge.hear(Report(0, step, {"loss": 0.4 + step**-0.5}))
    assert verdict is not None
    outcome = judge.close(Outcome(0, TrialState.STOPPED))
    assert outcome.value == pytest.approx(0.4 + 10**-0.5)
    assert 0.4 < outcome.foreseen < outcome.value
    assert outcome.lesson == outcome.foreseen


class TestOfReportsThatCameAfterAVerdict:
    """How soon a trial hears of its verdict is to change nothing."""

    RULE = "asha:eta=2,first=1"

    def play(self, late):
        """Return why a trial that was promoted is stopped again; late: its reports before it heard."""
        subject = Subject("loss", "minimize", 8)
        judge = Judge(create_rule(self.RULE, subject), subject, promote=True)
        say(judge, 0.1, 0.09, trial_id=0)
        end(judge, COMPLETED, trial_id=0)
        values = [0.2, 0.19, 0.01, 0.005]
        assert say(judge, *values[: 1 + late], trial_id=1)[-1] is not None
        end(judge, trial_id=1)
        for trial_id in (2, 3):
            say(judge, 0.9, trial_id=trial_id)
            end(judge, trial_id=trial_id)
        assert judge.promotion() == 1
        return say(judge, *values[1 + late :], trial_id=1, first=2 + late)[0]

    @pytest.mark.parametrize("late", [0, 1, 2])
    def test_one_that_is_promoted_is_judged_at_the_rung_that_it_had_passed(self, late):
        assert self.play(late) == "at step 2, its best, 0.19, is not among the best 1 of 2 trials (0.09)"

    def test_they_are_no_part_of_a_stopped_trials_curve(self):
        rule = Strict()
        judge = judge_of(rule)
        say(judge, 0.4, 0.6, 0.1)
        end(judge)
        assert rule.closed == [(0, (0.4, 0.6), False)]
