"""Mistakes that earlier systems made while searching, each with the test that would find it here.

The number is that of our list of their defects; what is not about searching is tested elsewhere.
"""

import itertools
import math
import random
import statistics
import time

import numpy as np
import pytest

from deephpo.errors import SpaceError
from deephpo.search.create import SEARCHES, create_search
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

LEARNING = ["ambs", "random-walk", "evolution", "cma-es", "staged"]
"""Searches for which it makes a difference what they are told."""
SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])
RATE = Float("lr", 1e-4, 10**-0.5, log=True)


def searched(name, space, loss, trials, workers=1, **options):
    """Return a search after so many results, and the trials in the order in which they ended."""
    search = create_search(name, space, **{"seed": 4, **options})
    pending, ended = search.ask(workers), []
    for _ in range(trials):
        ended.append(pending.pop(0))
        search.tell(ended[-1], loss(ended[-1].config))
        pending += search.ask(1)
    return search, ended


# DEEP-BO.


def test_a_logarithmic_parameter_is_scaled_by_its_exponent():
    """6: 10^-4 ... 10^-0.5 was scaled after exponentiation; to the surrogate nearly all of it was near 0."""
    codes = Space([RATE]).encoding().encode([{"lr": 10.0**-k} for k in (4, 3, 2, 1)])[:, 0]
    assert np.diff(codes) == pytest.approx(np.full(3, 1 / 3.5), abs=1e-5)


@pytest.mark.parametrize("name", LEARNING)
def test_a_small_optimum_of_a_logarithmic_parameter_is_found(name):
    """6: the same, from the end: 10^-3.5 lies in the first thousandth of the range."""
    search, _ = searched(name, Space([RATE]), lambda config: abs(math.log10(config["lr"]) + 3.5), 60)
    assert search.best.value < 0.1


@pytest.mark.parametrize("name", SEARCHES)
def test_what_was_asked_is_not_asked_again_however_good_it_is(name):
    """9: the detection compared an index with a list of records, and never saw a duplicate."""
    space = Space([Integer("a", 1, 6), Categorical("b", ["u", "v"])])
    search = create_search(name, space, seed=4)
    trials = []
    for _ in range(4):
        trials += search.ask(2)
        search.tell(trials[-1], abs(trials[-1].config["a"] - 3))
    assert len({tuple(trial.config.values()) for trial in trials}) == 8


@pytest.mark.parametrize("lie", ["believer", "min", "mean", "max"])
def test_a_pending_trial_is_believed_to_be_nothing_that_was_never_seen(lie):
    """10: a running trial was stored with error 1.0, bad or excellent depending on the problem's unit."""

    def asked(unit):
        _, ended = searched("ambs", SQUARE, lambda c: unit * (c["x"] + c["y"] ** 2), 30, 8, lie=lie)
        return [trial.config for trial in ended]

    assert asked(1e-3) == asked(1.0) == asked(1e4)


@pytest.mark.parametrize("name", ["ambs", "random-walk", "cma-es", "staged"])
def test_no_pool_bounds_how_near_the_optimum_a_search_can_get(name):
    """11: of a fixed pool of 20,000 points the nearest to an optimum in the plane is 0.0035 away."""
    search, _ = searched(name, SQUARE, lambda c: math.hypot(c["x"] - 0.3141, c["y"] - 0.2718), 400)
    assert search.best.value < 0.0035


def test_the_confidence_bound_has_a_weight():
    """11: and the weight of its uncertainty could not be set."""

    def spread(kappa):
        _, ended = searched("ambs", SQUARE, lambda c: c["x"] + c["y"], 60, kappa=kappa, initial=10)
        return np.mean([trial.config["x"] + trial.config["y"] for trial in ended[20:]])

    assert spread(0.0) < spread(20.0) - 0.2


# NHOP.


def stage(search, loss, count=20):
    return list(itertools.islice(_told(search, loss), count))


def _told(search, loss):
    while True:
        (trial,) = search.ask(1)
        search.tell(trial, loss(trial.config))
        yield trial


def exponents(trials):
    return [math.log10(trial.config["lr"]) for trial in trials]


def test_every_stage_narrows_the_learning_rate():
    """13: the bounds of the learning rate were reversed; clipping against them undid the shrinking."""
    search = create_search("staged", Space([RATE]), seed=4, stage=20)
    spans = [np.ptp(exponents(stage(search, lambda c: abs(math.log10(c["lr"]) + 2)))) for _ in range(5)]
    assert all(later < 0.75 * sooner for sooner, later in itertools.pairwise(spans))


def test_reversed_bounds_are_refused():
    """13: the same, at its source."""
    with pytest.raises(SpaceError, match="swap them"):
        Float("lr", 0.001, 0.0001)


def test_a_stage_narrows_each_parameter_by_its_own_values():
    """14: the next bounds of width and depth were the extremes over both, input and output layer included."""
    space = Space([Integer("layers", 4, 9), *(Integer(f"width{k}", 4, 1000, log=True) for k in range(3))])
    search = create_search("staged", space, seed=4, stage=20)

    def loss(config):
        return abs(config["layers"] - 7) + sum(abs(math.log(config[f"width{k}"] / 300)) for k in range(3))

    stage(search, loss, 60)
    (best, trials) = search.best.config, stage(search, loss, 15)
    for name in best:
        share = [abs(math.log(trial.config[name] / best[name])) / math.log(250) for trial in trials]
        assert max(share) <= 1 / 2**3 + 0.15
    assert min(trial.config["width0"] for trial in trials) > 30


def test_the_best_configuration_is_never_forgotten():
    """15: 2.55e-5 of the second stage became 6.39e-5 in the third."""
    search = create_search("staged", SQUARE, seed=4, stage=20)
    good = stage(search, lambda config: config["x"])
    best = search.best
    worse = [trial.config["x"] for _ in range(3) for trial in stage(search, lambda config: 2.0)]
    assert search.best == best
    assert best.value == min(trial.config["x"] for trial in good)
    assert [abs(x - best.config["x"]) <= 1 / 2 ** (2 + k // 20) + 1e-6 for k, x in enumerate(worse)] == [
        True
    ] * 60


def test_a_tiny_improvement_ends_no_stage():
    """17: one that was smaller than a tolerance counted as convergence."""
    values = itertools.count()
    search = create_search("staged", SQUARE, seed=4, stage=60)
    trials = stage(search, lambda config: 1.0 - 1e-12 * next(values), 60)
    last = [trial.config["x"] for trial in trials[30:]]
    assert min(last) < 0.15
    assert max(last) > 0.85


# DeepHyper.


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("name", LEARNING)
def test_a_failure_counts_as_the_worst_in_either_direction(name, direction):
    """20: failures got the minimum of the negated values, which made them the best ones."""
    search = create_search(name, SQUARE, seed=4, direction=direction)
    trials = []
    for _ in range(90):
        trials += search.ask(1)
        if trials[-1].config["x"] < 0.5:
            search.fail(trials[-1], "out of memory")
        else:
            search.tell(trials[-1], -5.0 if direction == "minimize" else 5.0)
    assert np.mean([trial.config["x"] >= 0.5 for trial in trials[45:]]) > 0.7


@pytest.mark.parametrize("name", SEARCHES)
def test_a_small_space_is_asked_to_its_end_without_spinning(name):
    """21: a duplicate was submitted again and served from a cache, so a small discrete search could spin."""
    space = Space([Integer("a", 1, 4), Categorical("b", ["u", "v", "w"])])
    search = create_search(name, space, seed=4)
    began_s = time.process_time()
    for _ in range(12):
        (trial,) = search.ask(1)
        search.tell(trial, float(trial.config["a"]))
    assert search.ask(1) == []
    assert search.exhausted
    assert time.process_time() - began_s < 2.0


@pytest.mark.parametrize("name", LEARNING)
def test_an_ask_costs_the_same_however_many_are_pending(name):
    """22: the model was fitted anew for every point asked, so an ask cost pending times observations."""

    def with_pending(workers):
        search = create_search(name, SQUARE, seed=4)
        pending = search.ask(workers)
        for trial in search.ask(60):
            search.tell(trial, trial.config["x"])
        return search, pending + search.ask(1)

    def cost_s(search, pending):
        trial = pending.pop(random.Random(len(pending)).randrange(len(pending)))
        began_s = time.process_time()
        search.tell(trial, trial.config["x"])
        pending += search.ask(1)
        return time.process_time() - began_s

    few, many = with_pending(16), with_pending(1024)
    assert statistics.median(cost_s(*many) / cost_s(*few) for _ in range(25)) < 3


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != "grid"])
def test_the_users_seed_decides_the_course_of_a_search(name):
    """23: the optimiser's seed was 12345, whatever the user said."""

    def course(seed):
        return [trial.config for trial in searched(name, SQUARE, lambda c: c["x"], 20, seed=seed)[1]]

    assert course(1) == course(1)
    # Both may look into the same corner of the square at the same time.
    assert sum(one == other for one, other in zip(course(1), course(2), strict=True)) <= 2
