from collections import Counter

import pytest

from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.curve import Curve, Subject
from deephpo.stopping.hyperband import Hyperband

ERROR = Subject("error", last_step=81)


def stops(rule, trial_id, value):
    curve = Curve(trial_id)
    for step in range(1, 82):
        curve.add(step, value, {"error": value})
        if rule.judge(curve) is not None:
            return step
    return None


def of_bracket(rule, bracket):
    return [trial_id for trial_id in range(500) if rule.bracket(trial_id) == bracket]


def test_the_brackets_have_the_shares_of_hyperband():
    rule = Hyperband(ERROR, eta=3, first=1)
    sizes = [81, 34, 15, 8, 5]  # n_4 to n_0 of Li et al. (2018), table 1, who round 33.75 up
    total = sum(sizes)
    for trials in (100, 1000, 10_000):
        dealt = Counter(rule.bracket(trial_id) for trial_id in range(trials))
        for bracket, size in enumerate(sizes):
            assert dealt[bracket] == pytest.approx(trials * size / total, abs=3)


def test_every_bracket_has_its_first_rung_a_factor_later():
    rule = Hyperband(ERROR, eta=3, first=1)
    for bracket, step in enumerate([1, 3, 9, 27]):
        best, *_, another, worst = of_bracket(rule, bracket)
        assert stops(rule, best, 0.1) is None
        assert stops(rule, another, 0.1) is None
        assert stops(rule, worst, 0.9) == step


def test_the_last_bracket_trains_all_to_the_end():
    rule = Hyperband(ERROR, eta=3, first=1)
    for k, trial_id in enumerate(of_bracket(rule, 4)):
        assert stops(rule, trial_id, k) is None


def test_brackets_are_not_compared_with_each_other():
    rule, alone = Hyperband(ERROR, eta=3, first=1), SuccessiveHalving(ERROR, eta=3, first=3)
    for trial_id in range(200):
        value = trial_id * 37 % 100
        stopped = stops(rule, trial_id, value)
        if rule.bracket(trial_id) == 1:
            assert stopped == stops(alone, trial_id, value)


def test_the_first_rung_is_three_below_the_last_step():
    rule = Hyperband(ERROR, eta=3)
    assert {rule.bracket(trial_id) for trial_id in range(100)} == {0, 1, 2, 3}
    one, two, three = of_bracket(rule, 0)[:3]
    assert [stops(rule, *trial) for trial in ((one, 0.1), (two, 0.2), (three, 0.3))] == [None, None, 3]
