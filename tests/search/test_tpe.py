import itertools
import math
import statistics
import time

import numpy as np
import pytest

from deephpo.search.random import RandomSearch
from deephpo.search.search import Search
from deephpo.search.tpe import tpe
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

SPACE = Space(
    [
        Categorical("optimizer", ["adam", "sgd", "none"]),
        Float("momentum", 0, 0.99, when={"optimizer": "sgd"}),
        Float("lr", 1e-5, 1, log=True),
        Integer("layers", 1, 9),
    ],
    forbidden=[{"optimizer": "none", "layers": Between(low=6)}],
)
DENSITIES = pytest.mark.parametrize("density", ["multivariate", "univariate"])


def loss(config):
    penalty = {"adam": 1.0, "sgd": abs(config.get("momentum", 0.0) - 0.9), "none": 2.0}[config["optimizer"]]
    return (math.log10(config["lr"]) + 3) ** 2 + penalty + 0.2 * abs(config["layers"] - 6)


def search_of(space=SPACE, seed=0, **options):
    encoding = space.encoding()
    strategy = tpe(encoding, np.random.SeedSequence(seed), **options)
    return Search(encoding, strategy, seed=seed)


def run(search, n, workers=1):
    """Return the trials; the one that was asked first is told first."""
    pending, done = search.ask(workers), []
    for _ in range(n):
        trial = pending.pop(0)
        search.tell(trial, loss(trial.config))
        done.append(trial)
        pending += search.ask()
    return done


@DENSITIES
@pytest.mark.parametrize("workers", [1, 16])
def test_it_beats_random_search_by_far(density, workers):
    def random(seed):
        encoding = SPACE.encoding()
        return Search(encoding, RandomSearch(encoding, np.random.SeedSequence(seed)), seed=seed)

    def median(create):
        ends = []
        for seed in range(5):
            search = create(seed)
            run(search, 80, workers)
            ends.append(search.best.value)
        return statistics.median(ends)

    assert median(lambda seed: search_of(seed=seed, density=density)) < 0.5 * median(random)


def test_whatever_is_asked_is_a_configuration_of_the_space():
    for trial in run(search_of(), 60):
        assert SPACE.complete(trial.config) == trial.config


def test_nothing_is_asked_twice_where_repeats_would_be_likely():
    space = Space([Integer("a", 0, 9), Categorical("b", list(range(10)))])
    search = search_of(space)
    seen = []
    while not search.exhausted:
        for trial in search.ask(3):
            search.tell(trial, float(trial.config["a"] + trial.config["b"]))
            seen.append((trial.config["a"], trial.config["b"]))
    assert sorted(seen) == list(itertools.product(range(10), range(10)))


def test_points_asked_together_are_those_that_are_asked_one_by_one():
    together, one_by_one = search_of(), search_of()
    for search in (together, one_by_one):
        for trial in search.ask(16):
            search.tell(trial, loss(trial.config))
    asked = [trial.config for _ in range(6) for trial in one_by_one.ask()]
    assert [trial.config for trial in together.ask(6)] == asked


def test_a_region_where_everything_fails_is_left():
    search = search_of(Space([Float("x", 0, 1), Float("y", 0, 1)]))
    failed = []
    for _ in range(60):
        (trial,) = search.ask()
        failed.append(trial.config["x"] > 0.5)
        if failed[-1]:
            search.fail(trial, "out of memory")
        else:
            search.tell(trial, abs(trial.config["y"] - 0.5))
    assert statistics.mean(failed[:10]) > 0.3
    assert statistics.mean(failed[-30:]) < 0.1


@pytest.mark.parametrize("told", [0, 7, 40])
def test_asks_that_were_passed_over_leave_the_search_as_it_was(told):
    went, resumed = search_of(seed=3), search_of(seed=3)
    pending, copies = [], []
    for k in range(told + 5):
        trials = went.ask()
        assert resumed.frame_after(0, 1) > resumed.frame_after(0, 0)
        assert resumed.pass_over(1, trials)
        pending += trials
        copies += trials
        if k >= 5:
            value = loss(pending[0].config)
            went.tell(pending.pop(0), value)
            resumed.tell(copies.pop(0), value)
    for _ in range(5):
        assert [trial.config for trial in went.ask(2)] == [trial.config for trial in resumed.ask(2)]


def test_an_ask_costs_the_same_however_many_observations_there_are(figure):
    def cost_s(n):
        search = search_of()
        for config in search.space.encoding().decode(
            search.space.encoding().sample(n, np.random.default_rng(0))
        ):
            search.learn(config, loss(config))
        search.ask()
        times = []
        for _ in range(30):
            start = time.process_time()
            (trial,) = search.ask()
            search.tell(trial, 1.0)
            times.append(time.process_time() - start)
        return statistics.median(times)

    few, many = cost_s(1000), cost_s(20_000)
    figure(f"tpe: an ask takes {1e3 * few:.1f} ms with 1,000 observations, {1e3 * many:.1f} ms with 20,000")
    assert many < 1.5 * few
