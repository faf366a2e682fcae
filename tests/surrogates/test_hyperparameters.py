import numpy as np
import pytest
from scipy.optimize import check_grad

from deephpo.surrogates.hyperparameters import MOST_OBSERVATIONS, Hyperparameters, _chosen, _improbability
from deephpo.surrogates.matern import squared_distances


def learned(start, y, count=1):
    return start.learned(POINTS, y, PARAMETER, count, np.random.default_rng(7))


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
    found = learned(Hyperparameters.prior(3), y)[0]
    assert found.relevance[0] > 10 * found.relevance[1:].max()


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_noise_is_told_from_signal(noise):
    y = np.sin(3 * POINTS[:, 0]) + np.sqrt(noise) * np.random.default_rng(0).normal(size=60)
    found = learned(Hyperparameters.prior(3), y)[0]
    assert noise / 3 < found.noise < 3 * noise


@pytest.mark.parametrize("y", [np.zeros(60), np.linspace(-1, 1, 60)], ids=["all the same", "a line of ranks"])
def test_targets_that_say_little_do_not_break_it(y):
    found = learned(Hyperparameters.prior(3), y)[0]
    assert np.isfinite([*found.relevance, found.scale, found.noise]).all()


def test_it_begins_where_it_was():
    y = np.sin(6 * POINTS[:, 0])
    once = learned(Hyperparameters.prior(3), y)[0]
    twice = learned(once, y)[0]
    assert np.log(twice.relevance) == pytest.approx(np.log(once.relevance), abs=0.5)


def test_of_many_observations_the_best_are_always_looked_at():
    y = np.random.default_rng(0).normal(size=1000)
    chosen = _chosen(y)
    assert len(chosen) == MOST_OBSERVATIONS == len(set(chosen.tolist()))
    assert set(np.argsort(y)[: MOST_OBSERVATIONS // 2]) <= set(chosen)
    assert y[chosen].max() > 2.0
    assert _chosen(y[:50]).tolist() == list(range(50))


def test_the_others_are_nearly_as_probable_and_differ_the_more_the_less_is_known():
    def spread(n):
        y = np.sin(6 * POINTS[:n, 0]) + 0.1 * np.random.default_rng(0).normal(size=n)
        sets = Hyperparameters.prior(3).learned(POINTS[:n], y, PARAMETER, 40, np.random.default_rng(7))
        squares = np.stack([squared_distances(POINTS[:n, [j]], POINTS[:n, [j]]) for j in range(3)])
        thetas = np.log([[*s.relevance, s.scale, s.noise] for s in sets])
        surprise = [_improbability(theta, squares, y)[0] for theta in thetas]
        assert max(surprise) < surprise[0] + 12
        return thetas[:, 0].std()

    assert spread(8) > 1.5 * spread(60) > 0


def test_the_walk_repeats_with_its_seed():
    y = np.sin(6 * POINTS[:, 0])
    one, two = (learned(Hyperparameters.prior(3), y, 4) for _ in range(2))
    assert len(one) == 4
    assert all(
        (a.relevance == b.relevance).all() and a.noise == b.noise for a, b in zip(one, two, strict=True)
    )
