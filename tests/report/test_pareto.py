"""The Pareto front of a run: what a trial stands there with, and which trials stand there."""

import random

import pytest

from deephpo.report.pareto import beside_value, objectives, pareto_front
from deephpo.storage.run_state import RunState, TrialEntry
from deephpo.trial import TrialState
from tests.report.judged import judged


@pytest.mark.parametrize("rule", ["none", "auto", "pace + diverged", "a rule of another version"])
def test_a_run_that_is_judged_by_its_objective_alone_has_no_front(rule, run_records):
    state = RunState(judged(run_records(0.5, 0.25), rule))
    assert (objectives(state), pareto_front(state)) == ([], [])


def test_a_run_of_which_no_record_says_how_it_is_judged_has_no_front(run_records):
    assert pareto_front(RunState()) == pareto_front(RunState(run_records(0.5))) == []


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_objective_comes_first_and_each_metric_has_its_direction(direction, run_records):
    records = run_records(0.5, direction=direction)
    subjects = objectives(RunState(judged(records, "pace:also=latency max:throughput+diverged")))
    assert [(subject.metric, subject.direction) for subject in subjects] == [
        ("loss", direction),
        ("latency", "minimize"),
        ("throughput", "maximize"),
    ]


@pytest.mark.parametrize("rule", ["pace:also=latency", "asha:also=latency max:throughput"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_in_the_front_is_who_is_dominated_by_nobody_the_best_objective_first(rule, direction, run_records):
    rng = random.Random(1)
    sign = 1 if direction == "minimize" else -1
    # Few levels, so that many are equal in some or in all.
    losses = [rng.randrange(6) for _ in range(60)]
    points = [(loss, 5 - loss + rng.randrange(3), rng.randrange(6)) for loss in losses]
    records = run_records(*(sign * loss / 8 for loss, _, _ in points), direction=direction)
    returned = [{"latency": float(latency), "throughput": -float(slow)} for _, latency, slow in points]
    state = RunState(judged(records, rule, returned))
    points = points if "throughput" in rule else [point[:2] for point in points]
    front = [point.trial for point in pareto_front(state)]
    assert {trial.id for trial in front} == {
        k for k, point in enumerate(points) if not any(dominates(other, point) for other in points)
    }
    assert 1 < len(front) < 60
    assert [trial.value for trial in front] == sorted((t.value for t in front), key=lambda v: sign * v)
    assert front[0].value == state.best.value


def dominates(one, other):
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def test_who_was_stopped_can_be_in_the_front_and_who_failed_or_runs_cannot(run_records):
    records = run_records(0.5, 0.75, "ValueError", None, finished=False)
    returned = [{"latency": latency} for latency in (2.0, 1.0, 0.5, 0.5)]
    state = RunState(judged(records, "pace:also=latency", returned, stopped=[1]))
    assert [(p.trial.id, p.trial.state, p.others) for p in pareto_front(state)] == [
        (0, TrialState.COMPLETED, {"latency": 2.0}),
        (1, TrialState.STOPPED, {"latency": 1.0}),
    ]


@pytest.mark.parametrize("said", [{}, {"latency": float("nan")}, {"latency": float("-inf")}])
def test_who_has_no_finite_number_for_a_metric_is_left_out(said, run_records):
    records = run_records(0.5, 0.75)
    state = RunState(judged(records, "pace:also=latency", [said, {"latency": 1.0}]))
    assert [point.trial.id for point in pareto_front(state)] == [1]


REPORTS = (
    (1.0, 1, {"loss": 0.5, "latency": 1.0, "size": 10.0}),
    (2.0, 2, {"loss": 0.25, "latency": 2.0, "size": 20.0}),
    (3.0, 3, {"loss": 0.25, "latency": 3.0, "size": 30.0}),
    (4.0, 4, {"loss": 0.5, "latency": 4.0, "size": 40.0}),
    (5.0, 5, {"loss": 0.75, "latency": 5.0}),
)
"""The best is at steps 2 and 3, all metrics are there last at step 4."""


@pytest.mark.parametrize(
    ("value", "returned", "latency", "size"),
    [
        (0.25, {"loss": 0.25}, 3.0, 30.0),
        (0.25, {}, 3.0, 30.0),
        (0.25, {"loss": 0.25, "latency": 9.0}, 9.0, 30.0),
        (0.25, {"loss": 0.25, "latency": 9.0, "size": 90.0}, 9.0, 90.0),
        (0.75, {"loss": 0.75}, 4.0, 40.0),
        (0.125, {"loss": 0.125}, 4.0, 40.0),
        (0.125, {"loss": 0.125, "size": 90.0}, 5.0, 90.0),
        (0.25, {"loss": 0.25, "latency": float("nan")}, 3.0, 30.0),
    ],
    ids=[
        "the last report of the value",
        "the same for one that was stopped",
        "what was returned, and what was not from the report",
        "all was returned",
        "the report of the value lacks one",
        "a value that was never reported",
        "the last report has all that was not returned",
        "what was returned is no number",
    ],
)
def test_beside_a_value_stands_what_belongs_to_it(value, returned, latency, size):
    trial = TrialEntry(0, {}, TrialState.COMPLETED, value, returned=returned, curve=REPORTS)
    assert beside_value(trial, "loss", ["latency", "size"]) == {"latency": latency, "size": size}


def test_what_no_report_has_is_not_there():
    trial = TrialEntry(0, {}, TrialState.COMPLETED, 0.25, returned={"loss": 0.25}, curve=REPORTS)
    assert beside_value(trial, "loss", ["latency", "power_w"]) is None
