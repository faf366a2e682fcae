import math
import sys
import warnings

import numpy as np
import pytest

from deephpo.errors import MissingPackageError
from deephpo.search.cma_es import MOST_LEVELS
from deephpo.search.create import create_search
from deephpo.space.conditions import Between
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space

MIXED = Space(
    [
        Float("lr", 1e-5, 1e-1, log=True),
        Integer("layers", 1, 9),
        Integer("units", 8, 4096, log=True),
        Categorical("kind", ["a", "b", "c"]),
        Float("momentum", 0, 1, when={"kind": ["a", "b"]}),
    ]
)


def loss(config):
    return (
        (math.log10(config["lr"]) + 3.3) ** 2
        + (config["layers"] - 7) ** 2 / 10
        + (math.log2(config["units"]) - 10) ** 2 / 10
        + "bac".index(config["kind"])
        + (config.get("momentum", 0.5) - 0.9) ** 2
    )


def searched(space, loss, trials, workers=1, **options):
    """Return the search after so many results, with so many pending all the time."""
    search = create_search("cma-es", space, **options)
    pending = search.ask(workers)
    for _ in range(trials):
        trial = pending.pop(0)
        search.tell(trial, loss(trial.config))
        pending += search.ask(1)
    return search


@pytest.mark.parametrize("workers", [1, 16])
def test_a_mixed_space_is_descended_however_many_are_pending(workers):
    best = [searched(MIXED, loss, 250, workers, seed=seed).best for seed in range(3)]
    assert np.median([trial.value for trial in best]) < 0.1
    assert sum(trial.config["kind"] == "b" for trial in best) >= 2


def test_correlated_numbers_are_followed_down_a_valley():
    valley = Space([Float("x", -2, 2), Float("y", -2, 2)])

    def rosenbrock(config):
        return 100 * (config["y"] - config["x"] ** 2) ** 2 + (1 - config["x"]) ** 2

    best = [searched(valley, rosenbrock, 600, seed=seed).best.value for seed in range(3)]
    assert np.median(best) < 1e-4


def test_ranks_are_all_that_it_learns_from():
    plain, twisted = (
        searched(MIXED, value, 60, 4, seed=2) for value in (loss, lambda config: math.exp(3 * loss(config)))
    )
    assert [t.config for t in plain.ask(5)] == [t.config for t in twisted.ask(5)]


def test_failures_are_the_last_of_a_generation():
    space = Space([Float("x", 0, 1), Float("y", 0, 1)])
    search = create_search("cma-es", space, seed=3)
    for _ in range(80):
        (trial,) = search.ask()
        if trial.config["x"] < 0.6:
            search.fail(trial, "out of memory")
        else:
            search.tell(trial, trial.config["y"])
    assert np.mean([trial.config["x"] > 0.6 for trial in search.ask(50)]) > 0.8


@pytest.mark.parametrize(("turn", "counts"), [(1, True), (8, False)], ids=["open", "full"])
def test_what_is_told_again_counts_until_its_generation_is_full(turn, counts):
    """A generation of two parameters is six results."""
    first, last, again = (
        create_search("cma-es", Space([Float("x", 0, 1), Float("y", 0, 1)]), seed=3) for _ in range(3)
    )
    courses = [[], [], []]
    for k in range(14):
        for search, course in zip((first, last, again), courses, strict=True):
            course += search.ask()
            worse = search is last and k == 0
            search.tell(course[-1], 9.0 if worse else course[-1].config["x"])
            if search is again and k == turn:
                search.tell(course[0], 9.0)
    assert courses[0] != courses[1]
    assert (courses[2] == courses[1]) is counts
    assert (courses[2] == courses[0]) is not counts


@pytest.mark.parametrize("value", [1.0, math.nan])
def test_results_that_tell_nothing_move_nothing(value):
    search = searched(Space([Float("x", 0, 1)]), lambda config: value, 100, seed=1)
    assert np.std([trial.config["x"] for trial in search.ask(200)]) > 0.2


@pytest.mark.parametrize("best", [0.0, 0.3])
def test_a_distribution_that_collapsed_is_followed_by_another_one(best):
    search, xs = create_search("cma-es", Space([Float("x", 1e6, 1e6 + 1)]), seed=1), []
    for _ in range(1200):
        (trial,) = search.ask()
        xs.append(trial.config["x"] - 1e6)
        search.tell(trial, abs(xs[-1] - best))
    assert abs(search.best.config["x"] - 1e6 - best) < 1e-6
    collapsed = next(k for k in range(1200) if np.ptp(xs[k : k + 20]) < 1e-4)
    assert np.ptp(xs[collapsed + 20 :]) > 0.5


def test_no_warning_reaches_the_user():
    narrow = Space([Integer("a", 1, 3), Integer("b", 1, 70), Categorical("c", [1, 2]), Float("x", 0, 1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        searched(narrow, lambda config: config["x"] + config["a"] + config["b"], 400, 3, seed=1)


def test_what_is_kept_is_what_is_pending():
    search = searched(MIXED, loss, 150, 8, seed=1)
    strategy = search._strategy
    assert len(strategy._drawn) <= 8
    assert not strategy._fresh
    finite = Space([Integer("a", 1, 8), Integer("b", 1, 8)])
    search = searched(finite, lambda config: config["a"] * config["b"], 50, 8, seed=1)
    assert len(search._strategy._drawn) <= 8


def test_a_result_counts_whichever_distribution_it_was_drawn_from():
    means = []
    for sign in (1, -1):
        search = create_search("cma-es", Space([Float("x", 0, 1), Float("y", 0, 1)]), seed=1)
        trials = search.ask(90)
        for trial in trials[:6]:
            search.tell(trial, trial.config["y"])
        search.ask(1)  # the distribution moves on, and the others are from the one before
        for trial in trials[6:]:
            search.tell(trial, sign * trial.config["x"])
        means.append(np.mean([trial.config["x"] for trial in search.ask(200)]))
    assert means[0] < means[1] - 0.1


def test_an_inactive_parameter_keeps_what_was_drawn_for_it():
    space = Space([Categorical("on", ["no", "yes"]), Float("x", 0, 1, when={"on": "yes"})])
    search = create_search("cma-es", space, seed=1)
    for trial in search.ask(200):
        search.tell(trial, trial.config.get("x", 1.0))
    # There is one configuration without it, whose draws say no more of it than any others.
    assert np.mean([trial.config["x"] for trial in search.ask(100)]) < 0.45


def test_only_what_is_allowed_is_asked():
    space = Space(
        [Integer("layers", 1, 5), Integer("units", 8, 512, log=True), Ordinal("batch", [16, 32, 64])],
        forbidden=[{"layers": Between(low=3), "units": Between(low=64)}, {"batch": 64, "layers": 1}],
    )
    search = searched(space, lambda config: -config["layers"] * config["units"], 80, seed=1)
    assert all(space.complete(trial.config) == trial.config for trial in search.ask(20))
    assert search.best.config["layers"] * search.best.config["units"] >= 300


def test_it_begins_at_the_best_of_what_is_known():
    search = create_search("cma-es", MIXED, seed=1)
    for x in (0.2, 0.9):
        config = {"lr": 1e-5, "layers": 9, "units": 8, "kind": "a", "momentum": x}
        search.learn(MIXED.complete(config), -x)
    layers = [trial.config["layers"] for trial in search.ask(100)]
    assert np.mean(layers) > 6.5


def test_its_own_first_results_do_not_move_it_before_a_generation_is_full():
    means = []
    for sign in (1, -1):
        search = create_search("cma-es", Space([Float("x", 0, 1), Float("y", 0, 1)]), seed=1)
        trials = search.ask(4)
        lucky = min(trials, key=lambda trial: sign * trial.config["x"])
        search.tell(lucky, 0.0)
        means.append(np.mean([trial.config["x"] for trial in search.ask(200)]))
    assert means[0] == means[1]


@pytest.mark.parametrize("workers", [1, 8])
def test_it_begins_at_a_starting_point_whenever_that_is_told(workers):
    space = Space([Float("x", 0, 1), Float("y", 0, 1)])
    search = create_search("cma-es", space, seed=1, start=[{"x": 0.95, "y": 0.95}])
    start, *others = search.ask(workers)
    for trial in others[:2]:
        search.tell(trial, 1.0)
    search.ask(1)
    search.tell(start, 0.5)
    assert np.mean([trial.config["x"] for trial in search.ask(200)]) > 0.6


def test_a_starting_point_that_is_worse_than_what_it_drew_moves_nothing():
    space = Space([Float("x", 0, 1), Float("y", 0, 1)])
    means = []
    for x in (0.05, 0.95):
        search = create_search("cma-es", space, seed=1, start=[{"x": x, "y": 0.5}])
        start, drawn = search.ask(2)
        search.tell(drawn, 0.0)
        search.tell(start, 1.0)
        means.append(np.mean([trial.config["x"] for trial in search.ask(200)]))
    assert means[0] == means[1]


@pytest.mark.parametrize("levels", [2, 3, MOST_LEVELS, MOST_LEVELS + 1, 5000])
def test_numbers_with_few_or_many_levels(levels):
    space = Space([Integer("n", 1, levels), Integer("k", 1, 50)])
    best = searched(space, lambda c: abs(c["n"] - 0.7 * levels) + abs(c["k"] - 10), 90, seed=2).best
    assert abs(best.config["n"] - 0.7 * levels) <= 0.5 + 0.02 * levels


@pytest.mark.parametrize(
    "space",
    [
        [Categorical("c", list("abcdefghij"))],
        [Float("x", 0, 1)],
        [Integer("n", 1, 9)],
        [Categorical("c", [0, 1])],
    ],
    ids=["categories", "real", "integer", "bit"],
)
def test_a_single_parameter_is_enough(space):
    search = create_search("cma-es", Space(space), seed=1)
    while not search.exhausted and search._history.n < 60:
        for trial in search.ask(1):
            search.tell(trial, float(len(str(trial.config))))
    assert search._history.n == min(60, space[0].levels or 60)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingPackageError, match=r"cma-es needs cmaes.*deephpo\[cmaes\]"):
        create_search("cma-es", MIXED)
