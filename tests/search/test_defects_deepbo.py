"""Mistakes of DEEP-BO's arms and of their rotation, each with the test that would find it here.

The number is that of our list of its defects; those of all searches are tested in test_defects.py, what is
about stopping early and about servers elsewhere.
"""

import numpy as np
import pytest

from deephpo.acquisition import lower_confidence_bound
from deephpo.search.arm_sets import parse_arms
from deephpo.search.create import METHODS, create_search
from deephpo.search.rewards import gain
from deephpo.search.rotation import TURN_RULES, Hedge, SequentialKnockOut
from deephpo.space.parameters import Float, Integer
from deephpo.space.space import Space
from deephpo.surrogates.gaussian_process import GaussianProcess
from deephpo.surrogates.matern import Features
from deephpo.surrogates.protocol import Moment
from deephpo.surrogates.targets import targets_named

SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])


def bowl(config):
    return (config["x"] - 0.317) ** 2 + (config["y"] - 0.683) ** 2


def test_a_process_predicts_with_the_hyperparameters_that_it_has_just_learned():
    """1: it predicted before it sampled hyperparameters, and averaged ten times the same."""
    encoding = SQUARE.encoding()
    rng = np.random.default_rng(0)
    X, apart = encoding.sample(60, rng), encoding.sample(200, rng)
    targets = targets_named("rank")(np.sin(9 * X[:, 0]))
    y, truth = (targets.scores(np.sin(9 * rows[:, 0])) for rows in (X, apart))
    learned, prior = (GaussianProcess(encoding, np.random.SeedSequence(1)) for _ in range(2))
    learned.renew(Moment(60, lambda: y), 1)
    for process in (learned, prior):
        process.fit(X, np.arange(60), y)
    means = [learned.posterior(apart).belief()[0] for _ in learned.sets]
    before = prior.posterior(apart).belief()[0]
    assert max(np.abs(mean - truth).mean() for mean in means) < 0.7 * np.abs(before - truth).mean()
    assert len({mean.tobytes() for mean in means}) == len(set(map(str, learned.sets))) > 1


def test_the_arm_that_is_knocked_out_is_the_worst():
    """2: accuracies were ranked ascending, and the arm with the largest sum of ranks, the best one, left."""
    rule = SequentialKnockOut(3)
    for _ in range(11):
        for arm, reward in enumerate((0.9, 0.2, 0.6)):
            rule.learn(arm, reward)
    assert rule.alive == [0, 2]


@pytest.mark.parametrize("name", ["eg", "gt"])
def test_the_first_two_arms_are_random_whatever_the_first_one_was_worth(name):
    """3: the first two random arms were overwritten with the first arm of all."""
    firsts, seconds = set(), set()
    for seed in range(200):
        rule = TURN_RULES[name](4)
        first = rule.choose(0, np.random.default_rng([seed, 0]))
        rule.learn(first, 1.0)
        second = rule.choose(1, np.random.default_rng([seed, 1]))
        firsts.add(first)
        seconds.add((second - first) % 4)
    assert firsts == {0, 1, 2, 3}
    # With epsilon at 1, as it begins, the best arm so far would never be the second.
    assert seconds == {0, 1, 2, 3}


def test_an_arm_that_expects_a_smaller_error_gains_more():
    """4: the predicted error itself was added as if it were a reward."""
    hedge = Hedge(2, eta=0.1)
    for _ in range(20):
        hedge.learn(0, gain(-2.0))
        hedge.learn(1, gain(0.5))
    assert hedge.probabilities()[0] > 0.95


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e6])
def test_gains_are_in_one_scale_whatever_the_values_are_measured_in(unit):
    """4: and in the scale of whatever the arms had learned."""

    def gains(target):
        arms = f"rf-{target}-ei"
        search = create_search("diversified", SQUARE, arms=arms, rule="bo-hedge", initial=10, seed=1)
        for _ in range(25):
            (trial,) = search.ask()
            search.tell(trial, unit * bowl(trial.config))
        return search._strategy.then._hedge.gains[0]

    assert 0.3 * 15 < gains("raw") < 3 * 15
    assert 0.3 * 15 < gains("rank") < 3 * 15


@pytest.mark.parametrize("target", ["le", "hle"])
def test_a_log_error_is_a_logarithm(target):
    """5: values were scaled like log errors, but the logarithm was never taken."""
    errors = np.array([0.1, 0.01, 0.001, 0.0001])
    steps = np.diff(targets_named(target)(errors).scores(errors))
    assert steps == pytest.approx(np.full(3, steps[0]))


def test_no_option_of_a_search_is_glued_to_another_one():
    """5: an option was glued to the one before for want of a comma."""
    names = [name for method in METHODS.values() for name in method.options]
    assert {"arms", "rule", "initial", "target", "tau", "lie"} <= set(names)
    assert all(name.isidentifier() for name in names)


def test_to_a_process_a_logarithmic_parameter_is_its_exponent():
    """6: to the process nearly all of 10^-4 ... 10^-0.5 was near 0."""
    space = Space([Float("lr", 1e-4, 10**-0.5, log=True)])
    encoding = space.encoding()
    rows = encoding.encode([{"lr": 10.0**exponent} for exponent in np.linspace(-4.0, -0.5, 8)])
    assert np.diff(Features(encoding)(rows)[:, 0]) == pytest.approx(np.full(7, 1 / 7), abs=1e-5)


@pytest.mark.parametrize("rule", ["sequence", "random"])
def test_what_runs_already_is_recognised_whichever_arm_asked(rule):
    """9: an index was compared with a list of records, so no duplicate was ever seen."""
    space = Space([Integer("a", 1, 8), Integer("b", 1, 8)])
    search = create_search("diversified", space, rule=rule, initial=4, seed=3)
    running, seen = search.ask(8), []
    while not search.exhausted:
        trial = running.pop(0)
        search.tell(trial, abs(trial.config["a"] - 5) + abs(trial.config["b"] - 2.5))
        seen.append(trial)
        running += search.ask(1)
    configs = [tuple(trial.config.values()) for trial in [*seen, *running]]
    assert len(set(configs)) == len(configs) == 64


@pytest.mark.parametrize("word", ["gp-hle-ei", "rf-hle-ei"])
def test_a_running_trial_is_no_bad_result(word):
    """10: it was stored with error 1.0, which the surrogate believed."""
    search = create_search("diversified", SQUARE, arms=word, seed=2)
    for trial in search.ask(30):
        search.tell(trial, bowl(trial.config))
    (trial,) = search.ask()
    search.tell(trial, bowl(trial.config))
    running = search.ask(6)
    history = search._history
    assert history.n == 31
    surrogate = search._strategy.then._team.strategy(0, history.n).surrogate
    expected, _ = surrogate.posterior(history.rows[history.pending_places]).belief()
    assert len(running) == 6
    # They were picked where good results are expected, and good ones are expected there still.
    assert expected.max() < 0.0


def test_no_pool_keeps_an_arm_from_the_bounds():
    """11: of a fixed pool of 20,000 points none was the corner where the optimum is."""
    search = create_search("diversified", SQUARE, seed=1)
    for _ in range(40):
        (trial,) = search.ask()
        search.tell(trial, trial.config["x"] + (1 - trial.config["y"]) ** 2)
    assert search.best.config == {"x": 0.0, "y": 1.0}


def test_an_upper_confidence_bound_has_a_weight():
    """11: and an upper confidence bound had none."""
    mean, std = np.array([0.0, 0.5]), np.array([0.1, 0.5])
    arms = parse_arms("[{surrogate: gp, weight: 0.5}, gp-ucb, gp-lcb]").values()
    assert [arm.weight for arm in arms] == [0.5, 1.0, 1.96]
    picks = [int(lower_confidence_bound(mean, std, arm.weight).argmin()) for arm in arms]
    assert picks == [0, 0, 1]
