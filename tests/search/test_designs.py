import numpy as np
import pytest

from deephpo.search.create import create_search
from deephpo.space.conditions import Between
from deephpo.space.parameters import Float, Integer
from deephpo.space.space import Space

SQUARE = Space([Float("x", 0, 1), Float("y", 0, 1)])


def ask(search, n, at_once):
    return [trial.config for _ in range(n // at_once) for trial in search.ask(at_once)]


def shares(configs, name, bins):
    return np.histogram([config[name] for config in configs], bins=bins, range=(0, 1))[0].tolist()


@pytest.mark.parametrize("name", ["sobol", "lhs"])
@pytest.mark.parametrize("at_once", [1, 4, 64])
def test_a_block_fills_every_stratum_of_every_parameter_once(name, at_once):
    configs = ask(create_search(name, SQUARE, seed=2), 64, at_once)
    assert shares(configs, "x", 64) == shares(configs, "y", 64) == [1] * 64


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_any_first_power_of_two_of_the_sobol_points_is_spread_evenly(k):
    configs = ask(create_search("sobol", SQUARE, seed=2), 2**k, 1)
    assert shares(configs, "x", 2**k) == shares(configs, "y", 2**k) == [1] * 2**k


@pytest.mark.parametrize("name", ["sobol", "lhs"])
def test_it_does_not_matter_how_many_points_are_asked_at_once(name):
    one, many = (ask(create_search(name, SQUARE, seed=2), 96, q) for q in (1, 32))
    assert one == many


@pytest.mark.parametrize("name", ["sobol", "lhs"])
def test_a_design_never_ends_where_little_is_allowed(name):
    space = Space([Integer("n", 1, 200), Float("x", 0, 1)], forbidden=[{"n": Between(low=2)}])
    for seed in range(3):
        search = create_search(name, space, seed=seed)
        assert len(ask(search, 3, 1)) == 3
        assert not search.exhausted
