import math

import pytest

from deephpo.search.rewards import Rewards, gain, log_gain, log_reward


def rewards(*values):
    given = Rewards()
    return [given.of(number, value) for number, value in enumerate(values)]


def test_the_reward_of_an_error_is_the_accuracy():
    assert rewards(0.3, 1.0, 0.0, 0.05) == pytest.approx([0.7, 0.0, 1.0, 0.95])


def test_the_reward_of_an_accuracy_that_is_maximised_is_the_accuracy():
    assert rewards(-0.3, -1.0, -0.95) == pytest.approx([0.3, 1.0, 0.95])


def test_of_other_values_only_the_order_matters():
    assert rewards(7.0, 3.0, 5.0, 9.0, 1.0) == pytest.approx([0.5, 0.75, 0.5, 0.125, 0.9])
    assert rewards(7e9, -3e9, 5.0, 9e300, -1e300) == rewards(7.0, 3.0, 5.0, 9.0, 1.0)


def test_equal_values_share_their_places():
    assert rewards(2.0, 2.0, 2.0) == pytest.approx([0.5, 0.5, 0.5])


def test_from_the_first_value_on_that_is_no_error_order_alone_matters():
    assert rewards(0.2, 0.4, 3.0, 0.1) == pytest.approx([0.8, 0.6, 1 / 6, 7 / 8])


def test_a_failure_has_the_least_reward_and_moves_no_other():
    assert rewards(math.inf, 0.3, math.inf) == pytest.approx([0.0, 0.7, 0.0])
    assert rewards(5.0, math.inf, 3.0) == pytest.approx([0.5, 0.0, 0.75])


def test_a_value_that_is_told_again_takes_the_place_of_the_old_one():
    given = Rewards()
    for number, value in enumerate([7.0, 3.0, math.inf, 5.0]):
        given.of(number, value)
    assert given.of(1, 9.0) == pytest.approx(1 / 6)
    assert given.of(2, 3.0) == pytest.approx(7 / 8)
    assert given.of(0, math.inf) == 0.0
    assert given.of(4, 4.0) == pytest.approx(5 / 8)


@pytest.mark.parametrize(("accuracy", "reward"), [(0.0, 0.0), (0.9, 1.0), (0.99, 2.0), (1.0, 5.0)])
def test_a_log_reward_counts_the_nines(accuracy, reward):
    assert log_reward(accuracy) == pytest.approx(reward, abs=1e-4)


def test_a_gain_is_the_larger_the_lower_the_expected_target():
    assert gain(-2.0) > gain(-1.0) > gain(1.0)
    assert log_gain(-2.0) > log_gain(-1.0) > log_gain(1.0) > 0.0
    assert log_gain(0.0) == pytest.approx(math.log10(2.0))
    assert log_gain(-40.0) == pytest.approx(5.0)
