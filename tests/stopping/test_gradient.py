import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.gradient import Gradient

ACCURACY = Subject("accuracy", "maximize", 10)
GOOD = [0.1, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.9, 0.9, 0.9]


def test_who_needs_a_steeper_slope_than_it_had_stops(train):
    rule = Gradient(ACCURACY)
    train(rule, ACCURACY, GOOD)
    # At step 4, from 0.4 to 0.9 in 6 steps takes 0.0833 a step; it rose by 0.3 in 3 steps.
    # At step 5 0.1 a step, which is more than 0.3 in 4 steps.
    assert train(rule, ACCURACY, [0.1, 0.2, 0.3, 0.4, 0.4, 0.9]) == (
        5,
        "from 0.4 to the best value, 0.9, it would take 0.1 a step; it made 0.075",
    )


@pytest.mark.parametrize("after", [4, 6])
def test_nobody_is_judged_before_so_many_reports(train, after):
    rule = Gradient(ACCURACY, after=after)
    train(rule, ACCURACY, GOOD)
    assert train(rule, ACCURACY, [0.1] * 10)[0] == after


def test_slopes_are_per_step(train):
    rule = Gradient(ACCURACY, after=2)
    train(rule, ACCURACY, GOOD)
    assert train(rule, ACCURACY, [0.1, 0.5], steps=[2, 6]) is None  # 0.1 a step is needed and made
    assert train(rule, ACCURACY, [0.1, 0.49], steps=[2, 6])[0] == 6


def test_before_a_trial_has_trained_to_its_end_nobody_stops(train):
    rule = Gradient(ACCURACY)
    assert train(rule, ACCURACY, [0.1] * 10) is None
    assert train(rule, ACCURACY, [0.1] * 10) is None  # which is as good as the target


def test_a_stopped_trial_is_no_target(train):
    rule = Gradient(ACCURACY)
    train(rule, ACCURACY, GOOD)
    train(rule, ACCURACY, [0.99, 0.8, 0.7, 0.6])
    assert train(rule, ACCURACY, [*GOOD[:6], 0.899, 0.899, 0.9, 0.9]) is None
