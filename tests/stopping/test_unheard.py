"""What is said when trials do not report a further metric."""

import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge
from deephpo.storage.records import Ended, Reported
from deephpo.trial import Outcome, Report, TrialState

COMPLETED, STOPPED, FAILED = TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED
SENTENCE = (
    "none of its reports held 'latency' and 'size' beside 'loss', so it was not judged by that: "
    "ctx.report(step, loss=..., latency=..., size=...), or another metric in also="
)


def judge_of(*also):
    return Judge(None, Subject("loss"), also=also)


def reason(judge, trial_id, *reports, state=COMPLETED, said=""):
    """Return what the outcome of a trial says, after reports of these metrics."""
    for step, names in enumerate(reports):
        judge.hear(Report(trial_id, step, dict.fromkeys(names.split(), 0.5)))
    return judge.close(Outcome(trial_id, state, None if state is FAILED else 0.5, reason=said)).reason


@pytest.mark.parametrize(
    "reports",
    [["loss", "loss"], ["loss latency", "loss size"], ["loss", "latency size"], ["loss latency"]],
)
def test_the_first_trial_that_completes_without_a_report_of_all_metrics_says_so_and_no_other_one(reports):
    judge = judge_of("latency", "size")
    assert reason(judge, 0, *reports, state=STOPPED) == ""
    assert reason(judge, 1, *reports, state=FAILED, said="why") == "why"
    assert reason(judge, 2, *reports) == SENTENCE
    assert reason(judge, 3, *reports) == ""


def test_one_report_of_all_metrics_is_enough():
    judge = judge_of("latency", "size")
    assert reason(judge, 0, "loss", "loss latency size more", "loss") == ""
    assert reason(judge, 1, "loss latency", said="it had been cut off") == f"it had been cut off; {SENTENCE}"


def test_where_no_metrics_are_named_and_where_the_objective_is_silent_nothing_is_said():
    assert reason(judge_of(), 0, "loss") == ""
    assert reason(judge_of("latency"), 0, "size") == ""
    assert reason(judge_of("latency"), 0) == ""


def test_a_resumed_search_does_not_say_it_again():
    judge, again = judge_of("latency", "size"), judge_of("latency", "size")
    report = Report(0, 1, {"loss": 0.5})
    judge.hear(report)
    outcome = judge.close(Outcome(0, COMPLETED, 0.5))
    assert outcome.reason == SENTENCE
    again.recall([Reported(0.0, report), Ended(1.0, 1, outcome)])
    assert reason(again, 1, "loss") == ""
