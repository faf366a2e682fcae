import math

import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.median import Median

ERROR = Subject("error", "minimize", 9)


@pytest.mark.parametrize(("value", "stops"), [(0.4, False), (0.41, True), (math.nan, True)])
def test_after_a_third_a_value_worse_than_the_median_of_the_earlier_means_stops(train, value, stops):
    rule = Median(ERROR)
    for mean in (0.3, 0.4, 0.8):
        assert train(rule, ERROR, [mean + 0.1, 2 * mean - 0.2, 0.1, *[0.1] * 6]) is None
    assert (train(rule, ERROR, [0.1, 0.1, value, *[0.1] * 6]) is not None) == stops


def test_the_reason_names_both_values(train):
    rule = Median(ERROR)
    train(rule, ERROR, [0.5] * 9)
    assert train(rule, ERROR, [0.75] * 9) == (
        3,
        "0.75 is worse than 0.5, the median of what earlier trials had on average until then",
    )


def test_a_stopped_trial_counts_for_the_next_one(train):
    rule = Median(ERROR)
    for value in (0.2, 0.6, 0.6):
        train(rule, ERROR, [value] * 9)
    assert train(rule, ERROR, [0.6] * 9) is None


def test_the_checkpoint_may_be_elsewhere(train):
    rule = Median(ERROR, at=0.7)
    train(rule, ERROR, [0.5] * 9)
    assert train(rule, ERROR, [0.75] * 9)[0] == 6


def test_a_trial_that_skips_the_checkpoint_is_judged_at_the_first_report_beyond(train):
    rule = Median(ERROR)
    train(rule, ERROR, [0.5] * 9)
    assert train(rule, ERROR, [0.75, 0.75, 0.75], steps=[0, 2, 5])[0] == 5


def test_who_has_no_number_in_the_window_counts_for_nobody(train):
    rule = Median(ERROR)
    train(rule, ERROR, [math.nan] * 9)
    assert train(rule, ERROR, [0.75] * 9) is None


def test_in_the_shortest_trainings_it_judges_after_step_1_and_not_what_came_before_it(train):
    subject = Subject("error", "minimize", 2)
    rule = Median(subject)
    assert rule.first_step == 1
    train(rule, subject, [0.9, 0.5, 0.4], steps=[0, 1, 2])
    assert train(rule, subject, [0.9, 0.6, 0.4], steps=[0, 1, 2])[0] == 1
