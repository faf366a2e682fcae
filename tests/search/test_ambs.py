import itertools
import math
import statistics

import numpy as np
import pytest

from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space

SPACE = Space(
    [Float("lr", 1e-5, 1, log=True), Integer("n", 1, 50), Categorical("c", ["a", "b", "c"]), Float("x", 0, 1)]
)


def loss(config):
    lr = np.log10(config["lr"]) + 3
    return (
        lr**2 + ((config["n"] - 20) / 10) ** 2 + 2 * "abc".index(config["c"]) + 4 * (config["x"] - 0.3) ** 2
    )


def best_after(n, search):
    for _ in range(n):
        (trial,) = search.ask()
        search.tell(trial, loss(trial.config))
    return search.best.value


@pytest.mark.parametrize("surrogate", ["forest", "extra-trees"])
def test_it_beats_random_search_by_far(surrogate):
    def median(name, **options):
        return statistics.median(
            best_after(40, create_search(name, SPACE, seed=seed, **options)) for seed in range(5)
        )

    assert median("ambs", surrogate=surrogate) < 0.5 * median("random")


SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])


def bowl(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def after_the_design(told=20, **options):
    """Return a search on the square that was told some values of the bowl."""
    search = create_search("ambs", SQUARE, **options)
    for trial in search.ask(told):
        search.tell(trial, bowl(trial.config))
    return search


def spread(trials):
    points = np.array([[trial.config["x"], trial.config["y"]] for trial in trials])
    return statistics.mean(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2))


def test_points_asked_together_lie_the_closer_the_more_hopeful_the_lie():
    def median_spread(lie):
        return statistics.median(spread(after_the_design(60, lie=lie, seed=seed).ask(8)) for seed in range(9))

    assert median_spread("naive") < 0.6 * median_spread("min")
    assert median_spread("min") < 0.85 * median_spread("believer")
    assert median_spread("believer") < median_spread("max")


def test_a_region_where_everything_fails_is_left():
    search = create_search("ambs", SQUARE, seed=3)
    in_failing_half = []
    for _ in range(50):
        (trial,) = search.ask()
        in_failing_half.append(trial.config["x"] > 0.5)
        if in_failing_half[-1]:
            search.fail(trial, "out of memory")
        else:
            search.tell(trial, -trial.config["x"] - trial.config["y"])
    assert sum(in_failing_half[:10]) >= 3
    assert sum(in_failing_half[-25:]) <= 10
    assert search.best.config["x"] > 0.4


def test_results_matter_only_from_the_initial_successes_on():
    def course(sign):
        search = create_search("ambs", SPACE, seed=1, initial=6)
        configs = []
        for i in range(10):
            (trial,) = search.ask()
            configs.append(trial.config)
            if i in (0, 3):
                search.fail(trial, "a failure is no success")
            else:
                search.tell(trial, sign * loss(trial.config))
        return configs

    up, down = course(1.0), course(-1.0)
    assert up[:8] == down[:8]
    assert up[8] != down[8]


def test_only_the_order_of_the_values_matters():
    def course(transform):
        search = create_search("ambs", SPACE, seed=1, initial=5)
        trials = []
        for _ in range(12):
            trials += search.ask()
            search.tell(trials[-1], transform(loss(trials[-1].config)))
        return [trial.config for trial in trials]

    assert course(lambda value: value) == course(lambda value: 1e6 * value**3 - 5)


def test_kappa_trades_what_is_known_for_what_is_not():
    def distance(kappa):
        trials = [trial for seed in range(3) for trial in after_the_design(kappa=kappa, seed=seed).ask(5)]
        return statistics.median(bowl(trial.config) for trial in trials)

    assert distance(0.0) < distance(20.0)


def test_a_new_model_is_told_the_lies_of_all_that_is_pending():
    def distance(lie):
        """Leave a cluster at the optimum pending, and return how far from it the next point lies."""
        cluster = [{"x": 0.3 + dx, "y": 0.6 + dy} for dx in (0.0, 0.02) for dy in (0.0, 0.02)]
        distances = []
        for seed in range(7):
            search = create_search("ambs", SQUARE, lie=lie, kappa=0.0, seed=seed, start=cluster)
            for trial in search.ask(44)[4:]:
                search.tell(trial, bowl(trial.config))
            distances.append(math.sqrt(bowl(search.ask()[0].config)))
        return statistics.median(distances)

    assert distance("max") > 1.5 * distance("naive")


def test_candidates_are_renewed_before_the_good_ones_are_used_up():
    search = after_the_design(told=60, lie="naive")
    losses = [bowl(search.ask()[0].config) for _ in range(1000)]
    assert statistics.median(losses[-200:]) < 0.02


def test_more_points_can_be_asked_than_one_set_of_candidates_bears():
    trials = after_the_design(seed=1).ask(400)
    assert len({tuple(trial.config.values()) for trial in trials}) == 400
