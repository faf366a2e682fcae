import math
from collections import Counter

import numpy as np
import pytest

from deephpo.search.create import RULES as NAMES
from deephpo.search.rotation import (
    TURN_RULES,
    EpsilonGreedy,
    Hedge,
    SequentialKnockOut,
    falls_by_results,
    falls_by_turns,
    softmax,
)


def chosen(rule, turn, draws=2000):
    """Return how often each arm is chosen in one turn, over many random numbers."""
    counts = Counter(rule.choose(turn, np.random.default_rng(seed)) for seed in range(draws))
    return {arm: counts[arm] / draws for arm in counts}


def test_the_command_line_knows_every_rule_and_the_one_that_nominates():
    logarithmic = {name for name in NAMES if name.endswith("-le")}
    assert set(NAMES) - logarithmic == {*TURN_RULES, "bo-hedge"}
    assert logarithmic == {"hedge-le", "bo-hedge-le", "eg-le", "gt-le"}


@pytest.mark.parametrize("name", TURN_RULES)
def test_every_rule_chooses_one_of_its_arms_again_with_the_same_random_numbers(name):
    def course():
        rule, arms = TURN_RULES[name](4), []
        for turn in range(200):
            arms.append(rule.choose(turn, np.random.default_rng(turn)))
            rule.learn(arms[-1], 0.2 * arms[-1])
        return arms

    assert course() == course()
    assert set(course()) <= set(range(4))


@pytest.mark.parametrize("name", ["hedge", "eg", "gt"])
def test_a_corrected_reward_counts_as_if_it_had_been_given_at_once(name):
    corrected, plain = TURN_RULES[name](3), TURN_RULES[name](3)
    for arm, reward in [(0, 0.5), (1, 0.75), (2, 0.25), (1, 0.5)]:
        corrected.learn(arm, 1.0 - reward)
        plain.learn(arm, reward)
    for arm, reward in [(1, 0.5), (0, 0.5), (1, 0.75), (2, 0.25)]:
        corrected.correct(arm, reward - (1.0 - reward))
    for turn in range(50):
        assert len({rule.choose(turn, np.random.default_rng(turn)) for rule in (corrected, plain)}) == 1


@pytest.mark.parametrize("name", ["sequence", "random", "sko"])
def test_a_corrected_reward_moves_no_rule_that_does_not_add_them_up(name):
    corrected, plain = TURN_RULES[name](3), TURN_RULES[name](3)
    for k in range(60):
        for rule in (corrected, plain):
            rule.learn(k % 3, k % 3 / 4)
        corrected.correct(k % 2, -0.5)
    for turn in range(50):
        assert len({rule.choose(turn, np.random.default_rng(turn)) for rule in (corrected, plain)}) == 1


@pytest.mark.parametrize("name", TURN_RULES)
def test_every_rule_can_do_with_one_arm(name):
    rule = TURN_RULES[name](1)
    for turn in range(40):
        assert rule.choose(turn, np.random.default_rng(turn)) == 0
        rule.learn(0, 0.5)


def test_a_sequence_is_one_after_the_other():
    rule = TURN_RULES["sequence"](3)
    assert [rule.choose(turn, np.random.default_rng(0)) for turn in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_chance_has_no_favourites():
    shares = chosen(TURN_RULES["random"](4), 9).values()
    assert all(share == pytest.approx(0.25, abs=0.04) for share in shares)


def test_an_arm_is_the_likelier_the_more_it_has_gained():
    rule = Hedge(3, eta=0.5)
    for arm, reward in ((0, 1.0), (2, 0.5), (0, 1.0)):
        rule.learn(arm, reward)
    weights = [math.exp(1.0), 1.0, math.exp(0.25)]
    assert rule.probabilities() == pytest.approx([weight / sum(weights) for weight in weights])
    assert chosen(rule, 5)[0] == pytest.approx(weights[0] / sum(weights), abs=0.04)


def test_probabilities_neither_overflow_nor_vanish_together():
    assert softmax(np.array([1e6, 1e6 - 1.0, -1e6])) == pytest.approx([0.731, 0.269, 0.0], abs=1e-3)
    assert softmax(np.full(4, -1e9)) == pytest.approx(np.full(4, 0.25))


def test_epsilon_falls_by_a_tenth_in_five_turns_of_each_arm():
    epsilons = [falls_by_turns(turn, 0, arms=6) for turn in (0, 29, 30, 59, 60, 269, 270, 10_000)]
    assert epsilons == [1.0, 1.0, 0.9, 0.9, 0.8, 0.2, 0.1, 0.1]


def test_epsilon_falls_with_the_root_of_the_results():
    assert [falls_by_results(7, results) for results in (0, 3, 24, 99, 5000)] == [1.0, 0.5, 0.2, 0.1, 0.1]


def test_the_best_mean_is_exploited_and_the_others_explored_alike():
    rule = EpsilonGreedy(4, lambda turn, results: 0.3)
    for arm, reward in ((0, 0.9), (0, 0.1), (1, 0.6), (2, 0.55), (3, 0.2)):
        rule.learn(arm, reward)
    shares = chosen(rule, 10)
    assert shares[1] == pytest.approx(0.7, abs=0.04)
    assert [shares[arm] for arm in (0, 2, 3)] == pytest.approx([0.1] * 3, abs=0.03)


def test_of_equal_means_any_is_the_best():
    rule = EpsilonGreedy(3, lambda turn, results: 0.0)
    for arm in (0, 2):
        rule.learn(arm, 0.5)
    shares = chosen(rule, 10)
    assert shares == {0: pytest.approx(0.5, abs=0.04), 2: pytest.approx(0.5, abs=0.04)}


def test_epsilon_is_asked_with_the_turn_and_the_results_so_far():
    asked = []
    rule = EpsilonGreedy(2, lambda turn, results: asked.append((turn, results)) or 0.5)
    for arm in (0, 1, 1):
        rule.learn(arm, 0.5)
    rule.choose(17, np.random.default_rng(0))
    assert asked == [(17, 3)]


def knocked_out(rewards, results):
    """Return the arms in the order in which they drop out; rewards: of each arm, whatever it asks."""
    rule, out = SequentialKnockOut(len(rewards)), []
    for turn in range(results):
        before = list(rule.alive)
        arm = rule.choose(turn, np.random.default_rng(0))
        rule.learn(arm, rewards[arm])
        out += [arm for arm in before if arm not in rule.alive]
    return out, rule.alive


def test_the_worst_arm_drops_out_first_and_two_are_never_knocked_out():
    out, alive = knocked_out([0.5, 0.9, 0.1, 0.7, 0.3], 1000)
    assert out == [2, 4, 0]
    assert alive == [1, 3]


def test_a_round_is_ten_results_for_each_arm_from_when_all_have_one():
    assert knocked_out([0.5, 0.9, 0.1], 2 + 29) == ([], [0, 1, 2])
    assert knocked_out([0.5, 0.9, 0.1], 2 + 30) == ([2], [0, 1])


def test_those_that_are_left_go_on_one_after_the_other():
    rule = SequentialKnockOut(4)
    rule.alive = [0, 2, 3]
    assert [rule.choose(turn, np.random.default_rng(0)) for turn in range(5)] == [0, 2, 3, 0, 2]


def test_what_one_that_is_out_had_still_to_come_counts_no_more():
    rule, other = SequentialKnockOut(4), SequentialKnockOut(4)
    for late in (rule, other):
        for arm in [0, 1, 2, 3] * 11:
            late.learn(arm, [0.1, 0.8, 0.7, 0.6][arm])
        assert late.alive == [1, 2, 3]
    for arm in [1, 2, 3] * 14:
        rule.learn(0, 1.0)
        rule.learn(arm, [0.1, 0.8, 0.7, 0.6][arm])
        other.learn(arm, [0.1, 0.8, 0.7, 0.6][arm])
    assert rule.alive == other.alive == [1, 2]
