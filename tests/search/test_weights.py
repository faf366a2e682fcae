import numpy as np
import pytest

from deephpo.search.weights import weights

SEED = np.random.SeedSequence(4)


def test_a_constant_weight_stays():
    weight = weights(1.5, "constant", SEED)
    assert [weight(m) for m in (0, 10, 10_000)] == [1.5] * 3


def test_a_falling_weight_halves_with_sixteen_times_as_many_points():
    weight = weights(2.0, "falling", SEED)
    assert [weight(m) for m in (0, 32, 512)] == pytest.approx([2.0, 2.0, 1.0])


def test_a_drawn_weight_is_another_one_for_every_point_and_the_same_one_again():
    weight = weights(2.0, "drawn", SEED)
    drawn = [weight(m) for m in range(3000)]
    assert np.mean(drawn) == pytest.approx(2.0, rel=0.1)
    assert np.std(drawn) == pytest.approx(2.0, rel=0.1)
    assert [weights(2.0, "drawn", np.random.SeedSequence(4))(m) for m in range(3000)] == drawn
    assert weights(2.0, "drawn", np.random.SeedSequence(5))(0) != drawn[0]
