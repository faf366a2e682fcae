import numpy as np
import pytest
from scipy.optimize import check_grad

from deephpo.surrogates.hyperparameters import MOST_OBSERVATIONS, Hyperparameters, _chosen, _improbability
from deephpo.surrogates.matern import squared_distances

RNG = np.random.default_rng(3)
POINTS = RNG.random((60, 3))
PARAMETER = np.arange(3)


def test_the_gradient_is_the_derivative():
    y = np.sin(6 * POINTS[:, 0]) + 0.3 * RNG.normal(size=60)
    squares = np.stack([squared_distances(POINTS[:, [j]], POINTS[:, [j]]) for j in range(3)])
    for _ in range(4):
        theta = RNG.normal(size=5) - [0, 0, 0, 0, 2]
        error = check_grad(
            lambda t: _improbability(t, squares, y)[0], lambda t: _improbability(t, squares, y)[1], theta
        )
        assert error < 1e-3 * np.abs(_improbability(theta, squares, y)[1]).max()


def test_a_parameter_without_effect_is_found_out():
    y = np.sin(6 * POINTS[:, 0])
    learned = Hyperparameters.prior(3).learned(POINTS, y, PARAMETER)
    assert learned.relevance[0] > 10 * learned.relevance[1:].max()


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_noise_is_told_from_signal(noise):
    y = np.sin(3 * POINTS[:, 0]) + np.sqrt(noise) * np.random.default_rng(0).normal(size=60)
    learned = Hyperparameters.prior(3).learned(POINTS, y, PARAMETER)
    assert noise / 3 < learned.noise < 3 * noise


@pytest.mark.parametrize("y", [np.zeros(60), np.linspace(-1, 1, 60)], ids=["all the same", "a line of ranks"])
def test_targets_that_say_little_do_not_break_it(y):
    learned = Hyperparameters.prior(3).learned(POINTS, y, PARAMETER)
    assert np.isfinite([*learned.relevance, learned.scale, learned.noise]).all()


def test_it_begins_where_it_was():
    y = np.sin(6 * POINTS[:, 0])
    once = Hyperparameters.prior(3).learned(POINTS, y, PARAMETER)
    twice = once.learned(POINTS, y, PARAMETER)
    assert np.log(twice.relevance) == pytest.approx(np.log(once.relevance), abs=0.5)


def test_of_many_observations_the_best_are_always_looked_at():
    y = np.random.default_rng(0).normal(size=1000)
    chosen = _chosen(y)
    assert len(chosen) == MOST_OBSERVATIONS == len(set(chosen.tolist()))
    assert set(np.argsort(y)[: MOST_OBSERVATIONS // 2]) <= set(chosen)
    assert y[chosen].max() > 2.0
    assert _chosen(y[:50]).tolist() == list(range(50))
