import numpy as np
import pytest

from deephpo.acquisition import (
    KAPPA,
    Acquisition,
    expected_improvement,
    lower_confidence_bound,
    probability_of_improvement,
)

MEAN, STD = np.array([1.0, 0.0, -1.0]), np.array([0.5, 2.0, 0.0])


@pytest.mark.parametrize(
    ("kappa", "bound"), [(0.0, [1.0, 0.0, -1.0]), (1.0, [0.5, -2.0, -1.0]), (10.0, [-4.0, -20.0, -1.0])]
)
def test_the_bound_lies_kappa_standard_deviations_below_the_mean(kappa, bound):
    assert lower_confidence_bound(MEAN, STD, kappa).tolist() == bound


def test_by_default_the_bound_is_that_of_a_95_percent_interval():
    assert KAPPA == 1.96
    assert lower_confidence_bound(MEAN, STD) == pytest.approx([0.02, -3.92, -1.0])


def test_the_arguments_are_left_as_they_are():
    mean, std = MEAN.copy(), STD.copy()
    lower_confidence_bound(mean, std)
    assert (mean == MEAN).all()
    assert (std == STD).all()


BEST = 0.5
DRAWS = np.random.default_rng(0).normal(size=(400_000, 1))


@pytest.mark.parametrize("xi", [0.0, 0.3])
def test_improvements_are_those_of_drawn_targets(xi):
    mean, std = np.array([0.2, 0.9, 0.5, -1.0]), np.array([0.5, 0.4, 1.0, 0.1])
    gain = BEST - xi - (mean + std * DRAWS)
    expected = np.exp(-expected_improvement(mean, std, BEST, xi))
    assert expected == pytest.approx(np.maximum(gain, 0).mean(axis=0), rel=0.02, abs=1e-3)
    probable = np.exp(-probability_of_improvement(mean, std, BEST, xi))
    assert probable == pytest.approx((gain > 0).mean(axis=0), abs=3e-3)


@pytest.mark.parametrize("improvement", [expected_improvement, probability_of_improvement])
def test_far_from_the_best_the_order_is_kept(improvement):
    mean = np.concatenate([np.linspace(-5, 5, 200), np.geomspace(5.1, 1e9, 400)])
    scores = improvement(mean, np.full(600, 0.3), 0.0)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= 0).all()
    assert (np.diff(scores)[mean[1:] > -1] > 0).all()


@pytest.mark.parametrize("improvement", [expected_improvement, probability_of_improvement])
def test_what_is_hopeless_by_the_mean_is_the_better_the_less_sure_it_is(improvement):
    scores = improvement(np.full(3, 4.0), np.array([0.1, 0.5, 2.0]), 0.0)
    assert scores[0] > scores[1] > scores[2]


def test_the_expected_improvement_joins_where_its_formula_changes():
    around = np.array([1.0 - 1e-9, 1.0 + 1e-9, 1e5 - 0.01, 1e5 + 0.01])
    scores = expected_improvement(around, np.ones(4), 0.0)
    assert scores[0] == pytest.approx(scores[1])
    assert scores[2] == pytest.approx(scores[3], rel=1e-6)
    assert scores[2] < scores[3]


@pytest.mark.parametrize(
    ("name", "function"),
    [("ei", expected_improvement), ("pi", probability_of_improvement)],
)
def test_an_acquisition_has_a_name_and_a_weight(name, function):
    assert (Acquisition("lcb", 2.0)(MEAN, STD, BEST) == lower_confidence_bound(MEAN, STD, 2.0)).all()
    std = STD + 0.1
    assert (Acquisition(name, 0.2)(MEAN, std, BEST) == function(MEAN, std, BEST, 0.2)).all()
