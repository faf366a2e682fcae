import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.knock import Knock

ACCURACY = Subject("accuracy", "maximize", 12)
"""The first third has four steps; more than three of them have to be ahead."""


def flat(value):
    return [value] * 12


@pytest.fixture
def rule(train):
    """A rule that four trials with 0.5 have passed; of those the best quarter are at 0.5."""
    rule = Knock(ACCURACY)
    for _ in range(4):
        assert train(rule, ACCURACY, flat(0.5)) is None
    return rule


def test_who_is_never_ahead_stops_after_a_third(train, rule):
    assert train(rule, ACCURACY, flat(0.4)) == (
        4,
        "it was ahead of three quarters of the trials in 0 of 4 reports, which is not more than 75%",
    )


@pytest.mark.parametrize(("ahead", "stops"), [(3, True), (4, False)])
def test_more_than_a_quarter_of_the_last_step_has_to_be_ahead(train, rule, ahead, stops):
    verdict = train(rule, ACCURACY, [*[0.5] * (4 - ahead), *[0.6] * ahead, *[0.6] * 8])
    assert (verdict is not None) == stops


def test_as_good_as_the_best_quarter_is_not_ahead(train, rule):
    assert train(rule, ACCURACY, flat(0.5))[0] == 4


def test_the_best_quarter_is_interpolated(train):
    rule = Knock(ACCURACY)
    for value in (0.1, 0.2, 0.3, 0.4):
        train(rule, ACCURACY, flat(value))
    assert train(rule, ACCURACY, flat(0.33)) is None  # the 75th percentile is 0.325
    assert train(rule, ACCURACY, flat(0.32))[0] == 4


def test_of_few_reports_the_same_share_is_asked(train, rule):
    assert train(rule, ACCURACY, [0.6, 0.6, 0.6], steps=[2, 4, 8]) is None
    assert train(rule, ACCURACY, [0.4, 0.7, 0.7], steps=[2, 4, 8])[1].startswith(
        "it was ahead of three quarters of the trials in 1 of 2 reports"
    )


def test_after_the_third_a_value_below_all_of_the_completed_trials_stops(train, rule):
    assert train(rule, ACCURACY, [*[0.6] * 5, 0.46, 0.44, *[0.6] * 5]) == (
        7,
        "0.44 is worse than 0.5, the worst that a completed trial ever had, by more than 0.049",
    )


def test_the_margin_may_be_larger(train):
    rule = Knock(ACCURACY, margin=0.2)
    for _ in range(4):
        train(rule, ACCURACY, flat(0.5))
    assert train(rule, ACCURACY, [*[0.6] * 5, 0.44, *[0.6] * 6]) is None


def test_a_training_of_four_steps_can_pass(train):
    rule, subject = Knock(Subject("accuracy", "maximize", 4)), Subject("accuracy", "maximize", 4)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        assert train(rule, subject, [value] * 4) is None


@pytest.mark.parametrize("last", [1, 2])
def test_networks_before_their_training_are_not_judged_in_the_shortest_trainings(last, train):
    subject = Subject("accuracy", "maximize", last)
    rule = Knock(subject)
    assert rule.first_step == 1
    assert [train(rule, subject, [0.9 - 0.1 * trial], steps=[0]) for trial in range(8)] == 8 * [None]
