import math

import pytest

from deephpo.stopping.curve import Subject
from deephpo.stopping.diverged import Diverged

ACCURACY = Subject("accuracy", "maximize", 40)
RISING = [1 - 0.9**step for step in range(1, 41)]
CHANCE = [0.1, 0.11, 0.1, 0.09, 0.1] * 8


def rule_after(train, curves, subject=ACCURACY):
    rule = Diverged(subject)
    for curve in curves:
        assert train(rule, subject, curve) is None
    return rule


class TestNoNumber:
    @pytest.mark.parametrize(("value", "name"), [(math.nan, "NaN"), (math.inf, "infinite")])
    def test_an_objective_that_is_no_number_stops_the_first_trial_at_once(self, train, value, name):
        subject = Subject("loss")
        assert train(Diverged(subject), subject, [0.5, value, 0.5]) == (2, f"loss is {name}")

    def test_another_metric_stops_a_trial_when_it_is_no_number_twice(self, train):
        losses = [2.0, 1.9, math.nan, math.nan, *[math.nan] * 36]
        assert train(Diverged(ACCURACY), ACCURACY, RISING, others={"loss": losses}) == (
            4,
            "loss is NaN again, and it was a number",
        )

    @pytest.mark.parametrize(
        "norms",
        [[1.0, math.inf] * 20, [math.nan] * 40, [*[math.nan] * 20, *[1.0] * 20]],
        ids=["now and then", "always", "at first"],
    )
    def test_a_metric_of_a_sound_training_may_be_no_number(self, train, norms):
        assert train(Diverged(ACCURACY), ACCURACY, RISING, others={"norm": norms}) is None

    def test_it_needs_no_last_step(self, train):
        subject = Subject("accuracy", "maximize")
        rule = rule_after(train, [RISING] * 9, subject)
        assert train(rule, subject, CHANCE) is None
        assert train(rule, subject, [math.nan])[0] == 1


class TestStuck:
    def test_who_stays_where_it_began_stops_after_a_quarter(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, CHANCE) == (
            10,
            "its best of late, 0.11, is where it began (0.1); three quarters of 4 others had reached 0.6513",
        )

    def test_it_may_be_stopped_sooner(self, train):
        rule = Diverged(ACCURACY, by=0.15)
        for _ in range(4):
            train(rule, ACCURACY, RISING)
        assert train(rule, ACCURACY, CHANCE)[0] == 6

    def test_nobody_is_before_there_are_four_others(self, train):
        rule = rule_after(train, [RISING] * 3)
        assert train(rule, ACCURACY, CHANCE) is None

    def test_a_lucky_first_value_does_not_save_it(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, [0.2, *CHANCE[1:]])[0] == 10

    def test_who_fell_back_to_chance_stops_once_it_is_there_for_a_while(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, [*RISING[:12], *[0.1] * 28])[0] == 20

    def test_a_late_start_goes_on(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, [*CHANCE[:8], *RISING[:32]]) is None

    def test_a_slow_one_goes_on(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, [0.1 + 0.01 * step for step in range(40)]) is None

    def test_who_began_where_the_others_came_to_goes_on(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, [0.99, *[0.98] * 39]) is None

    def test_nobody_is_where_more_than_a_quarter_of_the_others_are_there_too(self, train):
        rule = rule_after(train, [CHANCE, CHANCE, RISING, RISING, RISING])
        assert train(rule, ACCURACY, CHANCE) is None

    def test_three_reports_of_late_are_needed(self, train):
        rule = rule_after(train, [RISING] * 4)
        assert train(rule, ACCURACY, CHANCE[:8], steps=range(5, 45, 5)) is None
        assert train(rule, ACCURACY, CHANCE[:4], steps=[1, 6, 8, 11])[0] == 11
