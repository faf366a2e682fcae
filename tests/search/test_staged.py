import numpy as np
import pytest

from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space

SQUARE = Space([Float("x", 0, 1), Float("lr", 1e-5, 1e-1, log=True)])


def stage(search, loss, count=20):
    """Ask and tell one stage; returns its trials."""
    trials = []
    for _ in range(count):
        trials += search.ask(1)
        search.tell(trials[-1], loss(trials[-1].config))
    return trials


def span(trials, name, log=False):
    values = np.array([trial.config[name] for trial in trials])
    return float(np.ptp(np.log10(values) if log else values))


def near(config):
    return abs(config["x"] - 0.5) + abs(np.log10(config["lr"]) + 3)


@pytest.mark.parametrize("shrink", [0.5, 0.8])
def test_every_stage_draws_from_a_narrower_box_in_each_parameters_own_scale(shrink):
    search = create_search("staged", SQUARE, seed=1, stage=40, shrink=shrink)
    stages = [stage(search, near, 40) for _ in range(4)]
    for k, trials in enumerate(stages):
        assert span(trials, "x") <= shrink**k + 1e-6
        assert span(trials, "lr", log=True) <= 4 * shrink**k + 1e-6
        assert span(trials, "x") > 0.4 * shrink**k


def test_a_box_lies_around_the_best_one_and_in_the_box_before():
    search = create_search("staged", SQUARE, seed=1, stage=20)
    low, high = 0.0, 1.0
    for _ in range(5):
        xs = [trial.config["x"] for trial in stage(search, lambda config: config["x"])]
        assert low <= min(xs)
        assert max(xs) <= high + 1e-6
        best, half = search.best.config["x"], (high - low) / 4
        low, high = max(low, best - half), min(high, best + half)


def test_a_late_best_one_outside_the_box_moves_the_box():
    search = create_search("staged", SQUARE, seed=1, stage=20)
    slow = max(search.ask(30), key=lambda trial: trial.config["x"])
    stage(search, lambda config: config["x"])
    assert max(trial.config["x"] for trial in stage(search, lambda config: 9.0)) < 0.6
    search.tell(slow, -1.0)
    stage(search, lambda config: 9.0, 19)
    xs = [trial.config["x"] for trial in stage(search, lambda config: 9.0)]
    assert min(xs) <= slow.config["x"]
    assert min(xs) > slow.config["x"] - 0.13


def test_a_categorical_keeps_the_choices_of_the_best_and_an_ordinal_its_neighbours():
    space = Space(
        [Categorical("c", list("abcdefgh")), Ordinal("o", list(range(32))), Float("x", 0, 1, when={"c": "a"})]
    )
    search = create_search("staged", space, seed=1, stage=60)
    stage(search, lambda config: "bac".find(config["c"]) % 9 + abs(config["o"] - 20) / 100, 60)
    trials = search.ask(8)  # there are few more in the box
    assert {trial.config["c"] for trial in trials} <= set("ab")
    assert all(11 <= trial.config["o"] <= 29 for trial in trials)


def test_what_the_best_one_leaves_inactive_is_not_narrowed():
    space = Space([Categorical("c", ["a", "b"]), Float("x", 0, 1, when={"c": "b"})])
    search = create_search("staged", space, seed=1, stage=4)
    search.learn({"c": "a"}, -1.0)
    for k in range(4):
        search.learn({"c": "b", "x": 0.1 + k / 100}, k)
    xs = [trial.config["x"] for trial in search.ask(100) if trial.config["c"] == "b"]
    assert len(xs) > 20
    assert max(xs) - min(xs) > 0.8


def test_stages_without_a_success_narrow_nothing():
    search = create_search("staged", SQUARE, seed=1, stage=5)
    for _ in range(30):
        search.fail(search.ask()[0], "it crashed")
    assert span(search.ask(100), "x") > 0.8


def test_many_results_at_once_are_one_stage():
    search = create_search("staged", SQUARE, seed=1, stage=10)
    for trial in search.ask(100):
        search.tell(trial, near(trial.config))
    assert 0.3 < span(search.ask(100), "x") <= 0.5


def test_a_box_in_which_all_was_tried_is_left_step_by_step():
    search = create_search("staged", Space([Integer("n", 1, 400)]), seed=1, stage=10)
    trials = stage(search, lambda config: abs(config["n"] - 200), 150)
    assert len({trial.config["n"] for trial in trials}) == 150
    assert search.best.value <= 1
    assert np.median([abs(trial.config["n"] - 200) for trial in trials]) < 60
