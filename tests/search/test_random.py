import numpy as np

from deephpo.search.create import create_search
from deephpo.space.parameters import Categorical, Float, Integer
from deephpo.space.space import Space


def test_draws_are_uniform_over_every_parameter():
    space = Space([Float("x", 1e-4, 1, log=True), Integer("n", 1, 4), Categorical("c", ["a", "b"])])
    configs = [trial.config for trial in create_search("random", space, seed=1).ask(2000)]
    assert abs(np.mean([config["x"] < 1e-2 for config in configs]) - 0.5) < 0.05
    assert np.abs(np.bincount([config["n"] for config in configs])[1:] - 500).max() < 100
    assert abs(np.mean([config["c"] == "a" for config in configs]) - 0.5) < 0.05


def test_results_do_not_move_the_draws():
    space = Space([Float("x", 0, 1)])
    told, untold = create_search("random", space), create_search("random", space)
    for _ in range(20):
        (trial,) = told.ask()
        assert trial == untold.ask()[0]
        told.tell(trial, trial.config["x"])
