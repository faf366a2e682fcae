import numpy as np
import pytest

from deephpo.acquisition import KAPPA, lower_confidence_bound

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
