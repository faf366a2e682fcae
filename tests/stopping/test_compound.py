import math

import pytest

from deephpo.stopping.compound import Compound
from deephpo.stopping.curve import Subject

ACCURACY = Subject("accuracy", "maximize", 10)
RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
"""Means 0.3 over the steps 1 to 5, 0.65 over the steps 5 to 8."""


def low(k, at_the_end):
    """Return a curve that is RISING but for step k."""
    return [*RISING[: k - 1], at_the_end, *RISING[k:]]


def test_the_first_trial_is_compared_with_its_own_mean(train):
    assert train(Compound(ACCURACY), ACCURACY, RISING) is None
    step, reason = train(Compound(ACCURACY), ACCURACY, RISING[::-1])
    assert step == 5
    assert "1 trials" not in reason


@pytest.mark.parametrize(("value", "stops"), [(0.25, True), (0.29, False), (0.3, False)])
def test_half_way_a_value_below_the_worst_of_the_means_stops(train, value, stops):
    rule = Compound(ACCURACY, beta=0.2)
    train(rule, ACCURACY, RISING)
    # The means are 0.3 and (1 + value) / 5; a fifth of the way from the smaller one to the larger is
    # 0.26 for 0.25 and 0.2664 for 0.29.
    verdict = train(rule, ACCURACY, [*RISING[:4], value, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert verdict == (
        (5, "0.25 is not in the best 80% of what 2 trials had on average until then (0.26)")
        if stops
        else None
    )


def test_before_the_end_only_a_value_above_nearly_all_means_goes_on(train):
    rule = Compound(ACCURACY, beta=0.2)
    train(rule, ACCURACY, RISING)
    # Means over the steps 5 to 8: 0.65, and 0.575 with 0.5 at step 8; four fifths of the way up is 0.635.
    assert train(rule, ACCURACY, low(8, 0.5)) == (
        8,
        "0.5 is not in the best 20% of what 2 trials had on average until then (0.635)",
    )
    assert train(rule, ACCURACY, low(8, 0.7)) is None


def test_the_late_checkpoint_is_at_one_minus_beta_of_the_last_step(train):
    for beta, step in ((0.1, 9), (0.25, 7), (0.3, 7), (0.5, 5)):
        rule = Compound(ACCURACY, beta=beta)
        train(rule, ACCURACY, RISING)
        assert train(rule, ACCURACY, low(step, 0.34 if step == 5 else 0.5))[0] == step


def test_a_report_that_skips_both_checkpoints_takes_both_tests(train):
    rule = Compound(ACCURACY)
    train(rule, ACCURACY, RISING)
    assert train(rule, ACCURACY, [0.6, 0.6, 0.61], steps=[3, 4, 9])[0] == 9  # in the late test
    assert train(rule, ACCURACY, [0.6, 0.6, 0.1], steps=[3, 4, 9])[1].startswith("0.1 is not in the best 80%")


def test_the_network_before_its_training_is_not_in_the_mean(train):
    rule = Compound(ACCURACY, beta=0.2)
    train(rule, ACCURACY, [-99, *RISING], steps=range(11))
    assert train(rule, ACCURACY, [*RISING[:4], 0.25, 0.9])[1].endswith("(0.26)")


@pytest.mark.parametrize("last", [1, 2])
def test_networks_before_their_training_are_not_judged_in_the_shortest_trainings(last, train):
    subject = Subject("accuracy", "maximize", last)
    rule = Compound(subject)
    assert rule.first_step == 1
    assert [train(rule, subject, [value], steps=[0]) for value in (0.5, 0.4, 0.3, 0.2, 0.1)] == 5 * [None]


def test_no_number_fails_and_is_in_no_mean(train):
    rule = Compound(ACCURACY, beta=0.2)
    train(rule, ACCURACY, [math.nan, 0.25, 0.3, 0.35, 0.3, *RISING[5:]])  # mean 0.3
    assert train(rule, ACCURACY, [math.inf, *RISING[1:4], math.nan]) == (
        5,
        "no number is not in the best 80% of what 2 trials had on average until then (0.3)",
    )


def test_errors_are_judged_as_accuracies(train):
    accuracy, error = Compound(ACCURACY), Compound(Subject("error", "minimize", 10))
    for curve in (RISING, low(5, 0.25), low(8, 0.5), RISING, low(8, 0.66)):
        one = train(accuracy, ACCURACY, curve)
        other = train(error, Subject("error"), [1 - value for value in curve])
        assert (one and one[0]) == (other and other[0])
