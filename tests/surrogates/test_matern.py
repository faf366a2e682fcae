import math

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern

from deephpo.space.parameters import Categorical, Float, Integer, Ordinal
from deephpo.space.space import Space
from deephpo.surrogates.matern import Features, matern, matern_slope, squared_distances

SPACE = Space(
    [
        Float("x", 0, 1),
        Integer("n", 1, 4),
        Categorical("kind", ["a", "b", "c"]),
        Ordinal("size", ["s", "m", "l"]),
        Float("rate", 0, 1, when={"kind": "a"}),
        Categorical("mode", ["u", "v"], when={"kind": "a"}),
    ]
)
ENCODING = SPACE.encoding()
FEATURES = Features(ENCODING)


def rows(*configs):
    base = {"x": 0.5, "n": 2, "kind": "b", "size": "m"}
    return ENCODING.encode([SPACE.complete(base | config) for config in configs])


def distance(one, other):
    """Return the squared distance of two configurations."""
    features = FEATURES(rows(one, other))
    return squared_distances(features[:1], features[1:])[0, 0]


def test_the_kernel_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(20, 4)), rng.normal(size=(30, 4))
    assert matern(squared_distances(A, B)) == pytest.approx(Matern(nu=2.5)(A, B))


def test_its_slope_is_the_derivative_by_the_squared_distance():
    squares, h = np.array([0.01, 0.5, 2.0, 9.0]), 1e-6
    assert matern_slope(squares) == pytest.approx((matern(squares + h) - matern(squares - h)) / (2 * h))


def test_numbers_differ_by_the_distance_of_their_codes():
    assert distance({"x": 0.2}, {"x": 0.7}) == pytest.approx(0.25)
    assert distance({"n": 1}, {"n": 3}) == pytest.approx(0.25)
    assert distance({"size": "s"}, {"size": "l"}) == pytest.approx(4 / 9)


def test_categories_are_the_same_or_not():
    assert distance({"kind": "b"}, {"kind": "b"}) == 0.0
    assert distance({"kind": "b"}, {"kind": "c"}) == pytest.approx(1.0)


def test_what_is_switched_off_counts_as_the_middle_and_a_category_as_another_one():
    off = {"kind": "b"}
    near, far = ({"kind": "a", "mode": "u", "rate": rate} for rate in (0.5, 1.0))
    assert distance(off, near) == pytest.approx(2.0)  # kind and mode
    assert distance(off, far) == pytest.approx(2.25)
    assert distance(off, {"kind": "c"}) == pytest.approx(1.0)


def test_features_know_their_parameters():
    assert FEATURES.parameter.tolist() == [0, 1, 2, 2, 2, 3, 4, 5, 5, 5]
    assert math.isclose(FEATURES(rows({})).max(), 0.5**0.5)
